"""`python -m bench.soak`: a day in minutes. Workspaces arrive, live and leave, and nothing grows or stays.

Watcher, shipper and Valkey are real processes between the doubles, as in the other scenarios. What remains of a
workspace that is gone is kept for 25 hours; here for a tenth of the run (`bench.brief`), so that one run shows arrivals
and expiries in balance, and at its end, with everybody gone, whether something is left.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import click
import msgspec
import redis.asyncio

from bench import workload
from bench.bed import Bed, Contender, open_bed
from bench.curve import Sample, as_table, growths
from bench.processes import ChildFailed, python_command
from bench.report import machine
from bench.tally import tally
from common.store.keys import Keys
from console.doubles.kube_control import Delete, Step

__all__ = ["GROWTH_MAX", "Soaked", "as_text", "soak"]

SAMPLES: Final = 30
KEPT_SHARE: Final = 10
"""The run is so many times as long as what is gone is kept."""
LIVES_SHARE: Final = 20
"""And so many times as long as a workspace lives."""
_SAVED_S: Final = 3.0
"""Positions and known objects are saved each second."""
_LATE_S: Final = 60.0
_RQ: Final = b"rq:"
GROWTH_MAX: Final = 1.10
"""What is flat: the last third of the arrivals by the middle third."""


class Soaked(msgspec.Struct, frozen=True):
    """What a soak has shown."""

    workspaces: int
    seconds: float
    kept_s: int
    samples: tuple[Sample, ...]
    """While workspaces arrive, evenly spaced; the last one when all is over."""
    lost: int
    repeated: int
    keys_left: tuple[str, ...]
    """Of agents, objects and units that were not there at the beginning."""
    schedule_left: int
    """Entries of the schedule."""
    backlog: int

    @property
    def growths(self) -> dict[str, float]:
        """Of each size, while workspaces arrived."""
        return growths(self.samples[:-1])

    @property
    def grown(self) -> dict[str, float]:
        """Those sizes that were not flat, or of which nothing can be said."""
        return {name: by for name, by in self.growths.items() if not by <= GROWTH_MAX}

    @property
    def clean(self) -> bool:
        """Whether everything came once, nothing is left and nothing grew."""
        left = self.keys_left or self.schedule_left or self.backlog
        return not (self.lost or self.repeated or left or self.grown)


async def soak(workspaces: int, seconds: float) -> Soaked:
    """`workspaces` arrive evenly over `seconds` (>= 10), each leaves after a twentieth. Raises `ChildFailed`."""
    kept_s = max(3, round(seconds / KEPT_SHARE))

    def brief(program: str) -> list[str]:
        return python_command("bench.brief", program, str(kept_s))

    async with (
        open_bed(Contender.OURS, latency_s=0.005, command=brief) as bed,
        redis.asyncio.Redis.from_url(bed.redis_url) as client,
    ):
        await asyncio.sleep(_SAVED_S)
        keys_before, schedule_before = await _keys(client), await _scheduled(client)
        began_s = time.monotonic()
        names, samples = await _play(bed, client, workspaces, seconds)
        await bed.until_newest(names, within_s=_LATE_S)
        result = tally(await bed.kube.writes(), await bed.coder.agents(), names)
        await _until_expired(client, keys_before, within_s=3 * kept_s + _SAVED_S)
        samples.append(await _look(bed, client, time.monotonic() - began_s))
        left = await _keys(client) - keys_before
        return Soaked(
            workspaces=workspaces,
            seconds=seconds,
            kept_s=kept_s,
            samples=tuple(samples),
            lost=result.lost,
            repeated=result.repeated,
            keys_left=tuple(sorted(key.decode() for key in left)),
            schedule_left=await _scheduled(client) - schedule_before,
            backlog=samples[-1].counts["backlog"],
        )


async def _play(
    bed: Bed, client: redis.asyncio.Redis, workspaces: int, seconds: float
) -> tuple[set[str], list[Sample]]:
    """Arrivals and departures, a part after each sample; the names, and the samples."""
    began_s = time.monotonic()
    names: set[str] = set()
    samples: list[Sample] = []
    for number in range(SAMPLES):
        share = workspaces * (number + 1) // SAMPLES - workspaces * number // SAMPLES
        new = workload.workspaces(share, prefix=f"s{number}x")
        names |= {each.name for each in new}
        await bed.admit(new)
        await bed.play(_lives(new, every_s=seconds / workspaces, lives_s=seconds / LIVES_SHARE))
        await asyncio.sleep(max(0.0, began_s + (number + 1) * seconds / SAMPLES - time.monotonic()))
        samples.append(await _look(bed, client, time.monotonic() - began_s))
    return names, samples


def _lives(new: list[workload.Workspace], *, every_s: float, lives_s: float) -> list[Step]:
    """One after the other; each is gone `lives_s` after its arrival, and after its last event."""
    told_s = workload.EVENT_SPACING_S * (workload.EVENTS_PER_WORKSPACE + 1)
    ends = [
        Step(number * every_s + max(lives_s, told_s), Delete("pods", each.name, workload.NAMESPACE))
        for number, each in enumerate(new)
    ]
    steps = workload.arrivals(new, every_s=every_s, start_unix_s=time.time()) + ends
    return sorted(steps, key=lambda step: step.at_s)


async def _look(bed: Bed, client: redis.asyncio.Redis, at_s: float) -> Sample:
    memory = await client.info("memory")
    return Sample(
        at_s=at_s,
        sizes_bytes={**bed.rss_bytes(), "Redis' data": int(memory["used_memory"])},
        counts={
            "keys": len(await _keys(client)),
            "backlog": int(await client.hget(Keys().census, "waiting") or 0),
        },
    )


async def _keys(client: redis.asyncio.Redis) -> set[bytes]:
    """Those of agents, objects and units. The schedule's, of which there is one each, and RQ's come and go."""
    keys = Keys()
    schedule = {str(value).encode() for value in vars(keys).values()}
    passing = (_RQ, keys.wake_prefix.encode())
    return {key async for key in client.scan_iter(count=1_000) if key not in schedule and not key.startswith(passing)}


async def _scheduled(client: redis.asyncio.Redis) -> int:
    """Agents in the schedule, due, claimed or with an epoch."""
    keys = Keys()
    return int(await client.zcard(keys.due) + await client.scard(keys.claimed) + await client.hlen(keys.epoch))


async def _until_expired(client: redis.asyncio.Redis, before: set[bytes], *, within_s: float) -> None:
    """Until nothing is left but what was there before, or time is over."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s and await _keys(client) - before:  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0.5)


