"""Anything may stand in Redis, in an answer of a program of ours, and in a container's log."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.checkup import Finding, decode_findings
from common.store.model import STATE_FACTS, AgentState, Card, EndReason, OtherEnd, card_or_none, decode_state
from common.telemetry.redact import redact_text
from common.whereabouts import Whereabouts, decode_whereabouts
from shipper.hold import Windows
from shipper.outcome import Answer, Call, Circumstances, decide
from tests.faults.fuzzing import fuzzed, quickly
from tests.faults.generated import as_json, bodies, json_values, likely, msgpacked, nasty, words
from watcher.excerpt import EXCERPT_MAX_BYTES, excerpt
from watcher.makers import Maker, decode_maker
from watcher.redactor import Redactor

REDACTOR: Final = Redactor()
LINES: Final = 20

facts: Final = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.integers(-(2**70), 2**70).map(lambda number: b"%d" % number),
    st.sampled_from(
        (b"", b"0", b"1e9", b"nan", b" 7 ", b"1_000", b"9" * 5_000, b"\xff", *(each.encode() for each in EndReason))
    ),
    words.map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@fuzzed
@given(st.lists(facts, min_size=len(STATE_FACTS), max_size=len(STATE_FACTS)), msgpacked)
def test_whatever_redis_holds_of_an_agent_it_can_be_served(values: list[bytes | None], card: bytes) -> None:
    state = decode_state(values)
    counted = {"spent": state.spent_bytes, "lines": state.lines, "tries": state.tries}
    for name, value in zip(STATE_FACTS, values, strict=True):
        if name in counted and value is not None and value.isdigit() and len(value) < 16:
            assert counted[name] == int(value)
    assert isinstance(state.ended, EndReason | OtherEnd | None)
    msgspec.json.encode(state)
    decide(Answer(500, {}, b""), Call.LOGS, Circumstances(state, 10**12, Windows(), 0.5))
    assert isinstance(card_or_none(card), Card | None)
    assert decode_state([None] * len(STATE_FACTS)) == AgentState()


_maker_parts: Final = st.one_of(json_values, likely, st.integers(-9, 9))
_made: Final = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries({"name": words, "uid": likely}),
        "spec": st.fixed_dictionaries(
            {}, optional={"replicas": _maker_parts, "suspend": _maker_parts, "template": _maker_parts}
        ),
        "status": st.fixed_dictionaries({}, optional={"readyReplicas": _maker_parts, "ready": _maker_parts}),
        "objects": _maker_parts,
        "troubles": _maker_parts,
    }
).map(as_json)


@fuzzed
@given(bodies | _made)
def test_no_object_that_is_asked_for_by_name_crashes(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        maker = decode_maker(body)
        assert isinstance(maker, Maker)
        assert isinstance(maker.waits, bool)
    with contextlib.suppress(msgspec.DecodeError):
        assert isinstance(decode_whereabouts(body), Whereabouts)
    with contextlib.suppress(msgspec.DecodeError):
        assert all(isinstance(each, Finding) for each in decode_findings(body))


_SECRET: Final = "hunter2Sesame0815"
_SHORT: Final = st.one_of(words, nasty)
_around: Final = st.one_of(
    _SHORT, st.builds(lambda text, times: text * times, st.text(max_size=6), st.integers(1, 900)),
    st.sampled_from(
        ("a=", '{"', "://", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "'", '\\"', "@", "<a>")
    ),
)  # fmt: skip
_told: Final = st.sampled_from(
    ("password={}", "api_key: {}", '{{"token": "{}"}}', "https://me:{}@host/", "--client-secret {}",
     "Authorization: Bearer {}", "ghp_{}", "MY_TOKEN='{}'")
)  # fmt: skip


@fuzzed
@given(st.lists(st.tuples(_around, st.none() | _told, _around), max_size=6), st.binary(max_size=30))
def test_no_log_hinders_the_redactor(rows: list[tuple[str, str | None, str]], tail: bytes) -> None:
    lines = [
        " ".join((before.replace(_SECRET, ""), form.format(_SECRET), after)) if form else before + after
        for before, form, after in rows
    ]
    body = "\n".join(lines).encode("utf-8", "replace") + tail
    with quickly():
        shown = excerpt(body, LINES, REDACTOR, ["11111111-2222-4333-8444-555555555555"])
        logged = [redact_text(line) for line in lines]
    assert shown.slow == frozenset()
    assert len(shown.rows) <= LINES
    assert sum(len(row.encode()) + 1 for row in shown.rows) <= EXCERPT_MAX_BYTES
    assert [row for row in shown.rows if _SECRET in row] == []
    assert len(logged) == len(lines)
