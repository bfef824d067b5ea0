"""Where tokens are found, and what is no token: each form, alone and against the others, by Kubernetes' rules."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.watcher.containers import FILE, NAME, found_in, reference, source_of, spec_of, token_from, value
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, pod, secret_env
from watcher.mounts import Kind
from watcher.objects import Pod
from watcher.sought import (
    ABSENT,
    Failure,
    Key,
    NoToken,
    Outcome,
    Reading,
    Sought,
    Source,
    SourceData,
    read_token,
    token_of,
)
from watcher.tokens import Found, InValue, all_started, discover

IN_SECRET = Sought(Key(Kind.SECRET, "s", "k"))


def test_all_container_kinds_are_looked_at() -> None:
    spec = spec_of(
        {
            "initContainers": [
                {"name": "i", "env": agent_env(OTHER_TOKEN)},
                {"name": "sidecar", "restartPolicy": "Always", "env": [reference("configMap", "m")]},
            ],
            "containers": [{"name": "c", "env": agent_env()}, {"name": "plain"}],
            "ephemeralContainers": [{"name": "e", "env": secret_env("s", "k")}],
        }
    )
    assert discover(spec) == [
        Found("i", InValue(OTHER_TOKEN)),
        Found("sidecar", Sought(Key(Kind.CONFIG_MAP, "m", "k"))),
        Found("c", InValue(TOKEN)),
        Found("e", IN_SECRET, ephemeral=True),
    ]


@pytest.mark.parametrize("value", ["", "$(OTHER)", "not-a-uuid", TOKEN + "0"])
def test_what_is_no_uuid_is_no_token(value: str) -> None:
    assert found_in({"env": agent_env(value)}) == [Found("c", NoToken.NOT_A_UUID)]


@pytest.mark.parametrize(
    "source", [{"fieldRef": {"fieldPath": "metadata.uid"}}, {"secretKeyRef": {"name": "", "key": ""}}, {}]
)
def test_a_source_that_is_not_read_is_said(source: dict[str, Any]) -> None:
    assert found_in({"env": [{"name": NAME, "valueFrom": source}]}) == [Found("c", NoToken.UNSUPPORTED)]


def test_an_ordinary_pod_has_no_agent() -> None:
    assert discover(spec_of({"containers": [{"name": "c", "env": None}]})) == []
    assert discover(None) == []


def test_spellings_of_one_token_are_one() -> None:
    assert read_token(f" {TOKEN.upper()}\n") == TOKEN


@pytest.mark.parametrize("kind", ["secret", "configMap"])
def test_a_key_of_a_source(kind: str) -> None:
    found, name = found_in({"env": [reference(kind, "s")]}), f"{kind.lower()}/s"
    word = kind.lower()
    assert token_from(found, {name: {"k": f"{TOKEN}\n"}}) == TOKEN
    assert token_from(found, {name: {"k": "no"}}) is NoToken.NOT_A_UUID
    assert token_from(found, {name: {"k": ""}}) is NoToken.NOT_A_UUID
    assert token_from(found, {name: {"other": TOKEN}}) == NoToken(f"{word}_key_missing")
    assert token_from(found, {}) == NoToken(f"{word}_missing")
    assert token_from(found, {name: Failure.FORBIDDEN}) == NoToken(f"{word}_forbidden")
    assert token_from(found, {name: Failure.UNREADABLE}) == NoToken(f"{word}_unreadable")


@pytest.mark.parametrize("data", [{"k": "%"}, {"k": base64.b64encode(b"\xff").decode()}])
def test_a_secrets_value_that_is_no_text_is_no_token(data: dict[str, str]) -> None:
    assert token_of(IN_SECRET, lambda _: SourceData(data)) is NoToken.NOT_A_UUID


@pytest.mark.parametrize("kind", ["secret", "configMap"])
def test_an_optional_reference_that_leads_nowhere_is_no_error(kind: str) -> None:
    found, name = found_in({"env": [reference(kind, "s", optional=True)]}), f"{kind.lower()}/s"
    assert token_from(found, {}) is ABSENT
    assert token_from(found, {name: {}}) is ABSENT
    assert token_from(found, {name: {"k": TOKEN}}) == TOKEN
    assert token_from(found, {name: Failure.FORBIDDEN}) == NoToken(f"{kind.lower()}_forbidden")


@pytest.mark.parametrize("kind", ["secret", "configMap"])
@pytest.mark.parametrize("prefix", ["", "CODER_", NAME[:-1]])
def test_all_variables_of_a_source_with_a_prefix(kind: str, prefix: str) -> None:
    found, name = found_in({"envFrom": [source_of(kind, "s", prefix)]}), f"{kind.lower()}/s"
    (where,) = [each.where for each in found]
    assert isinstance(where, Sought)
    assert not where.named
    assert token_from(found, {name: {NAME.removeprefix(prefix): TOKEN}}) == TOKEN
    assert token_from(found, {name: {"OTHER": TOKEN}}) is ABSENT
    assert token_from(found, {}) == NoToken(f"{kind.lower()}_missing")
    assert token_from(found_in({"envFrom": [source_of(kind, "s", prefix, optional=True)]}), {}) is ABSENT


@pytest.mark.parametrize("prefix", ["OTHER_", "coder_", f"{NAME}S", FILE])
def test_a_source_whose_prefix_rules_the_variable_out_needs_no_look_up(prefix: str) -> None:
    assert found_in({"envFrom": [source_of("secret", "s", prefix)]}) == []


def test_of_env_the_last_entry_wins() -> None:
    assert found_in({"env": [value(TOKEN), value(OTHER_TOKEN)]}) == [Found("c", InValue(OTHER_TOKEN))]
    assert found_in({"env": [value(TOKEN), reference("secret", "s")]}) == [Found("c", IN_SECRET)]
    assert found_in({"env": [reference("secret", "s"), value(TOKEN)]}) == [Found("c", InValue(TOKEN))]


def test_an_optional_entry_that_leads_nowhere_leaves_what_was_before() -> None:
    found = found_in({"env": [value(OTHER_TOKEN), reference("secret", "s", optional=True)]})
    assert token_from(found, {}) == OTHER_TOKEN
    assert token_from(found, {"secret/s": {"k": TOKEN}}) == TOKEN
    found = found_in({"env": [reference("secret", "s", optional=True)], "envFrom": [source_of("configMap", "m")]})
    assert token_from(found, {"configmap/m": {NAME: OTHER_TOKEN}}) == OTHER_TOKEN
    assert token_from(found, {"configmap/m": {NAME: OTHER_TOKEN}, "secret/s": {"k": TOKEN}}) == TOKEN


def test_env_goes_before_env_from() -> None:
    sources = [source_of("secret", "s")]
    assert found_in({"env": [value(TOKEN)], "envFrom": sources}) == [Found("c", InValue(TOKEN))]
    found = found_in({"env": [reference("configMap", "m")], "envFrom": sources})
    assert token_from(found, {"configmap/m": {"k": TOKEN}, "secret/s": {NAME: OTHER_TOKEN}}) == TOKEN


def test_of_env_from_the_last_source_that_has_it_wins() -> None:
    found = found_in(
        {"envFrom": [source_of("secret", "a"), source_of("configMap", "b"), source_of("secret", "c", optional=True)]}
    )
    first, second = {NAME: TOKEN}, {NAME: OTHER_TOKEN}
    assert token_from(found, {"secret/a": first, "configmap/b": second}) == OTHER_TOKEN
    assert token_from(found, {"secret/a": first, "configmap/b": {}}) == TOKEN
    assert token_from(found, {"secret/a": first, "configmap/b": first, "secret/c": second}) == OTHER_TOKEN
    assert token_from(found, {"secret/a": first}) is NoToken.CONFIGMAP_MISSING  # the container cannot start without it


def test_a_source_that_cannot_change_the_answer_is_not_read() -> None:
    (found,) = found_in({"envFrom": [source_of("secret", "a"), source_of("secret", "b")]})
    assert isinstance(found.where, Sought)
    asked: list[str] = []

    def read(source: Source) -> Reading | None:
        asked.append(source.name)
        return SourceData({NAME: base64.b64encode(TOKEN.encode()).decode()}) if source.name == "b" else None

    assert token_of(found.where, read) == TOKEN
    assert asked == ["b"]


@pytest.mark.parametrize(
    ("env", "token"),
    [
        ([value(TOKEN, "T"), value("$(T)")], TOKEN),
        ([value("$(T)"), value(TOKEN, "T")], NoToken.NOT_A_UUID),  # defined later
        ([value(TOKEN, "T"), value("$$(T)")], NoToken.NOT_A_UUID),
        ([value(TOKEN, "T"), value("$(T")], NoToken.NOT_A_UUID),
        ([value(TOKEN[:8], "A"), value(TOKEN[8:], "B"), value("$(A)$(B)")], TOKEN),
        ([value(TOKEN[:8], "A"), value(f"$(A){TOKEN[8:]}")], TOKEN),
        ([value(OTHER_TOKEN, "T"), value(TOKEN, "T"), value("$(T)")], TOKEN),
        ([value(TOKEN, "A"), value("$(A)", "B"), value("$(B)")], TOKEN),
        ([value("$(T)", "T"), value("$(T)")], NoToken.NOT_A_UUID),
    ],
)
def test_references_to_variables_are_filled_in(env: list[dict[str, Any]], token: Outcome) -> None:
    assert token_from(found_in({"env": env}), {}) == token


def test_a_reference_may_lead_to_a_source() -> None:
    found = found_in({"env": [reference("secret", "s", name="T"), value("$(T)")]})
    assert token_from(found, {"secret/s": {"k": TOKEN}}) == TOKEN
    assert token_from(found, {}) is NoToken.SECRET_MISSING
    found = found_in({"env": [value("$(T)")], "envFrom": [source_of("configMap", "m")]})
    assert token_from(found, {"configmap/m": {"T": TOKEN}}) == TOKEN
    assert token_from(found, {"configmap/m": {}}) is NoToken.NOT_A_UUID  # it stays as it is written
    found = found_in({"env": [reference("secret", "s", name="T", optional=True), value("$(T)")]})
    assert token_from(found, {}) is NoToken.NOT_A_UUID


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$", "$"), ("a$", "a$"), ("$$", "$"), ("$$(V)", "$(V)"), ("$$$(V)", "$v"), ("$(V)$", "v$"), ("$(V", "$(V"),
        ("$x$(V)", "$xv"), ("$()", "$()"), ("$(V)(V)", "v(V)"), ("$($(V))", "$($(V))"), ("$(N)", "$(N)"),
        ("$ (V)", "$ (V)"),
    ],
)  # fmt: skip
def test_references_are_read_as_kubernetes_reads_them(text: str, filled: str) -> None:
    volume = {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": filled}]}}
    mount = [{"name": "v", "mountPath": "/m"}]
    env = [value("v", "V"), value(f"/m/{text}", FILE)]
    assert token_from(found_in({"env": env, "volumeMounts": mount}, [volume]), {"secret/s": {"k": TOKEN}}) == TOKEN


@settings(deadline=None)  # a busy machine is no fault
@given(st.text("$()AB", max_size=12))
def test_what_a_reference_fills_in_is_what_the_reference_implementation_fills_in(text: str) -> None:
    (found,) = found_in({"env": [value("1", "A"), value(text, "B"), value(f"{TOKEN[:-1]}$(X)", NAME)]})
    assert found.where is NoToken.NOT_A_UUID
    expected = _expanded(text, {"A": "1"})
    volume = {"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": f"x{expected}x"}]}}
    env = [value("1", "A"), value(text, "B"), value("/m/x$(B)x", FILE)]
    mount = [{"name": "v", "mountPath": "/m"}]
    assert token_from(found_in({"env": env, "volumeMounts": mount}, [volume]), {"configmap/m": {"k": TOKEN}}) == TOKEN


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """Character by character, as Kubernetes' documentation of `$(VAR)` words it."""
    made, rest = "", text
    while rest:
        head, rest = rest[0], rest[1:]
        if head != "$" or not rest:
            made += head
        elif rest[0] == "$":
            made, rest = made + "$", rest[1:]
        elif rest[0] == "(" and ")" in rest:
            name, rest = rest[1:].split(")", 1)
            made += variables.get(name, f"$({name})")
        else:
            made, rest = made + "$" + rest[0], rest[1:]
    return made


