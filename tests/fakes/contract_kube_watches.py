"""Kubernetes conformance of watches: what they begin with, what selectors do to them, bookmarks, how they end."""

from __future__ import annotations

import uuid
from typing import Final

import pytest

from tests.fakes.kubes import (
    KubeUnderTest,
    Object,
    WatchEvent,
    event,
    label,
    make,
    new_namespace,
    secret,
    version,
    within,
)

AFTER_ALL: Final = 1_000_000  # far beyond what a test cluster will write
INITIAL: Final = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
END_OF_INITIAL: Final = {"k8s.io/initial-events-end": "true"}
EMPTIED_WITHIN_S: Final = 90.0
"""A controller empties a namespace that ends, and tries again after a while if something is still in it."""


class KubeWatchContract:
    """What any API server sends. Part of `tests.fakes.contract_kube.KubeContract`."""

    async def test_a_watch_tells_each_change_after_its_version(self, kube: KubeUnderTest, namespace: str) -> None:
        await make(kube, namespace, secret("old"))
        start = await _newest(kube, namespace)
        async with kube.watch(within(namespace), {"resourceVersion": start}) as watch:
            made = await make(kube, namespace, secret("a"))
            changed = await label(kube, namespace, "a", tier="x")
            await kube.good("DELETE", within(namespace, name="a"))
            added, modified, deleted = [await watch.next() for _ in range(3)]
        assert [each.type for each in (added, modified, deleted)] == ["ADDED", "MODIFIED", "DELETED"]
        assert added.object == made
        assert modified.object == changed
        assert (added.object["kind"], added.object["apiVersion"]) == ("Secret", "v1")
        assert deleted.object["metadata"]["labels"] == {"tier": "x"}
        assert int(start) < added.version < modified.version < deleted.version

    async def test_a_watch_goes_on_from_where_another_ended(self, kube: KubeUnderTest, namespace: str) -> None:
        start = await _newest(kube, namespace)
        for name in "abc":
            await make(kube, namespace, secret(name))
        async with kube.watch(within(namespace), {"resourceVersion": start}) as watch:
            seen = [await watch.next() for _ in range(2)]
        async with kube.watch(within(namespace), {"resourceVersion": str(seen[-1].version)}) as watch:
            seen.append(await watch.next())
        assert [each.name for each in seen] == ["a", "b", "c"]

    @pytest.mark.parametrize("start", [{}, {"resourceVersion": "0"}])
    async def test_a_watch_without_a_version_begins_with_what_there_is(
        self, kube: KubeUnderTest, namespace: str, start: dict[str, str]
    ) -> None:
        await make(kube, namespace, secret("a"))
        async with kube.watch(within(namespace), start) as watch:
            first = await watch.next()
            await label(kube, namespace, "a", tier="x")
            second = await watch.next()
        assert [(each.type, each.name) for each in (first, second)] == [("ADDED", "a"), ("MODIFIED", "a")]

    async def test_a_watch_of_a_namespace_sees_no_other(self, kube: KubeUnderTest, namespace: str) -> None:
        other = await new_namespace(kube)
        start = await _newest(kube, namespace)
        async with kube.watch(within(namespace), {"resourceVersion": start}) as watch:
            await make(kube, other, secret("theirs"))
            await make(kube, namespace, secret("ours"))
            assert (await watch.next()).name == "ours"
        await kube.call("DELETE", f"/api/v1/namespaces/{other}")

    async def test_what_stops_matching_is_deleted_for_the_watch(self, kube: KubeUnderTest, namespace: str) -> None:
        start = await _newest(kube, namespace)
        query = {"resourceVersion": start, "labelSelector": "tier=x"}
        async with kube.watch(within(namespace), query) as watch:
            await make(kube, namespace, secret("other"))
            await make(kube, namespace, secret("a"))
            begins = await label(kube, namespace, "a", tier="x")
            stays = await label(kube, namespace, "a", more="1")
            stops = await label(kube, namespace, "a", tier="y")
            await kube.good("DELETE", within(namespace, name="a"))
            await make(kube, namespace, secret("b", tier="x"))
            seen = [await watch.next() for _ in range(4)]
        assert [(each.type, each.name) for each in seen] == [
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
            ("ADDED", "b"),
        ]
        assert [each.version for each in seen[:3]] == [version(value) for value in (begins, stays, stops)]
        # The last state that matched, under the version of the change that made it stop.
        assert seen[2].object["metadata"]["labels"] == {"tier": "x", "more": "1"}

    async def test_a_watch_can_select_by_field(self, kube: KubeUnderTest, namespace: str) -> None:
        about = {"kind": "Pod", "namespace": namespace, "name": "p", "uid": "u"}
        start = (await kube.good("GET", within(namespace, "events")))["metadata"]["resourceVersion"]
        query = {"resourceVersion": start, "fieldSelector": "involvedObject.uid=u,reason!=Pulling"}
        async with kube.watch(within(namespace, "events"), query) as watch:
            await make(kube, namespace, event("a", about | {"uid": "v"}, "Pulled"), "events")
            await make(kube, namespace, event("b", about, "Pulling"), "events")
            await make(kube, namespace, event("c", about, "Pulled"), "events")
            assert (await watch.next()).name == "c"

    async def test_a_repeated_event_is_modified(self, kube: KubeUnderTest, namespace: str) -> None:
        about = {"kind": "Pod", "namespace": namespace, "name": "p", "uid": "u"}
        made = await make(kube, namespace, event("a", about, "Pulled"), "events")
        start = made["metadata"]["resourceVersion"]
        async with kube.watch(within(namespace, "events"), {"resourceVersion": start}) as watch:
            await kube.good("PATCH", within(namespace, "events", "a"), {"count": 2})
            again = await watch.next()
        assert (again.type, again.object["count"]) == ("MODIFIED", 2)
        assert again.object["metadata"]["uid"] == made["metadata"]["uid"]

    # -- namespaces

    async def test_a_namespace_comes_and_goes_with_its_label(self, kube: KubeUnderTest, namespace: str) -> None:
        mark = uuid.uuid4().hex
        query = {"labelSelector": f"mark={mark}", "resourceVersion": await _newest_namespaces(kube)}
        async with kube.watch("/api/v1/namespaces", query) as watch:
            gets = await _mark(kube, namespace, mark)
            loses = await _mark(kube, namespace, None)
            await _mark(kube, namespace, mark)
            seen = [await watch.next() for _ in range(3)]
        assert [(each.type, each.name) for each in seen] == [
            ("ADDED", namespace),
            ("DELETED", namespace),
            ("ADDED", namespace),
        ]
        assert [each.version for each in seen[:2]] == [version(gets), version(loses)]
        assert seen[1].object["metadata"]["labels"]["mark"] == mark
        assert "deletionTimestamp" not in seen[1].object["metadata"], "it has only lost the label"

    async def test_a_deleted_namespace_is_told_as_such_after_all_that_was_in_it(self, kube: KubeUnderTest) -> None:
        mark = uuid.uuid4().hex
        start = await _newest_namespaces(kube)
        name = await new_namespace(kube, mark=mark)
        await make(kube, name, secret("a"))
        await kube.good("DELETE", f"/api/v1/namespaces/{name}")
        seen: list[WatchEvent] = []
        query = {"labelSelector": f"mark={mark}", "resourceVersion": start}
        async with kube.watch("/api/v1/namespaces", query) as watch:
            while not seen or seen[-1].type != "DELETED":
                seen.append(await watch.next(EMPTIED_WITHIN_S))
        assert [seen[0].type, *{each.type for each in seen[1:-1]}] == ["ADDED", "MODIFIED"]
        last = seen[-1].object
        assert (last["status"]["phase"], "deletionTimestamp" in last["metadata"]) == ("Terminating", True)
        async with kube.watch(within(name), {"resourceVersion": start}) as secrets:
            inside = [await secrets.next() for _ in range(2)]
        assert [each.type for each in inside] == ["ADDED", "DELETED"]
        assert inside[-1].version < seen[-1].version
        assert (await kube.call("GET", f"/api/v1/namespaces/{name}")).status == 404

    # -- how watches end

    async def test_a_watch_ends_in_order_when_its_time_is_over(self, kube: KubeUnderTest, namespace: str) -> None:
        start = await _newest(kube, namespace)
        async with kube.watch(within(namespace), {"resourceVersion": start, "timeoutSeconds": "1"}) as watch:
            assert await watch.rest() == []

    async def test_forgotten_history_is_told_in_the_stream(self, kube: KubeUnderTest, namespace: str) -> None:
        start = await _newest(kube, namespace)
        for name in "ab":
            await make(kube, namespace, secret(name))
        await kube.forget()
        for resource, told in (
            ("secrets", f"too old resource version: {start} ("),
            # These bypass the watch cache; the words are another's.
            ("events", "The resourceVersion for the provided watch is too old."),
        ):
            async with kube.watch(within(namespace, resource), {"resourceVersion": start}) as watch:
                [error] = await watch.rest()
            assert watch.status == 200
            assert error.type == "ERROR"
            assert (error.object["kind"], error.object["code"], error.object["reason"]) == ("Status", 410, "Expired")
            assert error.object["message"].startswith(told)

    async def test_a_version_that_is_no_number_is_an_error(self, kube: KubeUnderTest) -> None:
        answer = await kube.call("GET", "/api/v1/pods", query={"watch": "1", "resourceVersion": "bogus"})
        problem = 'strconv.ParseUint: parsing "bogus": invalid syntax'
        assert (answer.status, answer.message) == (500, f'resourceVersion: Invalid value: "bogus": {problem}')

    async def test_a_version_to_come_is_waited_for_in_vain(self, kube: KubeUnderTest, namespace: str) -> None:
        start = str(int(await _newest(kube, namespace)) + AFTER_ALL)
        async with kube.watch(within(namespace), {"resourceVersion": start, "timeoutSeconds": "1"}) as watch:
            await make(kube, namespace, secret("a"))
            assert (watch.status, await watch.rest()) == (200, [])

    # -- initial events and bookmarks

    async def test_initial_events_end_with_a_bookmark(self, kube: KubeUnderTest, namespace: str) -> None:
        for name in "ab":
            await make(kube, namespace, secret(name))
        newest = await _newest(kube, namespace)
        async with kube.watch(within(namespace), INITIAL | {"resourceVersion": newest}) as watch:
            first, second, mark = [await watch.next() for _ in range(3)]
            await make(kube, namespace, secret("c"))
            assert (await watch.next()).name == "c"
        assert [(each.type, each.name) for each in (first, second)] == [("ADDED", "a"), ("ADDED", "b")]
        assert mark.type == "BOOKMARK"
        assert (mark.object["kind"], mark.object["apiVersion"]) == ("Secret", "v1")
        assert mark.object["metadata"]["annotations"] == END_OF_INITIAL
        assert mark.version >= int(newest)

    async def test_initial_events_of_nothing_are_a_bookmark(self, kube: KubeUnderTest, namespace: str) -> None:
        async with kube.watch(within(namespace), INITIAL) as watch:
            assert (await watch.next()).object["metadata"]["annotations"] == END_OF_INITIAL

    async def test_initial_events_need_their_match(self, kube: KubeUnderTest, namespace: str) -> None:
        query = {"watch": "1", "sendInitialEvents": "true", "allowWatchBookmarks": "true"}
        answer = await kube.call("GET", within(namespace), query=query)
        assert (answer.status, answer.json()["reason"]) == (422, "Invalid")
        assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in answer.message

    async def test_a_match_needs_initial_events(self, kube: KubeUnderTest, namespace: str) -> None:
        query = {"watch": "1", "resourceVersion": "5", "resourceVersionMatch": "NotOlderThan"}
        answer = await kube.call("GET", within(namespace), query=query)
        assert (answer.status, answer.json()["reason"]) == (422, "Invalid")


async def _newest_namespaces(kube: KubeUnderTest) -> str:
    return str((await kube.good("GET", "/api/v1/namespaces"))["metadata"]["resourceVersion"])


async def _mark(kube: KubeUnderTest, namespace: str, mark: str | None) -> Object:
    return await kube.good("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"mark": mark}}})


async def _newest(kube: KubeUnderTest, namespace: str) -> str:
    found: Object = await kube.good("GET", within(namespace))
    return str(found["metadata"]["resourceVersion"])
