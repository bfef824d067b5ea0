"""The HTTP side of one watcher."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request

from tests.integration.watcher.rig import until
from tests.servers import free_port


class Page:
    """`addr` is for `--metrics-addr` or `--probe-addr`."""

    def __init__(self) -> None:
        self.addr = f"127.0.0.1:{free_port()}"

    async def get(self, path: str) -> str:
        """The body, whatever the status; "" while nobody listens."""

        def read() -> str:
            try:
                with urllib.request.urlopen(f"http://{self.addr}{path}", timeout=10) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError as refusal:
                return refusal.read().decode()
            except OSError:
                return ""

        return await asyncio.to_thread(read)

    async def series(self) -> dict[str, float]:
        """Counters by name and labels, without the common prefix and suffix."""
        found = re.findall(r"^coder_logstream_(\w+)_total(\{.*\})? (\S+)$", await self.get("/metrics"), re.MULTILINE)
        return {name + labels: float(value) for name, labels, value in found}

    async def until_counted(self, series: str, value: float) -> None:
        async def there() -> bool:
            return (await self.series()).get(series) == value

        await until(there)

    async def sample(self, series: str) -> float | None:
        """The value of `series` as it is written on the page, without our prefix; None if it is not there."""
        begin = f"coder_logstream_{series} "
        found = [line for line in (await self.get("/metrics")).splitlines() if line.startswith(begin)]
        return float(found[0].removeprefix(begin)) if found else None

    async def until_sampled(self, series: str, value: float) -> None:
        async def there() -> bool:
            return await self.sample(series) == value

        await until(there)

    async def until_ready(self) -> None:
        async def ready() -> bool:
            return await self.get("/readyz") == "ok\n"

        await until(ready)
