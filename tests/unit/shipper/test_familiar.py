"""Who was heard from lately."""

from common.ids import AgentId
from shipper.familiar import QUIET_S, Familiar

A, B, C = AgentId("a"), AgentId("b"), AgentId("c")


def test_an_agent_is_quiet_until_heard_and_after_a_quiet_spell() -> None:
    familiar = Familiar()
    assert familiar.is_quiet(A, 0.0)
    familiar.heard(A, 0.0)
    assert not familiar.is_quiet(A, QUIET_S)
    assert familiar.is_quiet(A, QUIET_S + 1)


def test_memory_is_bounded_and_forgets_who_was_heard_longest_ago() -> None:
    familiar = Familiar(most=2)
    for agent in (A, B, A, C):
        familiar.heard(agent, 1.0)
    assert familiar.is_quiet(B, 1.0)
    assert not familiar.is_quiet(A, 1.0)
    assert not familiar.is_quiet(C, 1.0)
