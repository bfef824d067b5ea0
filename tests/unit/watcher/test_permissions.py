"""Which rights are needed with which options, and what is said of one that is lacking."""

import re

import pytest

from common.checkup import Mark
from common.settings.watcher import KubernetesSettings
from tests.unit.docs.pages import ROOT, table_rows
from watcher.directory import ANY_NAMESPACE
from watcher.permissions import Right, access_review, judged, needs_of

EVERYTHING = KubernetesSettings(namespace_selector="a=b", node_events=True, crash_log_lines=5)


def needed(settings: KubernetesSettings, *namespaces: str) -> dict[str, set[str]]:
    needs = needs_of(settings, namespaces)
    return {place: {f"{verb} {need.resource}" for need in each for verb in need.verbs} for place, each in needs.items()}


def test_options_bring_their_rights_to_their_places() -> None:
    plain = needed(KubernetesSettings(), ANY_NAMESPACE)[ANY_NAMESPACE]
    assert "watch events" in plain
    assert "get pods/log" not in plain
    more = needed(EVERYTHING, "a")
    assert more["a"] == plain | {"get pods/log"}
    assert more["default"] == {"list events", "watch events"}
    assert more[ANY_NAMESPACE] == {"get namespaces", "list namespaces", "watch namespaces"}


@pytest.mark.parametrize("place", ["default", ANY_NAMESPACE])
def test_what_a_place_has_anyway_is_not_asked_twice(place: str) -> None:
    assert needed(KubernetesSettings(node_events=True), place).keys() == {place}


def test_a_question_names_group_and_part() -> None:
    spec = access_review(Right("get", "pods/log", "a"))["spec"]
    assert spec == {"resourceAttributes": {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "a"}}
    spec = access_review(Right("list", "replicasets", ANY_NAMESPACE))["spec"]
    assert spec == {"resourceAttributes": {"verb": "list", "group": "apps", "resource": "replicasets"}}


def test_all_that_is_granted_is_one_line_and_what_lacks_has_its_own() -> None:
    needs = needs_of(KubernetesSettings(), ["a"])["a"]
    rights = [right for need in needs for right in need.rights("a")]
    everything = dict.fromkeys(rights, True)
    assert [finding.mark for finding in judged("a", needs, everything)] == [Mark.FINE]
    lacking = everything | {Right("list", "jobs", "a"): False, Right("get", "jobs", "a"): False}
    (_, jobs) = judged("a", needs, lacking)
    assert (jobs.mark, jobs.said) == (
        Mark.DOUBT,
        "may not get jobs: why the first pod of such a workspace cannot be made is not told",
    )
    assert jobs.remedy.startswith(
        "grant get on jobs of the API group batch in a Role in namespace a or in a ClusterRole"
    )


def test_the_table_for_people_names_the_same_resources() -> None:
    page = ROOT / "docs" / "how-to" / "run-on-one-machine.md"
    rows = [row[0] for row in table_rows(page) if len(row) == 3 and row[0].startswith("`")]
    named = {word for row in rows for word in re.findall(r"`([a-z/]+)`", row)} - {"apps", "batch", "default"}
    used = {need.resource for each in needs_of(EVERYTHING, ["a"]).values() for need in each}
    assert named == used
