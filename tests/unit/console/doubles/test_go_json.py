"""What Go's decoder does to odd request bodies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.doubles.go_json import NIL_UUID, UnreadableBody, parse_uuid, read_log_source, read_logs

UUID = "cabdacf8-7c90-425c-9815-cae3c75d1169"


def _output(raw: bytes) -> str | None:
    [line] = read_logs(b'{"logs":[{"output":"%b"}]}' % raw).logs or []
    return line.output


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"\xff", "\ufffd"),
        (b"\xe2\x82", "\ufffd\ufffd"),  # one for each byte, not for each broken sequence
        (b"\xf0\x9f\x98\x80", "😀"),
        (b"\\ud83d\\ude00", "😀"),
        (b"\\ud83dx", "\ufffdx"),
        (b"\\ude00\\ud83d", "\ufffd\ufffd"),
        (b"\\u0000", "\0"),
    ],
)
def test_what_is_no_text_is_replaced(raw: bytes, read: str) -> None:
    assert _output(raw) == read


@given(st.text())
def test_text_is_read_as_it_was_written(text: str) -> None:
    for ascii_only in (True, False):
        assert _output(json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()) == text


def test_null_and_absent_are_zero_values() -> None:
    for body in (b"{}", b'{"log_source_id":null,"logs":null}', b'{"unknown":1} and what follows'):
        read = read_logs(body)
        assert (read.log_source_id, read.logs) == (NIL_UUID, None)
    assert read_log_source(b"{}").id == NIL_UUID


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b'{"logs":[{"output":"a\x01b"}]}', b'{"logs":NaN}', b"[]", b'{"logs":{}}', b"[" * 9_999]
)
def test_what_is_not_of_the_form_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        read_logs(body)


@pytest.mark.parametrize("text", [UUID, UUID.upper(), f"urn:uuid:{UUID}", f"{{{UUID}}}", UUID.replace("-", "")])
def test_uuids_have_four_forms(text: str) -> None:
    assert parse_uuid(text) == UUID


@pytest.mark.parametrize("text", ["", "x", UUID[:-1], UUID + "0", f"{{{UUID}", UUID.replace("-", "", 1), UUID + "\n"])
def test_anything_else_is_no_uuid(text: str) -> None:
    with pytest.raises(UnreadableBody):
        parse_uuid(text)


@pytest.mark.parametrize(
    ("at", "good"),
    [
        ("2026-11-23T09:00:00Z", True),
        ("2026-11-23T09:00:00.5+23:59", True),
        ("0000-02-29T00:00:00Z", True),
        ("2026-11-23T09:00:00+24:01", True),
        ("2026-11-23T09:00:00+25:00", False),
        ("2026-11-23T09:00:00.Z", False),
        ("2026-11-31T09:00:00Z", False),
        ("2026-11-23T09:60:00Z", False),
        ("2026-11-23T09:00:00", False),
        ("٢٠٢٦-11-23T09:00:00Z", False),
    ],
)
def test_times_are_rfc_3339(at: str, good: bool) -> None:
    body = json.dumps({"logs": [{"created_at": at}]}).encode()
    if good:
        read_logs(body)
    else:
        with pytest.raises(UnreadableBody):
            read_logs(body)
