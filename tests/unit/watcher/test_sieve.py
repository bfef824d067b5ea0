"""Lines about other watchers' namespaces are passed over undecoded, and no line of ours ever is."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watcher.rig import event, pod
from watcher.objects import Bookmark
from watcher.sieve import passed_over

RECORDED = sorted((Path(__file__).parent / "recordings").glob("*.jsonl"))


def nobodys(_namespace: str) -> bool:
    return False


class Recorded(msgspec.Struct):
    line: msgspec.Raw


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_lines_are_known_by_their_own_namespace_and_version(path: Path) -> None:
    for recorded in path.read_bytes().splitlines():
        line = bytes(msgspec.json.decode(recorded, type=Recorded).line)
        metadata = msgspec.json.decode(line)["object"]["metadata"]
        if "namespace" not in metadata:
            assert passed_over(line, nobodys) is None  # a bookmark
            continue
        assert passed_over(line, nobodys) == Bookmark(metadata["resourceVersion"])
        assert passed_over(line, lambda namespace: namespace == metadata["namespace"]) is None  # noqa: B023


def test_there_are_recorded_lines() -> None:
    assert len(RECORDED) >= 7


def test_a_line_of_ours_is_decoded() -> None:
    line = msgspec.json.encode({"type": "ADDED", "object": pod()})
    assert passed_over(line, lambda namespace: namespace == "ns") is None


def test_bookmarks_errors_and_garbage_are_decoded() -> None:
    for line in (
        b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}',
        b'{"type":"ERROR","object":{"code":410,"reason":"Expired"}}',
        b"no json",
        b"",
    ):
        assert passed_over(line, nobodys) is None


def test_text_that_looks_like_metadata_is_not_taken_for_it() -> None:
    """Whoever writes an Event's message chooses every character of it, but quotes come escaped."""
    wanted = event(message='"namespace":"ours","resourceVersion":"99999"')
    wanted["metadata"] = {
        "annotations": {"a": '"namespace":"ours","uid":"x","resourceVersion":"5"'},
        **wanted["metadata"],
    }
    line = msgspec.json.encode({"type": "ADDED", "object": wanted})
    assert passed_over(line, lambda namespace: namespace == "ours") == Bookmark("11")


@given(st.binary(max_size=300))
def test_any_bytes_are_passed_over_only_with_a_number(line: bytes) -> None:
    skipped = passed_over(b'{"type":"ADDED","object":{"metadata":{"namespace":"ns"' + line, nobodys)
    assert skipped is None or skipped.resource_version.isdigit()
