"""What the probes of a shipper say."""

import asyncio
from random import Random

from prometheus_client import CollectorRegistry

from common.clock import SystemClock
from common.settings.load import load
from common.settings.shipper import ShipperSettings
from shipper.parts import Shipper


async def test_the_liveness_probe_names_the_task_that_ended_and_why(token_key: str) -> None:
    environ = {"CODER_URL": "https://coder.example.com", "CODER_LOGSTREAM_TOKEN_KEY": token_key}
    settings = load(ShipperSettings, flags={}, environ=environ, config_file=None)
    shipper = Shipper(settings, CollectorRegistry(), SystemClock(), Random(1))
    assert shipper.alive().ok
    shipper._background.start("sweeper", asyncio.sleep(0))  # noqa: SLF001 - the real ones do not end
    while shipper.alive().ok:  # noqa: ASYNC110 - a probe is asked, it does not tell
        await asyncio.sleep(0)
    assert shipper.alive().reason == "ended: sweeper (returned)"
    assert not shipper.ready().ok
    await shipper.close()
