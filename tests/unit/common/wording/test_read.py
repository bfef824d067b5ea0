"""A wording file is taken as it is meant, or refused with the place, the reason and what would be right."""

from pathlib import Path

import pytest

from common.record import Level
from common.wording.read import FILE_MAX_BYTES, HINTS, LINES, WordingError, read_sheet, read_wording, shipped_wording
from common.wording.table import Audience, Entry, Figures, Hint, Subject

WHOLE = """
minimum_level: info
hints: user
entries:
  - reason: [FailedMount, FailedAttachVolume]
    kind: Pod
    component: kubelet
    contains: [configmap, not found]
    contains_any: a
    at_least: 4
    words: no room
    level: error
    show: true
    hint: {user: Ask in the channel., admin: "", figures: quota}
  - {aspect: [ended, ended_with_pod], exit_code: [126, 127], emoji: 🔥}
"""
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wording.yaml"


def test_all_that_a_file_can_say_is_read(file: Path) -> None:
    file.write_text(WHOLE)
    sheet = read_sheet(file)
    assert (sheet.minimum_level, sheet.hints) == (Level.INFO, Audience.USER)
    assert sheet.entries == (
        Entry(
            reason=("FailedMount", "FailedAttachVolume"), kind="Pod", component="kubelet",
            contains=("configmap", "not found"), contains_any="a", at_least=4, words="no room", level=Level.ERROR,
            show=True, hint=Hint(user="Ask in the channel.", admin="", figures=Figures.QUOTA),
        ),
        Entry(aspect=("ended", "ended_with_pod"), exit_code=(126, 127), emoji="🔥"),
    )  # fmt: skip


@pytest.mark.parametrize("written", ["off", '"off"', "false"])
def test_off_means_off_although_yaml_takes_it_for_false(file: Path, written: str) -> None:
    file.write_text(f"hints: {written}")
    assert read_sheet(file).hints is Audience.OFF


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty; example: entries:"),
        ("# a comment only", "is empty"),
        ("[1", "is not YAML in line 1: expected ',' or ']'"),
        ("d: 2026-99-99", "is not YAML: month must be in 1..12"),
        ("\0", "is not YAML"),
        ("[" * 3_000, "is nested too deeply"),
        ("!!python/object/apply:os.system [id]", "is not YAML in line 1: could not determine a constructor"),
        (BOMB, "has an alias (*) in line 2: write the value out"),
        ("hints: user\nhints: admin", "has the key 'hints' twice in line 2: keep one"),
        ("? [a]\n: b", "has a key that is no word in line 1"),
        ("1: b", "has the key '1' in line 1, which is no word"),
        ("- a", "holds no table of names and values"),
        ("hint: user", "no such key: hint, did you mean hints?; keys are minimum_level, hints, entries"),
        ("minimum_level: loud", "minimum_level: invalid enum value 'loud' (one of trace, debug, info, warn, error)"),
        ("hints: maybe", "hints: invalid enum value 'maybe' (one of user, admin, both, off); example: hints: user"),
        ("entries: 3", "entries: is not a list; example: entries:"),
        ("entries: [3]", "entry 1: expected a table of names and values, got int"),
        ("entries: [{reason: A, show: false}, {reason: B, lvl: warn}]", "entry 2 (B): no such key: lvl, did you mean"),
        ("entries: [{reason: A, level: loud}]", "entry 1 (A): level: invalid enum value 'loud' (one of trace, debug"),
        ("entries: [{reason: A, show: 'no'}]", "entry 1 (A): show: expected bool | null, got str; example: show"),
        ("entries: [{reason: [A, 3], show: true}]", "entry 1: reason: expected str, got int; example: reason:"),
        ("entries: [{exit_code: x, show: true}]", "entry 1: exit_code: expected int | array, got str"),
        ("entries: [{reason: A, at_least: 0, show: true}]", "entry 1 (A): at_least: expected int >= 1; example: at_"),
        ("entries: [{level: warn}]", "entry 1: has no condition (reason, kind,"),
        ("entries: [{reason: A}]", "entry 1 (A): says nothing to do (words, level,"),
        ("entries: [{reason: A, hint: {}}]", "entry 1 (A): says nothing to do"),
        ("entries: [{reason: A, hint: {usr: x}}]", "entry 1 (A): no such key: usr, did you mean user?; keys are user"),
        ("entries: [{reason: A, hint: {figures: x}}]", "hint: figures: invalid enum value 'x' (one of quota, memory)"),
        ("entries: [{reason: '', level: warn}]", "entry 1 (): reason: is an empty text; example: reason: FailedMount"),
        ("entries: [{contains: [a, ''], level: warn}]", "entry 1: contains: is an empty text"),
        ("entries: [{reason: A, emoji: xy}]", "entry 1 (A): emoji: 'xy' is no pictograph; example: emoji: 🔥"),
        ("entries: [{reason: A, emoji: 🔥 🔥}]", "is no pictograph"),
        ('entries: [{reason: A, words: "x\\ny"}]', "entry 1 (A): words: has a line break or a control character"),
        (f"entries: [{{reason: A, hint: {{user: {'x' * 1_001}}}}}]", "hint: user: has 1001 characters, more than 1000"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_one_line(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    with pytest.raises(WordingError) as refused:
        read_sheet(file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_too_large_or_away_is_refused(file: Path) -> None:
    for content, said in ((b"\xff\xfe", "is not UTF-8 text"), (b"#" * (FILE_MAX_BYTES + 1), "is larger than")):
        file.write_bytes(content)
        with pytest.raises(WordingError, match=said):
            read_sheet(file)
    with pytest.raises(WordingError, match=r"cannot be read: No such file"):
        read_sheet(file.with_name("absent"))
    with pytest.raises(WordingError, match=r"cannot be read: Is a directory"):
        read_sheet(file.parent)


def test_a_probe_that_was_broken_off_is_no_news() -> None:
    """As the kubelet 1.35 writes it when a pod is deleted while a probe is under way."""
    message = "Liveness probe errored and resulted in unknown state: rpc error: code = Canceled desc = context canceled"
    assert not shipped_wording().of(Subject("Unhealthy", message, Level.WARN, "Pod", "kubelet")).shown
    failed = Subject("Unhealthy", "Liveness probe failed: HTTP probe failed", Level.WARN, "Pod", "kubelet")
    assert shipped_wording().of(failed).shown


def test_a_file_lies_over_the_table_that_ships(file: Path) -> None:
    pulled = Subject("Pulled", 'Container image "a" already present on machine', Level.DEBUG, "Pod", "kubelet")
    assert not shipped_wording().of(pulled).shown
    file.write_text("entries: [{reason: Pulled, show: true}]")
    assert read_wording(file).of(pulled).shown
    file.write_text("entries: [{reason: Created, level: trace}]")
    assert not read_wording(file).of(pulled).shown
    assert not read_wording(None).of(pulled).shown


def test_the_table_that_ships_is_far_from_the_limit() -> None:
    assert (LINES.stat().st_size + HINTS.stat().st_size) * 4 < FILE_MAX_BYTES
