"""StatefulSets and Jobs, as far as they are read: their template, and whether they wait for a pod. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from watcher.objects import Metadata, decoded
from watcher.specs import PodTemplate

__all__ = ["Maker", "decode_maker"]


class _Spec(Struct, frozen=True):
    template: PodTemplate | None = None
    replicas: int | None = None
    suspend: bool | None = None


class _Condition(Struct, frozen=True):
    type: str = ""
    status: str = ""


class _Status(Struct, frozen=True, rename="camel"):
    ready_replicas: int | None = None
    """Of a StatefulSet."""
    ready: int | None = None
    """Of a Job: its pods that are ready."""
    conditions: list[_Condition] | None = None


class Maker(Struct, frozen=True):
    """What makes pods by itself."""

    metadata: Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def template(self) -> PodTemplate | None:
        return self.spec.template

    @property
    def waits(self) -> bool:
        """Whether fewer pods are ready than it wants, and it still tries."""
        wanted = 1 if self.spec.replicas is None else self.spec.replicas
        ended = any(each.type in _ENDED and each.status == "True" for each in self.status.conditions or ())
        return wanted > (self.status.ready_replicas or self.status.ready or 0) and not ended and not self.spec.suspend


_ENDED: Final = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
"""Conditions of a Job that makes no more pods (read: Kubernetes' API, `JobConditionType`)."""
_makers: Final = msgspec.json.Decoder(Maker)


def decode_maker(body: bytes) -> Maker:
    """The object in `body`. Raises `ValueError` if it is none."""
    return decoded(_makers, body)
