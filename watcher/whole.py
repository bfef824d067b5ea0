"""A whole number of Kubernetes' API, of which none is wider than 64 bits: an object with a wider one does not fit.

JSON knows no such bound, but records do: one with a wider number could not be written to Redis.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

__all__ = ["Whole"]

Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
