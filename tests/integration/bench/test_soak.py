"""The soak's short form: real watcher, shipper and Valkey. What grows slowly is the long form's."""

from bench.soak import SAMPLES, soak


async def test_workspaces_that_came_and_went_leave_nothing_behind() -> None:
    soaked = await soak(workspaces=150, seconds=12)
    assert (soaked.lost, soaked.repeated) == (0, 0)
    assert soaked.keys_left == ()
    assert (soaked.schedule_left, soaked.backlog) == (0, 0)
    assert soaked.grown == {}
    assert soaked.clean
    assert len(soaked.samples) == SAMPLES + 1
    assert max(each.counts["keys"] for each in soaked.samples) > 30 + soaked.samples[-1].counts["keys"]
