"""A node without a machine: plays the kubelet's part through the API, in the kubelet's words.

It registers a Node, so that the scheduler binds pods to it, then tells and shows of each pod what a kubelet does:
Pulling, Pulled, Created, Started, `status` up to Running and Ready; of a pod that `crashes` also BackOff with a growing
count; at the end Killing and the removal. A real kubelet needs a container runtime and root.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final, Self

from tests.cluster.api import ApiRefused, KubeApi, path_of
from tests.cluster.objects import Object, now

WRITES_AT_ONCE: Final = 12
HEARTBEAT_S: Final = 10.0
CAPACITY: Final = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
BACK_OFFS: Final = 9


def node(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [_ready()]},
    }


def _ready() -> Object:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }


def _ended(exit_code: int, container_id: str) -> Object:
    return {
        "exitCode": exit_code,
        "reason": "Error",
        "startedAt": now(),
        "finishedAt": now(),
        "containerID": container_id,
    }


class Kubelet:
    """`async with Kubelet(api) as kubelet:` is a Ready node until the block ends. Pods of all namespaces are served."""

    def __init__(self, api: KubeApi, random: Random, crashes: Callable[[Object], bool]) -> None:
        self._api = api
        self._random = random
        self._crashes = crashes
        self.name = f"node-{uuid.uuid4().hex[:6]}"
        self._writes = asyncio.Semaphore(WRITES_AT_ONCE)
        self._pods: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        self._crashed: dict[str, Object] = {}
        """By the pod's UID, how its first container ended."""
        self.failures: list[BaseException] = []
        """Of its own calls; empty unless the API server refused something."""

    async def __aenter__(self) -> Self:
        await self._api.create("nodes", "", node(self.name))
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._heartbeat())]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        tasks = [*self._tasks, *self._pods.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._api.call("DELETE", path_of("nodes", name=self.name))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._api.merge("nodes", "", self.name, {"status": {"conditions": [_ready()]}}, "status")

    async def _follow(self) -> None:
        """Serve each pod that is bound to this node; a watch that ends begins again with all pods."""
        mine = {"fieldSelector": f"spec.nodeName={self.name}"}
        while True:
            async for change in self._api.watch(path_of("pods"), query=mine):
                pod, uid = change["object"], change["object"]["metadata"]["uid"]
                if change["type"] == "DELETED":
                    continue
                if uid not in self._pods:
                    self._begin(uid, self._run(pod))
                if "deletionTimestamp" in pod["metadata"] and uid not in self._ending:
                    self._ending.add(uid)
                    self._pods[uid].cancel()
                    self._begin(uid, self._end(pod))

    def _begin(self, uid: str, work: Coroutine[Any, Any, None]) -> None:
        self._pods[uid] = asyncio.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.failures.append(error)
            raise

    async def _run(self, pod: Object) -> None:
        what = pod["spec"]["containers"][0]
        name, image = what["name"], what["image"]
        await self._tell(pod, "Pulling", f'Pulling image "{image}"')
        pull_ms = self._random.randint(100, 700)
        await asyncio.sleep(pull_ms / 1000)
        took = f"{pull_ms}ms ({pull_ms}ms including waiting)"
        await self._tell(pod, "Pulled", f'Successfully pulled image "{image}" in {took}. Image size: 1811206 bytes.')
        await self._tell(pod, "Created", f"Container created: {name}")
        await self._tell(pod, "Started", f"Container started: {name}")
        await self._show(pod, {"running": {"startedAt": now()}}, ready=True)
        if self._crashes(pod):
            await self._crash(pod)

    async def _crash(self, pod: Object) -> None:
        meta, container = pod["metadata"], pod["spec"]["containers"][0]["name"]
        self._crashed[meta["uid"]] = _ended(1, "test://1")
        await self._show(pod, {"waiting": {"reason": "CrashLoopBackOff"}}, ready=False)
        message = f"Back-off restarting failed container {container} in pod {meta['name']}_{meta['namespace']}"
        told = await self._tell(pod, "BackOff", f"{message}({meta['uid']})", warning=True)
        for count in range(2, BACK_OFFS + 1):
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            again = {"count": count, "lastTimestamp": now()}
            async with self._writes:
                await self._api.merge("events", meta["namespace"], told["metadata"]["name"], again)

    async def _end(self, pod: Object) -> None:
        meta = pod["metadata"]
        await self._tell(pod, "Killing", f"Stopping container {pod['spec']['containers'][0]['name']}")
        await asyncio.sleep(self._random.uniform(0.05, 0.3))
        ended = _ended(143, "test://2" if meta["uid"] in self._crashed else "test://1")
        await self._show(pod, {"terminated": ended}, ready=False, phase="Failed")  # as most programs end when asked to
        with contextlib.suppress(ApiRefused):  # someone was faster
            await self._api.delete("pods", meta["namespace"], meta["name"])

    async def _tell(self, pod: Object, reason: str, message: str, *, warning: bool = False) -> Object:
        """Write an Event as a kubelet's recorder does."""
        meta, at = pod["metadata"], now()
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
                "fieldPath": f"spec.containers{{{pod['spec']['containers'][0]['name']}}}",
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": "kubelet", "host": self.name},
            "reportingComponent": "kubelet",
            "reportingInstance": self.name,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        async with self._writes:
            return await self._api.create("events", meta["namespace"], body)

    async def _show(self, pod: Object, state: Object, *, ready: bool, phase: str = "Running") -> None:
        meta, what = pod["metadata"], pod["spec"]["containers"][0]
        crash = self._crashed.get(meta["uid"])
        shown = {
            "name": what["name"],
            "image": what["image"],
            "imageID": "",
            "ready": ready,
            # It counts the containers made after the first: one that waits to be made again is not among them.
            "restartCount": 1 if crash is not None and "terminated" in state else 0,
            "state": state,
            "lastState": {} if crash is None else {"terminated": crash},
        }
        conditions = [
            {"type": kind, "status": "True" if ready or kind == "Initialized" else "False", "lastTransitionTime": now()}
            for kind in ("Initialized", "Ready", "ContainersReady")
        ]
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
        status = {
            "phase": phase,
            "startTime": now(),
            "conditions": [*conditions, scheduled],
            "containerStatuses": [shown],
        }
        async with self._writes:
            await self._api.merge("pods", meta["namespace"], meta["name"], {"status": status}, "status")
