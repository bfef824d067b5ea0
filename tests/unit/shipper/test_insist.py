"""How long a settlement is insisted on, and how soon it goes once Redis is back. Time is virtual."""

from random import Random

import pytest
from structlog.testing import capture_logs

from common.store.errors import StoreRefused, StoreUnavailable
from shipper.insist import AGAIN_MAX_S, insist
from tests.virtual_clock import VirtualClock

START_S = VirtualClock().now_s


class Redis:
    """Away until the virtual time `back_at_s`."""

    def __init__(self, clock: VirtualClock, back_at_s: float) -> None:
        self._clock = clock
        self._back_at_s = back_at_s
        self.asked = 0

    async def settle(self) -> str:
        self.asked += 1
        if self._clock.now_s < self._back_at_s:
            raise StoreUnavailable("connection refused")
        return "settled"


@pytest.mark.parametrize("away_s", [0.0, 1.0, 60.0, 3_600.0, 86_400.0])
@pytest.mark.parametrize("seed", range(3))
async def test_a_settlement_outlasts_any_absence_and_goes_within_half_a_second_of_its_end(
    away_s: float, seed: int
) -> None:
    clock = VirtualClock()
    redis = Redis(clock, START_S + away_s)
    assert await insist(redis.settle, "agent", clock, Random(seed)) == "settled"
    assert away_s <= clock.now_s - START_S <= away_s + AGAIN_MAX_S


async def test_an_absence_is_said_once_for_an_agent_and_does_not_hammer_redis() -> None:
    clock = VirtualClock()
    redis = Redis(clock, START_S + 60.0)
    with capture_logs() as lines:
        await insist(redis.settle, "agent", clock, Random(1))
    assert [line["event"] for line in lines] == ["a settlement waits for Redis", "a settlement has reached Redis"]
    assert redis.asked < 60 * 8


async def test_a_refusal_is_an_answer() -> None:
    async def refuse() -> None:
        raise StoreRefused("out of memory")

    clock = VirtualClock()
    with pytest.raises(StoreRefused):
        await insist(refuse, "agent", clock, Random(1))
    assert clock.slept_s == []
