"""Token files: followed by mount and volume to the key that they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.watcher.containers import FILE, Cluster, found_in, reference, source_of, spec_of, token_from, value
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN
from watcher.mounts import Kind
from watcher.sought import ABSENT, UNREAD, Key, NoToken, Sought, token_of
from watcher.tokens import Found, InValue, discover

_SECRET_VOLUME = {"name": "v", "secret": {"secretName": "s"}}
_ITEMS = {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "deep/token"}]}}
_PROJECTED = {
    "name": "v",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "sa"}},
            {"secret": {"name": "s", "items": [{"key": "k", "path": "token"}]}},
            {"configMap": {"name": "m", "optional": True}},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "mount", "volume", "source"),
    [
        ("/run/coder/token", {"mountPath": "/run/coder"}, _SECRET_VOLUME, "secret/s/token"),
        ("/run/coder/token", {"mountPath": "/run/coder/"}, _SECRET_VOLUME, "secret/s/token"),
        ("/run//coder/./x/../token", {"mountPath": "/run/coder"}, _SECRET_VOLUME, "secret/s/token"),
        ("/token", {"mountPath": "/"}, _SECRET_VOLUME, "secret/s/token"),
        ("/run/deep/token", {"mountPath": "/run"}, _ITEMS, "secret/s/k"),
        ("/run/token", {"mountPath": "/run/token", "subPath": "token"}, _SECRET_VOLUME, "secret/s/token"),
        ("/run/token", {"mountPath": "/run", "subPath": "deep"}, _ITEMS, "secret/s/k"),
        ("/run/token", {"mountPath": "/run/token", "subPathExpr": "$(DIR)/token"}, _ITEMS, "secret/s/k"),
        ("/run/token", {"mountPath": "/run"}, {"name": "v", "configMap": {"name": "m"}}, "configmap/m/token"),
        ("/run/token", {"mountPath": "/run"}, _PROJECTED, "secret/s/k"),
        ("$(BASE)/token", {"mountPath": "/run"}, _SECRET_VOLUME, "secret/s/token"),
    ],
)
def test_a_token_file_is_followed_into_its_volume(
    path: str, mount: dict[str, Any], volume: dict[str, Any], source: str
) -> None:
    env = [value("deep", "DIR"), value("/run", "BASE"), value(path, FILE)]
    found = found_in({"env": env, "volumeMounts": [{"name": "v", **mount}]}, [volume])
    kind, name, key = source.split("/")
    assert token_from(found, {f"{kind}/{name}": {key: f"{TOKEN}\n"}}) == TOKEN
    assert isinstance(found[0].where, Sought)
    assert token_of(found[0].where, lambda _: None) is UNREAD


@pytest.mark.parametrize(
    ("path", "mount", "volume"),
    [
        ("/elsewhere/token", {"mountPath": "/run"}, _SECRET_VOLUME),
        ("/runner/token", {"mountPath": "/run"}, _SECRET_VOLUME),
        ("run/token", {"mountPath": "/run"}, _SECRET_VOLUME),
        ("/run/token", {"mountPath": "/run"}, _ITEMS),
        ("/run/a/token", {"mountPath": "/run"}, _SECRET_VOLUME),
        ("/run", {"mountPath": "/run"}, _SECRET_VOLUME),
        ("/run/token", {"mountPath": "/run"}, {"name": "v", "emptyDir": {}}),
        ("/run/token", {"mountPath": "/run"}, {"name": "other", "secret": {"secretName": "s"}}),
    ],
)
def test_a_token_file_that_no_source_holds_is_said(path: str, mount: dict[str, Any], volume: dict[str, Any]) -> None:
    found = found_in({"env": [value(path, FILE)], "volumeMounts": [{"name": "v", **mount}]}, [volume])
    assert found == [Found("c", NoToken.UNSUPPORTED)]


def test_the_innermost_mount_has_the_file() -> None:
    mounts = [{"name": "v", "mountPath": "/run"}, {"name": "e", "mountPath": "/run/coder"}]
    empty: dict[str, Any] = {"name": "e", "emptyDir": {}}
    deep = {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "coder/token"}]}}
    for volumes, where in (
        ([deep, empty], NoToken.UNSUPPORTED),
        ([{**empty, "name": "v"}, {**_SECRET_VOLUME, "name": "e"}], Sought(None, Key(Kind.SECRET, "s", "token"))),
    ):
        (found,) = found_in({"env": [value("/run/coder/token", FILE)], "volumeMounts": mounts}, volumes)
        assert found.where == where


def test_a_file_that_one_projected_source_lacks_is_the_one_of_the_next() -> None:
    sources = [{"secret": {"name": "a"}}, {"secret": {"name": "b"}}]
    volume = {"name": "v", "projected": {"sources": sources}}
    mounts = [{"name": "v", "mountPath": "/r"}]
    found = found_in({"env": [value("/r/token", FILE)], "volumeMounts": mounts}, [volume])
    assert token_from(found, {"secret/a": {"token": TOKEN}, "secret/b": {}}) == TOKEN
    assert token_from(found, {"secret/a": {}, "secret/b": {}}) is NoToken.SECRET_KEY_MISSING


def test_of_projected_sources_the_last_that_has_the_file_wins() -> None:
    found = found_in(
        {"env": [value("/r/token", FILE)], "volumeMounts": [{"name": "v", "mountPath": "/r"}]}, [_PROJECTED]
    )
    secret = {"secret/s": {"k": TOKEN}}
    assert token_from(found, {**secret, "configmap/m": {"token": OTHER_TOKEN}}) == OTHER_TOKEN
    assert token_from(found, {**secret, "configmap/m": {}}) == TOKEN
    assert token_from(found, {}) is NoToken.SECRET_MISSING


def test_a_files_source_that_lacks() -> None:
    env, mounts = [value("/r/token", FILE)], [{"name": "v", "mountPath": "/r"}]
    for optional, missing, keyless in (
        (False, NoToken.SECRET_MISSING, NoToken.SECRET_KEY_MISSING),
        (True, ABSENT, ABSENT),
    ):
        volume = {"name": "v", "secret": {"secretName": "s", "optional": optional}}
        found = found_in({"env": env, "volumeMounts": mounts}, [volume])
        assert token_from(found, {}) is missing
        assert token_from(found, {"secret/s": {}}) is keyless


def test_the_variable_goes_before_the_file_unless_it_is_empty() -> None:
    mounts = [{"name": "v", "mountPath": "/r"}]
    file = value("/r/token", FILE)
    data = {"secret/s": {"token": OTHER_TOKEN}}

    def found(*env: dict[str, Any]) -> list[Found]:
        return found_in({"env": [*env, file], "volumeMounts": mounts}, [_SECRET_VOLUME])

    assert found(value(TOKEN)) == [Found("c", InValue(TOKEN))]
    assert token_from(found(value("")), data) == OTHER_TOKEN
    assert token_from(found(reference("configMap", "m")), {**data, "configmap/m": {"k": ""}}) == OTHER_TOKEN
    assert token_from(found(reference("configMap", "m")), {**data, "configmap/m": {"k": TOKEN}}) == TOKEN
    assert token_from(found(reference("configMap", "m", optional=True)), data) == OTHER_TOKEN


def test_the_path_of_the_file_may_come_from_a_source() -> None:
    mounts = [{"name": "v", "mountPath": "/r"}]
    found = found_in({"envFrom": [source_of("configMap", "m")], "volumeMounts": mounts}, [_SECRET_VOLUME])
    cluster: Cluster = {"configmap/m": {FILE: "/r/token"}, "secret/s": {"token": TOKEN}}
    assert token_from(found, cluster) == TOKEN
    assert token_from(found, {"configmap/m": {}}) is ABSENT
    assert token_from(found, {"configmap/m": {FILE: "/elsewhere"}}) is NoToken.UNSUPPORTED


@pytest.mark.parametrize("volumes", [{"volumes": 5}, {"volumes": [{"name": 5}]}, {"volumes": None}, {}])
def test_volumes_that_do_not_fit_are_no_volumes(volumes: dict[str, Any]) -> None:
    mounts = [{"name": "v", "mountPath": "/r"}]
    container = {"name": "c", "env": [value("/r/token", FILE)], "volumeMounts": mounts}
    assert discover(spec_of({"containers": [container], **volumes})) == [Found("c", NoToken.UNSUPPORTED)]
