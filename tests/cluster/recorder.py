"""A second pair of eyes: writes down each change of pods, ReplicaSets and Events as the API server says it.

A process of its own (`python -m tests.cluster.recorder KUBECONFIG`), so that its clock readings do not wait for the
test's work. It shares no code with the watcher. One JSON line a change on stdout, after a first line «recording».
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.cluster.api import KubeApi, path_of

RESOURCES: Final = ("pods", "replicasets", "events")


class Row(msgspec.Struct, frozen=True):
    """One change, and when it was read (Unix, the same clock in all processes of a machine)."""

    at_ns: int
    type: str
    object: dict[str, Any]


async def follow(api: KubeApi, resource: str, version: str) -> None:
    """Write down all after `version`. A watch that ends is opened again; raises ApiRefused if history is gone."""
    while True:
        async for change in api.watch(path_of(resource), version=version):
            at_ns = time.time_ns()
            if change["type"] == "ERROR":
                raise SystemExit(f"the watch of {resource} broke: {change}")
            version = str(change["object"]["metadata"]["resourceVersion"])
            if change["type"] != "BOOKMARK":
                row = msgspec.json.encode(Row(at_ns, change["type"], change["object"]))
                sys.stdout.buffer.write(row + b"\n")
                sys.stdout.buffer.flush()


async def record(kubeconfig: Path) -> None:
    """Record until this is killed; what was there before is left out."""
    async with KubeApi(kubeconfig) as api, asyncio.TaskGroup() as group:
        for resource in RESOURCES:
            listed = await api.call("GET", path_of(resource), query={"limit": "1"})
            group.create_task(follow(api, resource, str(listed["metadata"]["resourceVersion"])))
        sys.stdout.buffer.write(b'"recording"\n')
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
