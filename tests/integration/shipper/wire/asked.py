"""Put a request to a wire, and say which kind of reply is expected."""

import uuid

from shipper.outcome import Answer, NoAnswer, Sent
from shipper.wire import Wire

TOKEN = str(uuid.uuid4())


async def answer(wire: Wire, body: bytes = b"[]") -> Answer:
    reply = await wire.ask("PATCH", "/logs", TOKEN, body)
    assert isinstance(reply, Answer), reply
    return reply


async def no_answer(wire: Wire, sent: Sent) -> NoAnswer:
    reply = await wire.ask("PATCH", "/logs", TOKEN, b"[]")
    assert isinstance(reply, NoAnswer), reply
    assert reply.sent is sent, reply
    assert reply.why
    assert TOKEN not in repr(reply)
    return reply
