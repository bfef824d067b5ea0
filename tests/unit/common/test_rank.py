"""What matters more is shown longer, and told apart by what a record says, not by who wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rank import Rank, rank_of, shown_within_bytes, waits_within_bytes
from common.record import RECORD_VERSION, STATUS_VERSION, Details, Level, LogRecord, ObjectRef, Origin
from tests.unit.shipper.records import event, life

POD = ObjectRef("Pod", "dev", "web-1", "uid")  # type: ignore[arg-type]


def status(level: Level, aspect: str = "ended", restarts: int = 0) -> LogRecord:
    details = Details(aspect, restarts=restarts)
    return LogRecord(STATUS_VERSION, Origin.STATUS, POD, "i", 1, "Error", "", level, details=details)


@pytest.mark.parametrize(
    ("record", "rank"),
    [
        (event("Pulling image", level=Level.DEBUG), Rank.PASSING),
        (event("Pulling image", level=Level.DEBUG, count=9), Rank.PASSING),
        (event("no nodes", level=Level.WARN), Rank.NEWS),
        (event("no nodes", level=Level.WARN, count=2), Rank.REPEATED),
        (life("Pod", "Created"), Rank.NEWS),
        (LogRecord(RECORD_VERSION, Origin.OBJECT, POD, "i", 1, "NotKept", "", Level.WARN, count=12), Rank.NEWS),
        (status(Level.DEBUG), Rank.NEWS),
        (status(Level.WARN), Rank.NEWS),
        (status(Level.WARN, restarts=1), Rank.REPEATED),
        (status(Level.ERROR, restarts=9), Rank.GRAVE),
        (status(Level.DEBUG, "started", restarts=9), Rank.GRAVE),
        (status(Level.DEBUG, "not_started"), Rank.GRAVE),
        (status(Level.ERROR, "last_words"), Rank.NEWS),
        (status(Level.ERROR, "last_words", restarts=1), Rank.REPEATED),
    ],
)
def test_a_record_has_the_rank_of_what_it_tells(record: LogRecord, rank: Rank) -> None:
    assert rank_of(record, record.level) is rank


def test_an_operators_level_decides() -> None:
    assert rank_of(event("x", level=Level.DEBUG), Level.ERROR) is Rank.GRAVE
    assert rank_of(event("x", level=Level.WARN), Level.INFO) is Rank.PASSING


@given(st.integers(0, 1 << 40))
def test_what_matters_more_has_more_room_and_redis_refuses_after_the_shipper(budget: int) -> None:
    shown = [shown_within_bytes(rank, budget) for rank in Rank]
    waiting = [waits_within_bytes(rank, budget) for rank in Rank]
    assert shown == sorted(shown)
    assert waiting == sorted(waiting)
    assert all(shown_bytes <= waiting_bytes for shown_bytes, waiting_bytes in zip(shown, waiting, strict=True))
    assert shown[-1] == waiting[-1] == budget
    if budget >= 100:
        assert max(waiting[:-1]) < budget, "only what is grave may end a log"
