"""A 401 of over two minutes is said in the log, once for each hold; shorter ones and other troubles are not."""

import msgspec
import structlog
from structlog.testing import capture_logs

from common.ids import AgentId, Epoch
from common.store.model import AgentState, Card, Lease
from shipper.patience import REMEMBERED_MAX, Patience
from shipper.reasons import Reason

structlog.reset_defaults()
NOW_MS = 1_000_000_000


def lease(agent: str = "a") -> Lease:
    card = Card(b"sealed", "coder", "web-1", "web", "alice")
    return Lease(AgentId(agent), Epoch(1), card, AgentState(), unsettled=False, now_ms=NOW_MS)


def held(for_s: float, why: Reason = Reason.UNAUTHORIZED) -> AgentState:
    return AgentState(held_since_ms=NOW_MS - round(for_s * 1000), held_why=why, tries=3)


def said(patience: Patience, state: AgentState, why: Reason = Reason.UNAUTHORIZED, agent: str = "a") -> list[str]:
    with capture_logs() as logs:
        patience.tell(lease(agent), state, why, NOW_MS)
    return [f"{each['log_level']} {each['namespace']}/{each['name']} {each['held_s']}" for each in logs]


def test_it_is_said_after_two_minutes_and_not_before() -> None:
    assert said(Patience(), held(119.9)) == []
    assert said(Patience(), held(120)) == ["warning coder/web-1 120"]


def test_it_is_said_once_for_each_hold() -> None:
    patience = Patience()
    assert len(said(patience, held(130))) == 1
    assert said(patience, held(130)) == []
    assert len(said(patience, msgspec.structs.replace(held(130), held_since_ms=NOW_MS - 125_000))) == 1
    assert len(said(patience, held(130), agent="another")) == 1


def test_another_trouble_is_not_coders_ignorance() -> None:
    assert said(Patience(), held(600, Reason.UNREACHABLE), Reason.UNREACHABLE) == []


def test_what_is_remembered_is_bounded() -> None:
    patience = Patience()
    assert len(said(patience, held(130), agent="first")) == 1
    for number in range(REMEMBERED_MAX):
        patience.tell(lease(str(number)), held(130), Reason.UNAUTHORIZED, NOW_MS)
    assert len(said(patience, held(130), agent="first")) == 1
