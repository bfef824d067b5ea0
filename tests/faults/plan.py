"""What a seed decides: a small world, what happens in its cluster, and which faults come when. Pure.

Times are compressed seconds after the start. The same seed gives the same plan; what the programs make of it depends
on the machine, too, so a plan is played again to find out whether a failure stays.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from random import Random
from typing import Final

import msgspec

__all__ = ["ENDS_S", "HANGS_FROM_S", "POISON", "Act", "DeletePod", "Fault", "Kind", "MakeReady",
           "Plan", "PutEvent", "PutPod", "PutReplicaSet", "PutSecret", "PutTry", "Step", "Workspace",
           "plan_of"]  # fmt: skip

ENDS_S: Final = 28.0
"""The last fault has begun by then."""
HANGING_EACH: Final = 10
"""Of so many seeds one is a schedule in which a single workspace hangs, and nothing else goes wrong."""
HANGS_FROM_S: Final = 14.0
HANGS_FOR_S: Final = 16.0
NAMESPACES: Final = ("red", "green", "blue")
POISON: Final = "☠"
"""Coder's database takes no batch with this in it."""


class Kind(StrEnum):
    """What goes wrong."""

    KILL_WATCHER = "kill -9 a watcher"
    KILL_SHIPPER = "kill -9 a shipper"
    PAUSE_WATCHER = "pause a watcher past its lease"
    PAUSE_SHIPPER = "pause a shipper past its leases"
    RESTART_WATCHER = "stop a watcher cleanly, start another"
    RESTART_SHIPPER = "stop a shipper cleanly, start another"
    DOWNTIME = "no watcher for a while, history forgotten meanwhile"
    REDIS_CUT = "Redis: connections cut"
    REDIS_SILENT = "Redis: half-open connections"
    REDIS_SLOW = "Redis: delayed"
    REDIS_LOST_REPLY = "Redis: reply lost"
    REDIS_CUT_BETWEEN = "Redis: cut between two commands"
    REDIS_FAIL_OVER = "Redis: fail-over to its replica"
    REDIS_LAGGING = "Redis: fail-over to a replica that lags"
    REDIS_RESTART = "Redis: killed, restarted from its AOF"
    REDIS_FLUSH = "Redis: emptied by mistake (FLUSHALL)"
    LOST_BELLS = "queue: bells lost"
    CODER_CUT = "Coder: connections cut"
    CODER_SILENT = "Coder: half-open connections"
    CODER_RESET = "Coder: reset after the body was obeyed"
    CODER_CLOSE = "Coder: closed before an answer"
    CODER_HANG = "Coder: obeys and never answers"
    CODER_SLOW = "Coder: answers later than a lease"
    CODER_401 = "Coder: 401 for a while"
    CODER_413_BODY = "Coder: 413 of a proxy"
    CODER_413_QUOTA = "Coder: 413, quota used up"
    CODER_429 = "Coder: rate limit with headers"
    CODER_429_BARE = "Coder: 429 without headers"
    CODER_500 = "Coder: 500"
    CODER_POISON = "Coder: a line its database refuses"
    CODER_FOREIGN = "Coder: answers of a proxy"
    KUBE_DROP = "Kubernetes: watches dropped"
    KUBE_410_STREAM = "Kubernetes: 410 in the stream"
    KUBE_410_HTTP = "Kubernetes: 410 as a status"
    KUBE_AGAIN = "Kubernetes: deliveries repeated"
    KUBE_BEHIND = "Kubernetes: one resource's watches behind the others"
    KUBE_FORBIDDEN = "Kubernetes: forbidden, given back"
    KUBE_500 = "Kubernetes: 500"
    KUBE_SILENT = "Kubernetes: half-open connections"
    KUBE_DOWN = "Kubernetes: refuses connections"
    CLOCK = "wall clock jumps"


_OF_A_SERVER: Final = (Kind.REDIS_RESTART, Kind.REDIS_FAIL_OVER, Kind.REDIS_LAGGING, Kind.REDIS_FLUSH)
"""What happens to a server as a whole, so that the world needs one of its own."""
_ANY: Final = [kind for kind in Kind if kind is not Kind.REDIS_FLUSH]
FLUSHED_EACH: Final = 12
"""Of so many seeds one has a server that is emptied, which takes away what waits."""


