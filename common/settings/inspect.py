"""Settings of `doctor` and `status`, which look at what other programs do: all that `run` has, and nothing required."""

from __future__ import annotations

from typing import Annotated

from common.settings.run import LocalSettings
from common.settings.shipper import CODER_URL, DeliverySettings
from common.settings.values import HttpUrl

__all__ = ["InspectSettings"]


class InspectSettings(LocalSettings, DeliverySettings):
    """Settings of the programs that are looked at; without `redis_url` those of the `run` of `data_dir`."""

    coder_url: Annotated[HttpUrl | None, CODER_URL] = None
