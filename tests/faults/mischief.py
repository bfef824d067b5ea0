"""Carry out a plan's faults on a world. Each one ends by itself or by `World.mend`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

from console.doubles.coder_control import Inject, SetLatency, SetRateLimit
from console.doubles.faults import Answer, Drop, Hang, Injection
from console.doubles.faults import Fault as DoubleFault
from console.doubles.kube_control import AnswerGoneOverHttp, CutWatches, Forbid, HoldBack
from console.doubles.kube_control import Inject as KubeInject
from tests.faults.cutter import Cutter
from tests.faults.plan import Fault, Kind
from tests.faults.programs import LEASE_S, WATCHER_LEASE_S, Program, ShipperProgram, WatcherProgram

if TYPE_CHECKING:
    from tests.faults.world import World

__all__ = ["inflict"]

JUMPS_S: Final = (-86_400.0, -3_600.0, 3_600.0, 864_000.0)
CUT_WITHIN_S: Final = 15.0
QUOTA: Final = json.dumps({"message": "Logs limit exceeded"})
UNKNOWN_AGENT: Final = json.dumps({"message": "Workspace agent not authorized."})
BARE_429: Final = "You've been rate limited for sending more than 512 requests in 1m0s."


async def inflict(world: World, fault: Fault) -> bool:
    """Do it, and return when it is over. False: there was nothing to do it to."""
    kind = fault.kind
    if kind in _PROGRAM_KINDS:
        return await _to_program(world, fault)
    if kind in _PROXY_KINDS:
        return await _to_proxy(world, fault)
    if kind.value.startswith("Coder"):
        return await _to_coder(world, fault)
    if kind.value.startswith("Kubernetes"):
        return await _to_kube(world, fault)
    if kind is Kind.REDIS_RESTART:
        return await world.restart_redis(fault.for_s / 2)
    if kind is Kind.REDIS_FAIL_OVER:
        return await world.fail_over(fault.for_s / 2)
    if kind is Kind.REDIS_LAGGING:
        return await world.fail_over_lagging(fault.for_s / 4, fault.for_s / 2)
    if kind is Kind.REDIS_FLUSH:
        return await world.empty_redis()
    if kind is Kind.DOWNTIME:
        return await _downtime(world, fault)
    world.bells.unanswered = 0
    return True


# -- programs

_PROGRAM_KINDS: Final = {
    Kind.KILL_WATCHER, Kind.KILL_SHIPPER, Kind.PAUSE_WATCHER, Kind.PAUSE_SHIPPER, Kind.RESTART_WATCHER,
    Kind.RESTART_SHIPPER, Kind.CLOCK,
}  # fmt: skip


async def _to_program(world: World, fault: Fault) -> bool:
    a_watcher = fault.kind in (Kind.KILL_WATCHER, Kind.PAUSE_WATCHER, Kind.RESTART_WATCHER)
    slots = world.slots(WatcherProgram if a_watcher else ShipperProgram)
    if fault.kind is Kind.CLOCK:
        slots = world.slots(WatcherProgram) + world.slots(ShipperProgram)
    slot = slots[fault.target % len(slots)]
    program = world.running[slot]
    if program is None or program.process.paused:
        return False
    match fault.kind:
        case Kind.CLOCK:
            program.clock.wrong_by_s = JUMPS_S[fault.often % len(JUMPS_S)]
        case Kind.PAUSE_WATCHER | Kind.PAUSE_SHIPPER:
            await _pause(world, program, fault)
        case _:
            world.running[slot] = None
            with world.disturbing(program.name, fault.kind):
                killed = fault.kind in (Kind.KILL_WATCHER, Kind.KILL_SHIPPER)
                await (program.kill() if killed else program.stop())
            await asyncio.sleep(fault.for_s if killed else 0.0)
            await world.start(slot, same_host=fault.often % 2 == 0)
    return True


async def _downtime(world: World, fault: Fault) -> bool:
    """No watcher runs, killed or stopped; what happens meanwhile is seen by a list only."""
    down = {slot: program for slot in world.slots(WatcherProgram) if (program := world.running[slot]) is not None}
    if not down or any(program.process.paused for program in down.values()):
        return False
    for slot in down:
        world.running[slot] = None
    with contextlib.ExitStack() as disturbed:
        for program in down.values():
            disturbed.enter_context(world.disturbing(program.name, fault.kind))
        await asyncio.gather(*(each.kill() if fault.often % 2 else each.stop() for each in down.values()))
        await asyncio.sleep(fault.for_s)
        world.forget_history()
    for slot in down:
        await world.start(slot)
    return True


async def _pause(world: World, program: Program, fault: Fault) -> None:
    lease_s = WATCHER_LEASE_S if isinstance(program, WatcherProgram) else LEASE_S
    with world.disturbing(program.name, fault.kind):
        program.process.pause()
        await asyncio.sleep(lease_s + fault.for_s / 2)
        program.process.resume()


# -- proxies

_PROXY_KINDS: Final = {
    Kind.REDIS_CUT, Kind.REDIS_CUT_BETWEEN, Kind.REDIS_SILENT, Kind.REDIS_SLOW, Kind.REDIS_LOST_REPLY,
    Kind.CODER_CUT, Kind.CODER_SILENT, Kind.KUBE_SILENT, Kind.KUBE_DOWN,
}  # fmt: skip


async def _to_proxy(world: World, fault: Fault) -> bool:
    cutter = _cutter(world, fault)
    if cutter is None:
        return False
    if fault.kind is Kind.REDIS_CUT_BETWEEN:
        return await _cut_between(world, cutter, fault)
    with world.disturbing(cutter.owner, fault.kind):
        match fault.kind:
            case Kind.REDIS_SILENT | Kind.CODER_SILENT | Kind.KUBE_SILENT:
                cutter.hush()
                await asyncio.sleep(fault.for_s)
                cutter.speak()
                if fault.often % 2:
                    cutter.cut()
            case Kind.REDIS_SLOW:
                cutter.delay_s = fault.for_s / 20
                await asyncio.sleep(fault.for_s)
                cutter.delay_s = 0.0
            case Kind.REDIS_LOST_REPLY:
                cutter.lose_replies = fault.often
                await asyncio.sleep(fault.for_s)
                cutter.lose_replies = 0
            case _:
                cutter.refusing = True
                cutter.cut()
                await asyncio.sleep(fault.for_s if fault.often % 2 else 0.1)
                cutter.refusing = False
    return True


async def _cut_between(world: World, cutter: Cutter, fault: Fault) -> bool:
    """Cut one program off from Redis behind its next command, or one of the forty after that."""
    cutter.cut_after(1 + fault.target // 20 % 40)
    try:
        async with asyncio.timeout(CUT_WITHIN_S):
            await cutter.was_cut.wait()
    except TimeoutError:
        cutter.commands_left = 0
        return False  # it had not so much to say
    with world.disturbing(cutter.owner, fault.kind):
        await asyncio.sleep(0.0)
    return True


def _cutter(world: World, fault: Fault) -> Cutter | None:
    programs = [each for each in world.running.values() if each is not None]
    if fault.kind.value.startswith("Kubernetes"):
        cutters = [each.kube for each in programs if isinstance(each, WatcherProgram)]
    elif fault.kind.value.startswith("Coder"):
        cutters = [each.coder for each in programs if isinstance(each, ShipperProgram)]
    else:
        cutters = [each.redis for each in programs]
    return cutters[fault.target % len(cutters)] if cutters else None


# -- Coder

_ANSWERS: Final[dict[Kind, tuple[DoubleFault, ...]]] = {
    Kind.CODER_401: (Answer(401, UNKNOWN_AGENT),),
    Kind.CODER_413_BODY: (Answer(413, "<html>413 Request Entity Too Large</html>"),),
    Kind.CODER_413_QUOTA: (Answer(413, QUOTA),),
    Kind.CODER_429_BARE: (Answer(429, BARE_429), Answer(429, BARE_429, {"Retry-After": "3"})),
    Kind.CODER_500: (Answer(500, "oops"), Answer(503, "<html>no upstream</html>")),
    Kind.CODER_FOREIGN: (Answer(200, "<html>sign in</html>"), Answer(302, "", {"Location": "/login"})),
    Kind.CODER_RESET: (Drop(handled=True),),
    Kind.CODER_CLOSE: (Drop(),),
    Kind.CODER_HANG: (Hang(handled=True),),
}


async def _to_coder(world: World, fault: Fault) -> bool:
    coder = world.coder
    token = world.plan.workspaces[fault.target % len(world.plan.workspaces)].token
    match fault.kind:
        case Kind.CODER_SLOW:
            slow = token if fault.often % 2 else None
            coder.apply(SetLatency(LEASE_S + 1.0 + fault.for_s / 3, slow))
            await asyncio.sleep(fault.for_s + 4.0)
            coder.apply(SetLatency(0.0, slow))
        case Kind.CODER_429:
            coder.apply(SetRateLimit(fault.often * 6, 2))
            await asyncio.sleep(fault.for_s * 2)
            coder.apply(SetRateLimit(0))
        case Kind.CODER_POISON:
            pass  # an event of the plan
        case _:
            answers = _ANSWERS[fault.kind]
            only = {} if fault.kind in (Kind.CODER_500, Kind.CODER_FOREIGN) else {"token": token}
            if fault.kind in (Kind.CODER_413_BODY, Kind.CODER_413_QUOTA):
                only["endpoint"] = "logs"
            if fault.kind is Kind.CODER_429_BARE:
                only = {"endpoint": "logs"}
            coder.apply(Inject(Injection(answers[fault.target % len(answers)], fault.often, only)))
    return True


# -- Kubernetes


async def _to_kube(world: World, fault: Fault) -> bool:
    kube, resource = world.kube, ("pods", "replicasets", "events")[fault.target % 3]
    match fault.kind:
        case Kind.KUBE_DROP:
            kube.apply(CutWatches(resource if fault.often % 2 else ""))
        case Kind.KUBE_410_STREAM | Kind.KUBE_410_HTTP:
            kube.apply(AnswerGoneOverHttp(fault.kind is Kind.KUBE_410_HTTP))
            kube.apply(CutWatches())
            if fault.often % 2:  # what happens while nobody watches is seen by a list only
                world.refuse_kube(refusing=True)
                await asyncio.sleep(fault.for_s / 2)
                world.refuse_kube(refusing=False)
            world.forget_history()
        case Kind.KUBE_AGAIN:
            for number in range(fault.often):
                world.cluster.repeat(fault.target + 7 * number)
        case Kind.KUBE_BEHIND:
            kube.apply(HoldBack(resource))
            await asyncio.sleep(fault.for_s / 2)
            kube.apply(HoldBack(resource, on=False))
        case Kind.KUBE_FORBIDDEN:
            kube.apply(Forbid(resource=resource))
            kube.apply(CutWatches(resource))
            await asyncio.sleep(fault.for_s)
            kube.apply(Forbid(resource=resource, allowed=True))
        case Kind.KUBE_500:
            kube.apply(KubeInject(Injection(Answer(500, "{}"), fault.often)))
            kube.apply(CutWatches(resource))
        case _ as other:
            raise AssertionError(f"{other} is not Kubernetes'")
    return True
