"""Decoding of what the API server sends: lenient to what is unknown, never fatal for what does not fit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watcher.rig import event, pod
from watcher.objects import (
    Bookmark,
    Delta,
    Event,
    Expired,
    Failure,
    Malformed,
    Pod,
    ReplicaSet,
    Verb,
    decode_failure,
    decode_list,
    decode_source,
    decode_watch,
)

GONE = b'{"type":"ERROR","object":{"kind":"Status","metadata":{},"status":"Failure","reason":"Expired","code":410}}'


def _line(kind: str, value: object) -> bytes:
    return msgspec.json.encode({"type": kind, "object": value})


def test_a_pod_is_read_in_the_fields_that_are_used() -> None:
    delta = decode_watch(Pod, _line("ADDED", pod(started=True)))
    assert isinstance(delta, Delta)
    assert delta.verb is Verb.ADDED
    assert delta.object.metadata.uid == "pod-1"
    assert delta.object.spec is not None
    assert delta.object.spec.containers is not None


def test_a_bookmark_carries_only_a_position() -> None:
    # As recorded: a bookmark of ReplicaSets has null containers.
    value = {"metadata": {"resourceVersion": "790"}, "spec": {"template": {"spec": {"containers": None}}}, "status": {}}
    assert decode_watch(ReplicaSet, _line("BOOKMARK", value)) == Bookmark("790")


@pytest.mark.parametrize("kind", [Pod, ReplicaSet, Event])
def test_a_410_in_the_stream_is_recognised_for_each_resource(kind: type[Pod]) -> None:
    assert decode_watch(kind, GONE) == Expired()


def test_another_error_in_the_stream_is_a_failure() -> None:
    line = b'{"type":"ERROR","object":{"status":"Failure","message":"no leader","code":500}}'
    assert decode_watch(Pod, line) == Failure(500, "no leader")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type":"ADDED"}',
        b'{"type":7,"object":{}}',
        b"\xff\xfe",
        b'{"type":"ADDED","object":{}}',
    ],
)
def test_what_is_no_watch_line_is_malformed(line: bytes) -> None:
    assert isinstance(decode_watch(Pod, line), Malformed)


def test_a_malformed_object_still_tells_its_position() -> None:
    value = pod(version="42")
    value["spec"] = "broken"
    line = decode_watch(Pod, _line("MODIFIED", value))
    assert isinstance(line, Malformed)
    assert line.resource_version == "42"


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**63, 2**70])
def test_a_number_that_no_record_can_hold_is_malformed(number: int) -> None:
    ended = {"name": "main", "lastState": {"terminated": {"exitCode": number}}}
    restarted = {"name": "main", "restartCount": number}
    for status in (ended, restarted):
        value = {**pod(), "status": {"containerStatuses": [status]}}
        assert isinstance(decode_watch(Pod, _line("MODIFIED", value)), Malformed)
    event = {"metadata": {"uid": "e"}, "count": number}
    assert isinstance(decode_watch(Event, _line("ADDED", event)), Malformed)


def test_deep_nesting_is_malformed_and_nothing_else() -> None:
    deep = b'{"type":"ADDED","object":' + b'{"spec":' * 5_000 + b"1" + b"}" * 5_000 + b"}"
    assert isinstance(decode_watch(Pod, deep), Malformed)


@given(st.binary(max_size=200))
def test_no_bytes_raise(line: bytes) -> None:
    decode_watch(Event, line)
    decode_failure(line)


def test_a_pod_of_5_mb_is_read() -> None:
    value = pod()
    value["metadata"]["annotations"] = {"big": "x" * 5_000_000}
    assert isinstance(decode_watch(Pod, _line("ADDED", value)), Delta)


def test_a_list_page_is_read_with_its_continuation() -> None:
    body = msgspec.json.encode({"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [pod()]})
    page = decode_list(Pod, body)
    assert (page.resource_version, page.continue_token, len(page.items), page.malformed) == ("5", "more", 1, 0)


def test_unfit_items_of_a_list_are_left_out_and_counted() -> None:
    items = [event(), {"metadata": "broken"}, {"metadata": {"name": "no uid"}}, event("ev-2")]
    page = decode_list(Event, msgspec.json.encode({"metadata": {"resourceVersion": "5"}, "items": items}))
    assert [each.metadata.uid for each in page.items] == ["ev-1", "ev-2"]
    assert page.malformed == 2


def test_a_null_list_is_empty() -> None:
    assert decode_list(Pod, b'{"metadata":{"resourceVersion":"5"},"items":null}').items == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b'{"items":[]}'])
def test_what_is_no_list_raises_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list"):
        decode_list(Pod, body)


def test_secrets_and_env_values_are_in_no_repr() -> None:
    assert "dG9rZW4=" not in repr(decode_source(b'{"data":{"a":"dG9rZW4="}}').keys())
    delta = decode_watch(Pod, _line("ADDED", pod()))
    assert "11111111-2222" not in repr(delta)
