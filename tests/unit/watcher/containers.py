"""Containers as templates write them, and the token that one comes to in a cluster with these sources."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from watcher.mounts import Kind
from watcher.sought import Failure, Outcome, Reading, Sought, Source, SourceData, token_of
from watcher.specs import PodSpec
from watcher.tokens import Found, InValue, discover

NAME, FILE = "CODER_AGENT_TOKEN", "CODER_AGENT_TOKEN_FILE"
Cluster = Mapping[str, Mapping[str, str] | Failure]
"""`secret/<name>` and `configmap/<name>`, values as they are before base64."""


def spec_of(value: dict[str, Any]) -> PodSpec:
    return msgspec.json.decode(msgspec.json.encode(value), type=PodSpec)


def found_in(container: dict[str, Any], volumes: list[dict[str, Any]] | None = None) -> list[Found]:
    return discover(spec_of({"containers": [{"name": "c", **container}], "volumes": volumes or []}))


def token_from(found: list[Found], cluster: Cluster) -> Outcome:
    """What the one token of `found` comes to."""
    (each,) = found
    match each.where:
        case InValue(token):
            return token
        case Sought() as sought:
            return token_of(sought, lambda source: _reading(source, cluster))
        case reason:
            return reason


def _reading(source: Source, cluster: Cluster) -> Reading:
    data = cluster.get(f"{source.kind}/{source.name}", Failure.MISSING)
    if isinstance(data, Failure):
        return data
    if source.kind is Kind.SECRET:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return SourceData(data)


def value(value: str, name: str = NAME) -> dict[str, Any]:
    return {"name": name, "value": value}


def reference(
    kind: str, source: str, key: str = "k", name: str = NAME, *, optional: bool | None = None
) -> dict[str, Any]:
    reference = {"name": source, "key": key} | ({} if optional is None else {"optional": optional})
    return {"name": name, "valueFrom": {f"{kind}KeyRef": reference}}


def source_of(kind: str, source: str, prefix: str = "", *, optional: bool = False) -> dict[str, Any]:
    return {"prefix": prefix, f"{kind}Ref": {"name": source, "optional": optional}}