@pytest.mark.parametrize(
    "env",
    [
        [value("ab", "V0"), *(value(f"$(V{n})$(V{n})", f"V{n + 1}") for n in range(40)), value("$(V40)")],
        [
            reference("secret", "s", name="V0"),
            *(value(f"$(V{n})$(V{n})", f"V{n + 1}") for n in range(40)),
            value("$(V40)"),
        ],
        [value("$(X)" * 100_000)],
        [*(value(f"$(V{n})", f"V{n + 1}") for n in range(3_000)), value("$(V3000)")],
    ],
    ids=["doubling texts", "doubling look-ups", "many", "a long chain"],
)
def test_references_without_end_are_given_up(env: list[dict[str, Any]]) -> None:
    assert found_in({"env": env}) in ([Found("c", NoToken.UNSUPPORTED)], [Found("c", NoToken.NOT_A_UUID)])


def test_no_repr_holds_a_token() -> None:
    found = [
        *found_in({"env": agent_env()}),
        *found_in({"env": [value(TOKEN), reference("secret", "s", optional=True)]}),
        *found_in({"env": [value(TOKEN, "T"), reference("secret", "s", name="T", optional=True), value("$(T)")]}),
    ]
    assert len(found) == 3
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("state", "last", "started"),
    [
        ({"waiting": {}}, {}, False),
        ({"running": {}}, {}, True),
        ({"terminated": {"exitCode": 1}}, {}, True),
        ({"waiting": {}}, {"terminated": {"exitCode": 1}}, True),
    ],
)
def test_a_container_has_started_once_it_ran(state: Any, last: Any, started: bool) -> None:
    value = pod()
    value["status"]["containerStatuses"] = [{"name": "c", "state": state, "lastState": last}]
    seen = msgspec.convert(value, Pod)
    assert all_started(seen, discover(seen.spec)) is started
