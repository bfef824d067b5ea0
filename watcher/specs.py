"""The parts of a pod specification that are read: where an agent token may come from, and what explains an ending.

Pure: structs for msgspec.

They name only the fields used. Volumes and mounts, which each pod has and hardly one needs, are left as they came
(`Raw`) until a token file is asked for, so they cost a pod without one nothing.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from watcher.limits import Requirements

__all__ = [
    "ClaimVolume",
    "Container",
    "Env",
    "EnvFrom",
    "EnvSource",
    "FileVolume",
    "Item",
    "KeyRef",
    "PodSpec",
    "PodTemplate",
    "ProjectedVolume",
    "SourceRef",
    "TemplateMetadata",
    "Volume",
    "VolumeMount",
    "decode_claims",
    "decode_mounts",
    "decode_volumes",
]


_ABSENT: Final = Raw()


class KeyRef(Struct, frozen=True):
    """A key of a Secret or ConfigMap."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class EnvSource(Struct, frozen=True, rename="camel"):
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None


class Env(Struct, frozen=True, rename="camel"):
    name: str
    value: str | None = None
    value_from: EnvSource | None = None

    def __repr__(self) -> str:  # values may be tokens
        return f"Env({self.name!r})"


class SourceRef(Struct, frozen=True):
    """A whole Secret or ConfigMap."""

    name: str = ""
    optional: bool | None = None


class EnvFrom(Struct, frozen=True, rename="camel"):
    prefix: str | None = None
    secret_ref: SourceRef | None = None
    config_map_ref: SourceRef | None = None


class Container(Struct, frozen=True, rename="camel"):
    name: str
    env: list[Env] | None = None
    env_from: list[EnvFrom] | None = None
    volume_mounts: Raw = _ABSENT
    resources: Requirements | None = None
    restart_policy: str | None = None
    """`Always` makes a sidecar of an init container."""


class PodSpec(Struct, frozen=True, rename="camel"):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: Raw = _ABSENT
    restart_policy: str | None = None
    node_name: str = ""


class TemplateMetadata(Struct, frozen=True):
    labels: dict[str, str] | None = None


class PodTemplate(Struct, frozen=True):
    metadata: TemplateMetadata | None = None
    spec: PodSpec | None = None


class Item(Struct, frozen=True):
    """Which key becomes which file."""

    key: str = ""
    path: str = ""


class FileVolume(Struct, frozen=True, rename="camel"):
    """A Secret or ConfigMap as files; only a Secret volume calls the name `secretName`."""

    name: str = ""
    secret_name: str = ""
    items: list[Item] | None = None
    optional: bool | None = None


class _Projected(Struct, frozen=True, rename="camel"):
    secret: FileVolume | None = None
    config_map: FileVolume | None = None


class ProjectedVolume(Struct, frozen=True):
    sources: list[_Projected] | None = None


class Volume(Struct, frozen=True, rename="camel"):
    name: str = ""
    secret: FileVolume | None = None
    config_map: FileVolume | None = None
    projected: ProjectedVolume | None = None


class VolumeMount(Struct, frozen=True, rename="camel"):
    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""


class ClaimRef(Struct, frozen=True, gc=False, rename="camel"):
    claim_name: str = ""


class EphemeralVolume(Struct, frozen=True, gc=False):
    """One whose claim is made with the pod."""


class ClaimVolume(Struct, frozen=True, rename="camel"):
    """A volume, as far as it has a claim."""

    name: str = ""
    persistent_volume_claim: ClaimRef | None = None
    ephemeral: EphemeralVolume | None = None


_Entry = TypeVar("_Entry")
_mounts: Final = msgspec.json.Decoder(list[VolumeMount] | None)
_volumes: Final = msgspec.json.Decoder(list[Volume] | None)
_claims: Final = msgspec.json.Decoder(list[ClaimVolume] | None)


def decode_mounts(raw: Raw) -> list[VolumeMount]:
    """Where a container has its volumes; none if they do not fit what Kubernetes promises."""
    return _entries(_mounts, raw)


def decode_volumes(raw: Raw) -> list[Volume]:
    """A pod's volumes; none if they do not fit what Kubernetes promises."""
    return _entries(_volumes, raw)


def decode_claims(raw: Raw) -> list[ClaimVolume]:
    """A pod's volumes with their claims; none if they do not fit what Kubernetes promises."""
    return _entries(_claims, raw)


def _entries(decoder: msgspec.json.Decoder[list[_Entry] | None], raw: Raw) -> list[_Entry]:
    try:
        return (decoder.decode(raw) if raw != _ABSENT else None) or []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
