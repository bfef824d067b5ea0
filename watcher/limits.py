"""How much memory a container may use: the part of its specification, and Kubernetes' quantities. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct

__all__ = ["Limits", "Requirements", "quantity_bytes"]


class Limits(Struct, frozen=True, gc=False):
    memory: str | int | None = None


class Requirements(Struct, frozen=True, gc=False):
    limits: Limits | None = None


_QUANTITY: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})([kKMGTPE]i?|m|[eE][0-9]{1,2})?")
_FACTORS: Final = {
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    **{sign: Decimal(1000**power) for power, sign in enumerate("MGTPE", start=2)},
    **{f"{sign}i": Decimal(1024**power) for power, sign in enumerate("KMGTPE", start=1)},
}

_MAX: Final = 2**63 - 1


def quantity_bytes(quantity: str | int | None) -> int:
    """Bytes of a Kubernetes quantity (`512Mi`, `1e9`, 1073741824), 0 if there is none or it is malformed.

    At most 2^63 - 1, to which Kubernetes caps one, too.
    """
    match = _QUANTITY.fullmatch(str(quantity)) if quantity is not None else None
    if match is None:
        return 0
    number, unit = match.groups()
    if unit is None:
        factor = Decimal(1)
    elif unit in _FACTORS:
        factor = _FACTORS[unit]
    elif unit[1:].isdigit():
        factor = Decimal(10) ** int(unit[1:])
    else:
        return 0  # `K` alone is none
    return min(int(Decimal(number) * factor), _MAX)
