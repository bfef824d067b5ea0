"""The starts that are played on the real node: what is created, and what its owner waits for before stopping it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tests.cluster.objects import Object, container, deployment, pod, secret
from tests.kubelet.node import REGISTRY, SANDBOX_IMAGE

RUN: Final = "trap 'exit 0' TERM; sleep infinity & wait"
"""What a workspace does: nothing, and ends when asked to."""
STATE: Final[Object] = {"name": "state", "emptyDir": {}}
"""Outlives a container, so that a program can know how often it was started."""
SCRATCH: Final[Object] = {"name": "scratch", "emptyDir": {"sizeLimit": "5Mi"}}
GRACE_S: Final = 5


class Scenario(msgspec.Struct, frozen=True):
    name: str
    """Also of its namespace."""
    until: tuple[str, ...]
    """Parts of lines. When all are in its log, its owner stops the workspace."""
    container: Object = {}
    """What its container has beside an image, an agent token and a program that runs."""
    env: Sequence[Object] = ()
    pod: Mapping[str, Any] = {}
    """What its pod has beside that."""
    quota: Mapping[str, str] = {}
    """What the namespace's quota allows; without any there is none."""
    before: tuple[tuple[str, Object], ...] = ()
    """Other resources and objects that are there first."""
    alone: bool = False
    """A bare pod, without a Deployment."""
    crash_log_lines: int = 0
    """What its watcher is told by this name."""

    @property
    def namespace(self) -> str:
        return f"coder-{self.name}"

    def workload(self, token: str) -> tuple[str, Object]:
        """Resource and object: a Deployment or a pod."""
        running = {"image": f"{REGISTRY}/{self.name}/dev:1.0", "command": ["sh", "-c", RUN]}
        what = container(token) | running | self.container
        what["env"] = [*what["env"], *self.env]
        made = pod("dev", what) if self.alone else deployment("dev", what)
        spec = made["spec"] if self.alone else made["spec"]["template"]["spec"]
        # Without the token of a service account nothing is mounted whose ConfigMap a kubelet may not have read yet.
        spec.update({"terminationGracePeriodSeconds": GRACE_S, "automountServiceAccountToken": False, **self.pod})
        return ("pods" if self.alone else "deployments"), made


def starts_after(failures: int, failing: str, then: str = RUN) -> Object:
    """What a container has that fails so often and does better then; both are a shell's words."""
    count = "n=$(cat /state/n 2>/dev/null || echo 0); echo $((n + 1)) >/state/n"
    script = f"{count}; if [ $n -lt {failures} ]; then {failing}; fi; {then}"
    return {"command": ["sh", "-c", script], "volumeMounts": [{"name": "state", "mountPath": "/state"}]}


def fills(then: str) -> Object:
    """What a container has that writes more into its scratch volume than it may."""
    script = f"sleep 2; dd if=/dev/zero of=/scratch/file bs=1M count=12 2>/dev/null; {then}"
    return {"command": ["sh", "-c", script], "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}


SCENARIOS: Final = (
    Scenario(
        "normal",
        until=("⏱️ Pod started in",),
        container={"image": f"{REGISTRY}/large/dev:1.0"},
    ),
    Scenario(
        "cached",
        until=("⏱️ Pod started in",),
        container={"image": SANDBOX_IMAGE},
    ),
    Scenario(
        "wrong-image",
        until=("cannot be pulled", 'dev:1.1" ×2'),
        container={"image": f"{REGISTRY}/team/dev:1.1"},
    ),
    Scenario(
        "private-image",
        until=("cannot be pulled", 'dev:1.0" ×2'),
        container={"image": f"{REGISTRY}/private/dev:1.0"},
    ),
    Scenario(
        "quota-exceeded",
        until=("exceeded quota", "limited: pods=0 ×", "🔧"),
        quota={"pods": "0"},
    ),
    Scenario(
        "crash-loop",
        until=("Container started (dev) ×4",),
        container=starts_after(3, "sleep 2; echo no database >/dev/termination-log; exit 1"),
        pod={"volumes": [STATE]},
    ),
    Scenario(
        "last-words",
        until=("📜", "Container started (dev) ×2"),
        container=starts_after(1, "sleep 2; echo starting; echo password=secret; exit 1"),
        pod={"volumes": [STATE]},
        crash_log_lines=2,
    ),
    Scenario(
        "out-of-memory",
        until=("Container started (dev) ×2",),
        container=starts_after(1, "sleep 2; exec tail /dev/zero") | {"resources": {"limits": {"memory": "32Mi"}}},
        pod={"volumes": [STATE]},
    ),
    Scenario(
        "missing-config-map",
        until=("cannot be made", "🔧"),
        env=[{"name": "EDITOR", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "editor"}}}],
    ),
    Scenario(
        "missing-secret-key",
        until=("cannot be made", "🔧"),
        env=[{"name": "GIT_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "git", "key": "password"}}}],
        before=(("secrets", secret("git", user="dev")),),
    ),
    Scenario(
        "unschedulable",
        until=("No node for the pod yet", "🔧"),
        container={"resources": {"requests": {"cpu": "200"}}},
    ),
    Scenario(
        "evicted",
        until=("was evicted",),
        container=fills("exec sleep 600"),
        pod={"volumes": [SCRATCH]},
        alone=True,
    ),
    Scenario(
        "evicted-in-good-order",
        until=("was evicted",),
        container=fills(RUN),
        pod={"volumes": [SCRATCH]},
        alone=True,
    ),
    Scenario(
        "init-container",
        until=("⏱️ Pod started in",),
        pod={
            "volumes": [STATE],
            "initContainers": [
                {"name": "migrate", "image": SANDBOX_IMAGE} | starts_after(1, "sleep 2; exit 2", then="exit 0")
            ],
        },
    ),
    Scenario(
        "liveness-probe",
        until=("Container started (dev) ×2", "ended"),
        container=starts_after(1, RUN) | {"livenessProbe": {"periodSeconds": 2, "exec": {"command": ["false"]}}},
        pod={"volumes": [STATE]},
    ),
)
