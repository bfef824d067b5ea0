"""`python -m tests.integration.release.neighbour`: a watcher or a shipper of a release before or after this one.

Synthetic: NEIGHBOUR says which program, NEIGHBOUR_IS how it differs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import msgspec

from common.record import STATUS_VERSION, encode_record
from common.settings.flags import run_program
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from common.store.connect import SCHEMA
from common.store.model import encode_card
from shipper.program import run_shipper
from watcher.packed import pack
from watcher.program import run_watcher

LONGER, SHORTER, LATER = "longer", "shorter", "later"
"""One that has appended fields; that lacks the last ones; whose records are of the next version."""


def changed(encode: Callable[..., bytes], change: Callable[[list[Any]], object]) -> Callable[..., bytes]:
    """`encode` with its array changed by `change`."""

    def encoded(*values: Any) -> bytes:
        items = msgspec.msgpack.decode(encode(*values))
        change(items)
        return msgspec.msgpack.encode(items)

    return encoded


def append_field(items: list[Any]) -> None:
    items.append("of a later release")


def append_inside(items: list[Any]) -> None:
    items[1].append("of a later release")


def drop_last(items: list[Any]) -> None:
    items.pop()


def drop_inside(items: list[Any]) -> None:
    items[1].pop()


def become(how: str) -> None:
    """Make this process's code that of the neighbour."""
    differences: dict[str, Any] = {"common.store.connect.SCHEMA": SCHEMA + (-1 if how == SHORTER else 1)}
    if how == LATER:
        differences |= dict.fromkeys(
            ("common.record.STATUS_VERSION", "watcher.records.RECORD_VERSION"), STATUS_VERSION + 1
        )
    else:
        one, inside = (append_field, append_inside) if how == LONGER else (drop_last, drop_inside)
        differences |= {
            "watcher.telling.encode_record": changed(encode_record, one),
            "watcher.registrar.pack": changed(pack, inside),
            "common.store.writer.encode_card": changed(encode_card, one),
        }
    for target, stand_in in differences.items():
        mock.patch(target, stand_in).start()


if __name__ == "__main__":
    become(os.environ["NEIGHBOUR_IS"])
    if os.environ["NEIGHBOUR"] == "watcher":
        sys.exit(run_program("watcher", WatcherSettings, run_watcher))
    sys.exit(run_program("shipper", ShipperSettings, run_shipper))
