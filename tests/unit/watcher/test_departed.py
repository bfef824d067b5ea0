"""What becomes of namespaces that are remembered and not selected, without Redis and without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from common.ids import Unit
from common.store.ledger import Ledger
from common.store.model import Vacancy
from common.telemetry.metrics import WatcherMetrics
from tests.unit.watcher.rig import FakeApi, ManualClock
from watcher.departed import Departed
from watcher.kube_errors import Forbidden
from watcher.selection import Selection
from watcher.selectors import parse_labels
from watcher.shares import SLOTS


class Remembered:
    """A ledger that knows `units`; all but those in `verdicts` can be vacated."""

    def __init__(self, *units: Unit, verdicts: Mapping[Unit, Vacancy]) -> None:
        self.units = units
        self.verdicts = verdicts
        self.vacated: list[tuple[str, Unit]] = []

    async def met(self, resource: str) -> set[Unit]:
        return set(self.units) if resource == "pods" else set()

    async def vacate(self, resource: str, unit: Unit) -> Vacancy:
        verdict = self.verdicts.get(unit, Vacancy.VACATED)
        if verdict is Vacancy.VACATED:
            self.vacated.append((resource, unit))
        return verdict


class Rig:
    def __init__(self, *units: str, verdicts: Mapping[Unit, Vacancy] | None = None) -> None:
        self.api, clock = FakeApi(), ManualClock()
        metrics = WatcherMetrics(CollectorRegistry())
        self.selection = Selection(parse_labels("a=b"), self.api, metrics, clock, Random(1), watch_timeout_s=300)
        self.ledger = Remembered(*map(Unit, units), verdicts=verdicts or {})
        self.departed = Departed(self.api, cast(Ledger, self.ledger), self.selection, clock, Random(1))

    def exists(self, namespace: str) -> None:
        self.api.objects[f"/api/v1/namespaces/{namespace}"] = {"metadata": {"name": namespace}}


async def test_what_is_gone_is_forgotten_and_what_only_lost_its_label_is_not() -> None:
    rig = Rig("gone", "unlabelled", SLOTS[3])
    rig.exists("unlabelled")
    await rig.departed.look()
    assert rig.ledger.vacated == [(resource, Unit("gone")) for resource in ("pods", "replicasets", "events")]
    assert rig.api.asked == ["/api/v1/namespaces/gone", "/api/v1/namespaces/unlabelled"], "a slot is no namespace"
    assert rig.selection.units() == set()


async def test_what_is_gone_with_objects_that_are_known_is_read_once_more() -> None:
    rig = Rig("gone", verdicts={Unit("gone"): Vacancy.KNOWN})
    await rig.departed.look()
    assert rig.selection.units() == {Unit("gone")}
    await rig.departed.look()
    assert len(rig.api.asked) == 1, "while that lasts it is not asked about again"


async def test_what_another_watcher_reads_is_left_to_it() -> None:
    rig = Rig("gone", verdicts={Unit("gone"): Vacancy.HELD})
    await rig.departed.look()
    assert rig.selection.units() == set()
    assert rig.ledger.vacated == []


async def test_a_namespace_that_may_not_be_asked_about_is_not_taken_for_gone() -> None:
    rig = Rig("hidden")
    rig.api.objects["/api/v1/namespaces/hidden"] = Forbidden("no")
    with pytest.raises(Forbidden):
        await rig.departed.look()
    assert rig.ledger.vacated == []
