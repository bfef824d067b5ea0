"""What becomes of pods in the tests: their sources are put there, their containers start."""

from tests.cluster.api import KubeApi
from tests.cluster.objects import Object


async def put(kube: KubeApi, namespace: str, sources: list[Object]) -> None:
    for source in sources:
        await kube.create(f"{source['kind'].lower()}s", namespace, source)


async def say_started(kube: KubeApi, made: Object) -> None:
    """What the kubelet says when the container runs."""
    meta = made["metadata"]
    state = {"running": {"startedAt": meta["creationTimestamp"]}}
    shown = {"name": "dev", "image": "x", "imageID": "x", "ready": True, "restartCount": 0, "state": state}
    status = {"phase": "Running", "containerStatuses": [shown]}
    await kube.merge("pods", meta["namespace"], meta["name"], {"status": status}, "status")