def as_text(soaked: Soaked) -> str:
    it = machine()
    by = ", ".join(f"{name} {by:.2f}" for name, by in soaked.growths.items())
    grown = [f"{name} is not flat: {by:.3f}, more than {GROWTH_MAX:.2f}" for name, by in soaked.grown.items()]
    left = f"keys left {len(soaked.keys_left)} {', '.join(soaked.keys_left[:3])}".rstrip()
    return "\n".join(
        [
            f"{it.processor}, {it.cores} cores, {it.memory_gib} GiB, {it.system}, Python {it.python}",
            f"{soaked.workspaces} workspaces in {soaked.seconds:.0f} s; 25 h of keeping are {soaked.kept_s} s",
            "",
            as_table(soaked.samples),
            "",
            f"last third by middle third of the arrivals: {by}",
            *grown,
            f"lost {soaked.lost}, repeated {soaked.repeated}, backlog {soaked.backlog}",
            f"{left}, schedule left {soaked.schedule_left}",
        ]
    )


@click.command()
@click.option("--workspaces", default=5_000, show_default=True, type=click.IntRange(min=SAMPLES))
@click.option("--seconds", default=600.0, show_default=True, type=click.FloatRange(min=10), help="Of arrivals.")
def main(workspaces: int, seconds: float) -> None:
    """A day in minutes: workspaces arrive, live and leave; a table, curves, and what is left of them."""
    try:
        soaked = asyncio.run(soak(workspaces, seconds))
    except ChildFailed as error:
        raise click.ClickException(str(error)) from error
    print(as_text(soaked))
    sys.exit(0 if soaked.clean else 1)


if __name__ == "__main__":
    main()
