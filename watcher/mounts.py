"""Which key of which Secret or ConfigMap a file in a container is. Pure.

A path leads to the innermost mount around it, from there into the mount's volume (below its `subPath`), and there to an
item, or to the key of that name where a volume lists no items. Of several projected sources that bring one path
Kubernetes keeps the last. Read in Kubernetes' volume plug-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from posixpath import isabs, join, normpath

from msgspec import Struct

from watcher.specs import FileVolume, Volume, VolumeMount

__all__ = ["Kind", "Mount", "Place", "Projection", "find", "mounts_of"]


class Kind(StrEnum):
    """Of a source; with an s it is the resource's name in the API."""

    SECRET = "secret"
    CONFIG_MAP = "configmap"


class Projection(Struct, frozen=True, array_like=True):
    """A Secret or ConfigMap as files. `items`: (path, key) pairs; None: every key, under its name."""

    kind: Kind
    name: str
    items: tuple[tuple[str, str], ...] | None
    optional: bool


class Mount(Struct, frozen=True, array_like=True):
    """A volume in a container; without projections it is of a type that is not read."""

    path: str
    sub_path: str
    projections: tuple[Projection, ...]


class Place(Struct, frozen=True):
    """Where a file's content may lie."""

    kind: Kind
    name: str
    key: str
    optional: bool


def mounts_of(
    mounts: Iterable[VolumeMount], volumes: Iterable[Volume], expand: Callable[[str], str | None]
) -> tuple[Mount, ...]:
    """`expand` answers a `subPathExpr` with its variables filled in, None if that cannot be known beforehand."""
    by_name = {volume.name: tuple(_projections(volume)) for volume in volumes}
    made = []
    for mount in mounts:
        sub_path = expand(mount.sub_path_expr) if mount.sub_path_expr else mount.sub_path
        projections = by_name.get(mount.name, ()) if sub_path is not None else ()
        made.append(Mount(normpath(mount.mount_path or "/"), sub_path or "", projections))
    return tuple(made)


def find(path: str, mounts: Iterable[Mount]) -> tuple[Place, ...]:
    """Where the file at `path` may lie, the place that counts most first; empty if nothing that is read has it."""
    path = normpath(path.strip())
    if not isabs(path):
        return ()  # from a working directory that the image may set
    around = [mount for mount in mounts if path == mount.path or path.startswith(mount.path.rstrip("/") + "/")]
    if not around:
        return ()
    mount = max(around, key=lambda each: len(each.path))
    inside = normpath(join(mount.sub_path, path[len(mount.path) :].lstrip("/")))
    return tuple(
        Place(projection.kind, projection.name, key, projection.optional)
        for projection in reversed(mount.projections)
        if (key := _key(projection, inside)) is not None
    )


def _key(projection: Projection, inside: str) -> str | None:
    if projection.items is None:
        return None if "/" in inside or inside in (".", "..") else inside
    return next((key for path, key in projection.items if normpath(path) == inside), None)


def _projections(volume: Volume) -> Iterator[Projection]:
    if volume.secret is not None:
        yield _projection(Kind.SECRET, volume.secret.secret_name, volume.secret)
    if volume.config_map is not None:
        yield _projection(Kind.CONFIG_MAP, volume.config_map.name, volume.config_map)
    for source in (volume.projected.sources if volume.projected is not None else None) or ():
        if source.secret is not None:
            yield _projection(Kind.SECRET, source.secret.name, source.secret)
        if source.config_map is not None:
            yield _projection(Kind.CONFIG_MAP, source.config_map.name, source.config_map)


def _projection(kind: Kind, name: str, volume: FileVolume) -> Projection:
    items = tuple((item.path, item.key) for item in volume.items) if volume.items else None
    return Projection(kind, name, items, bool(volume.optional))
