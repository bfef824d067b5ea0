"""Whose history a server goes on with."""

import pytest

from common.store.errors import StoreChanged
from common.store.lineage import Lineage

ANSWER = b"# Replication\r\nrole:master\r\nmaster_replid:%s\r\nmaster_replid2:0\r\n"
OURS, OTHER = ANSWER % b"a1", ANSWER % b"b2"


def test_the_first_one_met_is_ours_and_another_is_refused_until_it_is_accepted() -> None:
    lineage = Lineage()
    lineage.meet(OURS)
    lineage.meet(OURS)
    for _ in range(2):
        with pytest.raises(StoreChanged):
            lineage.meet(OTHER)
    lineage.go_on()
    lineage.meet(OTHER)
    with pytest.raises(StoreChanged):
        lineage.meet(OURS)


def test_a_server_that_hides_its_history_is_taken_for_the_same() -> None:
    lineage = Lineage()
    lineage.meet(OURS)
    lineage.meet(b"# Replication\r\nrole:master\r\n")
    lineage.meet(OURS)
