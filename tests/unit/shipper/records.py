"""Records for the tests of this folder."""

from common.ids import Uid
from common.record import RECORD_VERSION, Level, LogRecord, ObjectRef, Origin
from common.wording.read import shipped_wording
from common.wording.table import subject_of
from shipper.text import Line, render

WORDING = shipped_wording()

NOON_MS = 1_795_435_200_000
"""2026-11-23 12:00:00 UTC."""


def worded(record: LogRecord, now_ms: int = NOON_MS) -> list[Line]:
    """The lines of `record` by the table that ships, without hints."""
    return render(record, WORDING.of(subject_of(record)), now_ms)


def event(message: str = "", *, reason: str = "", level: Level = Level.DEBUG, **rest: object) -> LogRecord:
    fields: dict[str, object] = {"last_at_ms": NOON_MS, "first_at_ms": NOON_MS, "type": "Normal", **rest}
    return LogRecord(
        v=RECORD_VERSION,
        origin=Origin.EVENT,
        object=ObjectRef("Pod", "dev", "web-1", Uid("uid")),
        identity="e",
        version=1,
        reason=reason,
        message=message,
        level=level,
        **fields,  # type: ignore[arg-type]
    )


def life(kind: str, reason: str, name: str = "web-1", message: str = "") -> LogRecord:
    return LogRecord(
        v=RECORD_VERSION,
        origin=Origin.OBJECT,
        object=ObjectRef(kind, "dev", name, Uid("uid")),
        identity="o",
        version=1,
        reason=reason,
        message=message,
        level=Level.DEBUG,
    )
