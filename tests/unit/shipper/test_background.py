"""No background task ends in silence."""

import asyncio

from structlog.testing import capture_logs

from shipper.background import Background


async def fail_in_a_group() -> None:
    async def fail() -> None:
        raise ValueError("redis://user:secret@redis is odd")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


async def test_a_task_that_ends_is_logged_and_kept_with_its_reason() -> None:
    background = Background()
    with capture_logs() as lines:
        background.start("drainer", fail_in_a_group())
        background.start("sweeper", asyncio.sleep(0))
        background.start("greeter", asyncio.sleep(3600))
        while len(background.ended) < 2:  # noqa: ASYNC110 - tasks of the background cannot be waited for from outside
            await asyncio.sleep(0)
    reasons = {"drainer": "ValueError: redis://[redacted]@redis is odd", "sweeper": "returned"}
    assert background.ended == reasons
    assert {line["task"]: line["reason"] for line in lines} == reasons
    assert {line["log_level"] for line in lines} == {"error"}
    await background.close()


async def test_a_stop_is_not_an_end_to_speak_of() -> None:
    background = Background()
    background.start("greeter", asyncio.sleep(3600))
    await asyncio.sleep(0)
    with capture_logs() as lines:
        await background.close()
    assert not background.ended
    assert not lines