class Fault(msgspec.Struct, frozen=True):
    at_s: float
    kind: Kind
    target: int
    """Which program or workspace, modulo how many there are."""
    for_s: float
    often: int


class PutPod(msgspec.Struct, frozen=True, tag=True):
    workspace: int
    number: int
    """How many pods the workspace had before."""


class DeletePod(msgspec.Struct, frozen=True, tag=True):
    workspace: int
    number: int


class PutEvent(msgspec.Struct, frozen=True, tag=True):
    workspace: int
    number: int
    """Of the pod."""
    event: int
    """Unique in the workspace."""
    count: int
    poisonous: bool = False


class PutReplicaSet(msgspec.Struct, frozen=True, tag=True):
    """Of a workspace that wants more pods than a quota allows."""

    workspace: int


class PutTry(msgspec.Struct, frozen=True, tag=True):
    """Its controller could not make one."""

    workspace: int
    cause: int
    """Of those that the quota gives."""
    number: int
    """Of all tries, from 1."""


class PutSecret(msgspec.Struct, frozen=True, tag=True):
    workspace: int


class MakeReady(msgspec.Struct, frozen=True, tag=True):
    """The workspace's build ends: Coder knows its agent from now on."""

    workspace: int


Act = PutPod | DeletePod | PutEvent | PutReplicaSet | PutTry | PutSecret | MakeReady


class Step(msgspec.Struct, frozen=True):
    at_s: float
    act: Act


class Workspace(msgspec.Struct, frozen=True):
    namespace: str
    token: str
    by_secret: bool
    ready: bool
    """Whether Coder knows its agent from the beginning."""


class Plan(msgspec.Struct, frozen=True):
    seed: int
    watchers: int
    shippers: int
    whole_cluster: bool
    """Else the namespaces are named, and watched one by one."""
    owns_redis: bool
    workspaces: tuple[Workspace, ...]
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    hanging: int | None = None
    """The one workspace that Coder does not answer for, which is all that goes wrong: how do the others fare?"""


def plan_of(seed: int) -> Plan:
    random = Random(seed)
    hangs = seed % HANGING_EACH == HANGING_EACH - 1
    workspaces = tuple(_workspace(random, plain=hangs) for _ in range(9 if hangs else random.randint(5, 9)))
    hanging = random.randrange(len(workspaces)) if hangs else None
    faults = _with_flush(seed, _faults(random)) if hanging is None else _hanging(random, hanging)
    poisoned = {fault.target % len(workspaces) for fault in faults if fault.kind is Kind.CODER_POISON}
    steps = [step for index, each in enumerate(workspaces) for step in _story(random, index, each, index in poisoned)]
    refused = Random(f"refused {seed}")  # of its own, so that all else stays as it is
    if not hangs:  # whose lines are timed, each by itself
        steps += [step for index in range(len(workspaces)) for step in _refused(refused, index)]
    return Plan(
        seed=seed,
        watchers=random.randint(2, 3),
        shippers=1 if hangs else random.randint(2, 3),  # else another one would help the others
        whole_cluster=random.random() < 0.08,  # 128 slots to share, five times a second: it costs
        owns_redis=any(fault.kind in _OF_A_SERVER for fault in faults),
        workspaces=workspaces,
        steps=tuple(sorted(steps, key=lambda step: step.at_s)),
        faults=faults,
        hanging=hanging,
    )


def _faults(random: Random) -> tuple[Fault, ...]:
    return tuple(sorted((_fault(random) for _ in range(random.randint(4, 10))), key=lambda fault: fault.at_s))


