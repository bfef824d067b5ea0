"""What is concluded from the course of one short watch."""

import pytest

from common.checkup import Mark
from watcher.kube_errors import Forbidden, Unreachable
from watcher.objects import ListPage, Pod, decode_list
from watcher.watch_trial import Broken, Course, Ended, Unended, judged, trial_query

POD = b'{"metadata":{"name":"web","namespace":"a","uid":"u","resourceVersion":"6"}}'


def page(*items: bytes) -> ListPage[Pod]:
    return decode_list(Pod, b'{"metadata":{"resourceVersion":"7"},"items":[%b]}' % b",".join(items))


def test_a_watch_of_a_pod_that_is_there_has_to_begin_with_it() -> None:
    query, tells = trial_query(page(POD))
    assert tells
    assert query == {
        "allowWatchBookmarks": "true", "timeoutSeconds": "2", "fieldSelector": "metadata.name=web",
        "resourceVersion": "0",
    }  # fmt: skip


def test_where_no_pod_is_the_watch_goes_on_from_the_list() -> None:
    query, tells = trial_query(page())
    assert not tells
    assert query == {"allowWatchBookmarks": "true", "timeoutSeconds": "2", "resourceVersion": "7"}


@pytest.mark.parametrize(
    ("course", "tells"),
    [
        (Ended(0.01, 0.01, 2.0), True),
        (Ended(0.01, None, 2.0), True),  # the pod was deleted in between
        (Ended(0.01, None, 2.0), False),
        (Ended(0.01, 1.9, 2.0), False),  # a pod came just then
        (Ended(5.0, 5.0, 7.0), True),  # a slow server
        (Ended(1.2, 1.2, 2.0), True),  # a busy machine of ours
    ],
)
def test_a_watch_that_begins_well_before_its_end_is_as_it_should_be(course: Course, tells: bool) -> None:
    assert judged("namespace a", course, tells=tells, longest_s=300).mark is Mark.FINE


@pytest.mark.parametrize(
    ("course", "tells", "said", "remedy"),
    [
        (Ended(2.0, 2.0, 2.0), True, "is answered only with its end, after 2.0 s", "proxy_buffering off"),
        (Ended(2.0, None, 2.0), False, "is answered only with its end, after 2.0 s", "proxy_buffering off"),
        (Ended(0.01, 2.0, 2.0), True, "tells only with its end, after 2.0 s", "proxy_buffering off"),
        (Unended(began=False), False, "had no answer within 10 s, though lists are", "proxy_buffering off"),
        (Unended(began=True), False, "its end did not come within 10 s", "proxy_buffering off"),
        (Ended(0.01, 0.01, 0.3), True, "ended after 0.3 s instead of 2", "longer than --watch-timeout-s, 300 s"),
        (Broken(0.01, 0.3, Unreachable("reset")), False, "broke off after 0.3 s: reset", "timeout server"),
        (Broken(None, 0.3, Unreachable("reset")), False, "none of pods in namespace a can be opened: reset", "pass"),
        (Broken(None, 0.3, Forbidden("no")), False, "none of pods in namespace a can be opened: no", "permissions"),
    ],
)
def test_any_other_watch_is_a_failure_with_its_remedy(course: Course, tells: bool, said: str, remedy: str) -> None:
    finding = judged("namespace a", course, tells=tells, longest_s=300)
    assert finding.mark is Mark.BAD
    assert said in finding.said
    assert remedy in finding.remedy
