"""`python -m tests.integration.common.late_name FIFO`: what is logged of a name that is resolved too late.

Asks a Coder whose name glibc looks up in FIFO, gives up on it, and lets the look-up fail only then. Prints what the
wire answered and what the event loop complained of. libuv must have one thread to look names up in.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from common.event_loop import new_event_loop
from shipper.http1 import Http1Wire

TIMEOUT_S = 0.2


def fail_from_now_on(fifo: str) -> None:
    """Let each look-up fail without asking anybody: an alias with a label that is too long is no name."""
    while True:
        # Opening waits for somebody who looks a name up. One who has read enough closes it, perhaps before we write.
        with contextlib.suppress(BrokenPipeError), Path(fifo).open("w") as aliases:
            aliases.write(f"coder {'x' * 100}\n")


async def main(fifo: str) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    wire = Http1Wire("http://coder", ssl.create_default_context(), timeout_s=TIMEOUT_S, connections=1)
    reply = await wire.ask("GET", "/", "", b"")
    threading.Thread(target=fail_from_now_on, args=(fifo,), daemon=True).start()
    await loop.getaddrinfo("localhost", 80)  # waits for its turn behind the other
    await wire.aclose()
    gc.collect()
    sys.stdout.write(f"{reply}\n{complaints}\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
