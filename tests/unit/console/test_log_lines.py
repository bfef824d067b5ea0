"""Lines of several processes in one output."""

import io
import json

import pytest

from console.log_lines import JsonLines, LineStream, RecentWarnings, TextLines, in_short, read_line

TOKEN = "11111111-2222-3333-4444-555555555555"
WARNING = '{"event":"it broke","level":"warning","timestamp":"2026-11-23T09:00:00Z","program":"watcher","count":3}'


def test_a_json_line_keeps_its_fields_and_gets_its_process() -> None:
    line = read_line("watcher-2", WARNING)
    assert (line.process, line.level, line.event) == ("watcher-2", "warning", "it broke")
    out = io.StringIO()
    JsonLines(out).take(line)
    assert json.loads(out.getvalue()) == {**json.loads(WARNING), "process": "watcher-2"}


@pytest.mark.parametrize("text", ["Segmentation fault", "[1, 2]", "{", "", '"text"', "\udc80"])
def test_what_is_no_json_object_is_a_message(text: str) -> None:
    line = read_line("watcher", text)
    assert (line.level, line.event) == ("info", text)


def test_what_is_cut_out_of_one_field_leaves_the_others() -> None:
    out = io.StringIO()
    JsonLines(out).take(read_line("shipper", '{"event":"lost","url":"redis://coder:3000","image":"a@b"}'))
    assert json.loads(out.getvalue()) == {
        "event": "lost", "url": "redis://coder:3000", "image": "a@b", "process": "shipper",
    }  # fmt: skip


def test_text_has_time_message_and_fields() -> None:
    out = io.StringIO()
    TextLines(out).take(read_line("watcher", WARNING))
    assert out.getvalue().startswith("2026-11-23T09:00:00Z [warning  ] it broke")
    assert "count=3 process=watcher" in out.getvalue()


def test_no_output_shows_a_token_that_a_child_let_slip() -> None:
    for sink in (JsonLines, TextLines):
        out = io.StringIO()
        sink(out).take(read_line("watcher", f"Traceback: CODER_AGENT_TOKEN={TOKEN}"))
        assert "Traceback" in out.getvalue()
        assert TOKEN not in out.getvalue()


def test_only_the_newest_warnings_are_kept() -> None:
    recent = RecentWarnings(2)
    for number, level in enumerate(["warning", "info", "error", "debug", "critical"]):
        recent.take(read_line("a", json.dumps({"event": str(number), "level": level})))
    assert [line.event for line in recent.kept] == ["2", "4"]


def test_a_stream_gives_whole_lines_only() -> None:
    seen: list[str] = []
    stream = LineStream(seen.append)
    for piece in ("a", "b\nc", "\n\nd"):
        stream.write(piece)
    assert seen == ["ab", "c"]


def test_in_short_is_one_line_without_time_and_level() -> None:
    line = read_line("watcher", '{"event":"cannot go on","level":"error","timestamp":"t","error":"no\\nkubeconfig"}')
    assert in_short(line) == "watcher: cannot go on: no kubeconfig"
