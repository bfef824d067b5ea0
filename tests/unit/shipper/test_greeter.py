"""The greeter outlives whatever a question runs into, and says each thing once. Time is virtual."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from structlog.testing import capture_logs

from shipper.greeter import MET_AGAIN_S, UNMET_AGAIN_S, Greeter
from shipper.outcome import Answer, NoAnswer, Reply, Sent
from tests.virtual_clock import VirtualClock

URL = "https://coder.example.com"
GOOD = Answer(200, {}, b'{"version":"v2.35.0"}')


def answers(replies: Iterable[Reply | Exception]) -> Callable[[], Awaitable[Reply]]:
    """Coder's replies in turn; the test ends when they are used up."""
    left = iter(replies)

    async def ask() -> Reply:
        match next(left, None):
            case None:
                raise asyncio.CancelledError
            case Exception() as error:
                raise error
            case reply:
                return reply

    return ask


async def greet_all(*replies: Reply | Exception) -> tuple[Greeter, VirtualClock]:
    clock = VirtualClock()
    greeter = Greeter(answers(replies), URL, clock)
    with contextlib.suppress(asyncio.CancelledError):
        await greeter.run()
    return greeter, clock


async def test_the_greeter_survives_any_exception_of_a_question_and_logs_it_once() -> None:
    fault = UnicodeError("label too long")
    with capture_logs() as lines:
        greeter, _ = await greet_all(fault, fault, fault, GOOD)
    assert greeter.trouble == ""
    assert [line["event"] for line in lines] == ["asking Coder failed unexpectedly", "no usable Coder", "Coder answers"]


async def test_an_unexpected_exception_is_what_the_probe_says() -> None:
    greeter, _ = await greet_all(UnicodeError("label too long"))
    assert greeter.trouble == f"{URL} cannot be asked: UnicodeError: label too long"


async def test_a_coder_that_does_not_answer_is_asked_again_sooner() -> None:
    _, clock = await greet_all(NoAnswer(Sent.NO, "Connection refused"), GOOD, GOOD)
    assert clock.slept_s == [UNMET_AGAIN_S, MET_AGAIN_S, MET_AGAIN_S]


async def test_nothing_is_ready_before_coder_has_answered() -> None:
    assert Greeter(answers([]), URL, VirtualClock()).trouble