def _with_flush(seed: int, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """`faults`, and FLUSHALL in every twelfth schedule, where nothing else happens to the server: a fail-over might
    bring back what was emptied, and of a crash right after it nothing is promised.
    """
    random = Random(f"flushed {seed}")  # of its own, so that all else stays as it is
    if random.randrange(FLUSHED_EACH):
        return faults
    flush = Fault(round(random.uniform(4.0, ENDS_S), 2), Kind.REDIS_FLUSH, 0, 0.0, often=1)
    kept = [fault for fault in faults if fault.kind not in _OF_A_SERVER]
    return tuple(sorted([*kept, flush], key=lambda fault: fault.at_s))


def _hanging(random: Random, workspace: int) -> tuple[Fault, ...]:
    """Coder obeys and never answers, or answers later than two leases."""
    if random.random() < 0.5:
        return (Fault(HANGS_FROM_S, Kind.CODER_HANG, workspace, 0.0, often=100),)
    return (Fault(HANGS_FROM_S, Kind.CODER_SLOW, workspace, HANGS_FOR_S - 4.0, often=1),)


def _workspace(random: Random, *, plain: bool) -> Workspace:
    """`plain`: it waits for nothing."""
    return Workspace(
        namespace=random.choice(NAMESPACES),
        token=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        by_secret=random.random() < 0.3 and not plain,
        ready=random.random() < 0.8 or plain,
    )


def _fault(random: Random) -> Fault:
    return Fault(
        at_s=round(random.uniform(2.0, ENDS_S), 2),
        kind=random.choice(_ANY),
        target=random.randrange(1_000),
        for_s=round(random.uniform(0.5, 10.0), 2),
        often=random.randint(1, 4),
    )


def _story(random: Random, workspace: int, about: Workspace, poisoned: bool) -> list[Step]:
    """One workspace: it is built, says much, is stopped perhaps, and started again perhaps."""
    began_s = random.uniform(0.5, 8.0)
    steps = []
    if about.by_secret:
        began_s /= 2
        steps.append(Step(began_s + random.choice((-0.2, 1.0, 2.0)), PutSecret(workspace)))
    if not about.ready:
        steps.append(Step(began_s + random.uniform(2.0, 8.0), MakeReady(workspace)))
    ends_s, number, event = ENDS_S, 0, 0
    while began_s < ends_s - 3.0:
        stops = random.random() < 0.5
        # Of a pod that went before its Secret was found there is nobody to tell.
        shortest_s = 18.0 if about.by_secret and number == 0 else 3.0
        until_s = random.uniform(began_s + shortest_s, ends_s) if stops else ends_s
        steps.append(Step(began_s, PutPod(workspace, number)))
        for _ in range(random.randint(6, 14)):
            steps += _event(random, workspace, number, event, began_s, until_s)
            event += 1
        if stops:
            steps.append(Step(until_s, DeletePod(workspace, number)))
        if not stops or random.random() < 0.5:
            break
        began_s, number = until_s + random.uniform(0.1, 2.0), number + 1
    if poisoned:
        steps.append(Step(random.uniform(8.0, 16.0), PutEvent(workspace, 0, event, 1, poisonous=True)))
    return steps


def _refused(random: Random, workspace: int) -> list[Step]:
    """Every third workspace's ReplicaSet wants a pod more, and tries again and again, for one reason or the other."""
    if random.random() < 2 / 3:
        return []
    at_s = random.uniform(0.5, 12.0)
    steps = [Step(at_s, PutReplicaSet(workspace))]
    at_s += random.uniform(-0.2, 0.2)  # the two watches may come in either order
    for number in range(1, random.randint(6, 24)):
        steps.append(Step(at_s, PutTry(workspace, random.choice((0, 0, 0, 1)), number)))
        at_s += random.uniform(0.05, 1.5)
    return steps


def _event(random: Random, workspace: int, number: int, event: int, began_s: float, until_s: float) -> list[Step]:
    """An event of a pod, with its repeats. Some overtake their pod, as two watches may."""
    at_s = random.uniform(began_s - 0.3, until_s - 0.3)
    steps = [Step(at_s, PutEvent(workspace, number, event, 1))]
    if random.random() < 0.3:
        for count in range(2, random.randint(3, 8)):
            at_s += random.uniform(0.1, 2.0)
            if at_s > until_s - 0.1:
                break
            steps.append(Step(at_s, PutEvent(workspace, number, event, count)))
    return steps
