"""From a record to the streams of all agents of an object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.rank import rank_of
from common.record import LogRecord, Origin, encode_record
from common.store.model import Entry, Home
from watcher.directory import Known, Seat
from watcher.publisher import Publisher

__all__ = ["entries", "tell"]


def tell(publisher: Publisher, record: LogRecord, known: Known, on_new: Callable[[], None] | None = None) -> None:
    """Append `record` to the streams of all of the object's agents. `on_new`: as `Publisher.append` has it."""
    for entry in entries(record, known.seats):
        publisher.append(entry, on_new)


def entries(record: LogRecord, seats: Sequence[Seat]) -> list[Entry]:
    """`record` for the agent of each of `seats`, in their order."""
    payload, rank = encode_record(record), rank_of(record, record.level)
    home = Home.EVENT if record.origin is Origin.EVENT else Home.OBJECT
    return [Entry(seat.agent, record.identity, record.version, home, payload, rank) for seat in seats]
