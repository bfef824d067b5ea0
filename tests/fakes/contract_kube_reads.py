"""Kubernetes conformance, all but watches: access, single objects, lists and their pages, selectors."""

from __future__ import annotations

import uuid
from typing import Final

import pytest

from tests.fakes.kubes import (
    KubeUnderTest,
    Object,
    cached,
    event,
    label,
    make,
    make_pod,
    names,
    new_namespace,
    pod,
    secret,
    version,
    within,
)

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
AFTER_ALL: Final = 1_000_000  # far beyond what a test cluster will write


class KubeReadContract:
    """What any API server answers. Part of `tests.fakes.contract_kube.KubeContract`."""

    # -- who may ask what

    async def test_the_version_is_told(self, kube: KubeUnderTest) -> None:
        assert (await kube.good("GET", "/version"))["gitVersion"].startswith("v1.")

    async def test_an_unknown_token_is_unauthorized(self, kube: KubeUnderTest) -> None:
        answer = await kube.call("GET", "/api/v1/pods", token="nobody")
        assert answer.status == 401
        assert answer.json() == _status(401, "Unauthorized", "Unauthorized")

    async def test_the_forbidden_is_named(self, kube: KubeUnderTest) -> None:
        user = kube.powerless
        answer = await kube.call("GET", "/api/v1/pods", token=user.token)
        told = f'pods is forbidden: User "{user.name}" cannot list resource "pods" in API group "" at the cluster scope'
        assert answer.json() == _status(403, told, "Forbidden", {"kind": "pods"})
        answer = await kube.call("GET", within("default", "events"), query={"watch": "1"}, token=user.token)
        assert answer.status == 403
        assert answer.message.endswith('cannot watch resource "events" in API group "" in the namespace "default"')
        answer = await kube.call("GET", "/apis/apps/v1/namespaces/default/replicasets/x", token=user.token)
        assert answer.message.startswith('replicasets.apps "x" is forbidden: ')
        assert answer.json()["details"] == {"name": "x", "group": "apps", "kind": "replicasets"}

    async def test_rights_can_be_asked_for(self, kube: KubeUnderTest) -> None:
        asked = {"spec": {"resourceAttributes": {"verb": "watch", "resource": "pods", "namespace": "default"}}}
        mine = await kube.call("POST", REVIEWS, asked)
        assert (mine.status, mine.json()["status"]["allowed"]) == (201, True)
        others = await kube.call("POST", REVIEWS, asked, token=kube.powerless.token)
        assert (others.status, others.json()["status"]["allowed"]) == (201, False)

    # -- single objects

    async def test_what_is_not_there_is_not_found(self, kube: KubeUnderTest, namespace: str) -> None:
        answer = await kube.call("GET", within(namespace, "pods", "none"))
        assert answer.json() == _status(404, 'pods "none" not found', "NotFound", {"name": "none", "kind": "pods"})
        answer = await kube.call("GET", "/apis/nope/v1/things")
        assert (answer.status, answer.body.strip()) == (404, b"404 page not found")

    async def test_an_object_is_got_with_what_the_server_fills_in(self, kube: KubeUnderTest, namespace: str) -> None:
        made = await make(kube, namespace, secret("a", tier="x"))
        got = await kube.good("GET", within(namespace, name="a"))
        assert got["metadata"] == made["metadata"]
        assert (got["kind"], got["apiVersion"]) == ("Secret", "v1")
        assert {"uid", "resourceVersion", "creationTimestamp"} <= set(got["metadata"])

    async def test_a_name_is_taken_once(self, kube: KubeUnderTest, namespace: str) -> None:
        await make(kube, namespace, secret("a"))
        again = await kube.call("POST", within(namespace), secret("a"))
        assert (again.status, again.json()["reason"]) == (409, "AlreadyExists")
        nowhere = await kube.call("POST", within("no-such-namespace"), secret("a"))
        assert (nowhere.status, nowhere.message) == (404, 'namespaces "no-such-namespace" not found')

    async def test_an_update_of_an_old_version_is_a_conflict(self, kube: KubeUnderTest, namespace: str) -> None:
        made = await make(kube, namespace, secret("a"))
        await label(kube, namespace, "a", tier="x")
        answer = await kube.call("PUT", within(namespace, name="a"), made)
        assert (answer.status, answer.json()["reason"]) == (409, "Conflict")

    async def test_an_update_that_alters_nothing_is_no_change(self, kube: KubeUnderTest, namespace: str) -> None:
        made = await make(kube, namespace, secret("a", tier="x"))
        same = await label(kube, namespace, "a", tier="x")
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    async def test_a_new_object_of_an_old_name_has_another_uid(self, kube: KubeUnderTest, namespace: str) -> None:
        first = await make(kube, namespace, secret("a"))
        await kube.good("DELETE", within(namespace, name="a"))
        second = await make(kube, namespace, secret("a"))
        assert first["metadata"]["uid"] != second["metadata"]["uid"]

    # -- lists

    async def test_a_list_has_a_version_and_bare_items(self, kube: KubeUnderTest, namespace: str) -> None:
        made = await make(kube, namespace, secret("a"))
        found = await kube.good("GET", within(namespace))
        assert (found["kind"], found["apiVersion"]) == ("SecretList", "v1")
        assert set(found["metadata"]) == {"resourceVersion"}
        assert version(found) >= version(made)
        [item] = found["items"]
        assert "kind" not in item
        assert "apiVersion" not in item
        assert item["metadata"]["uid"] == made["metadata"]["uid"]

    async def test_a_namespace_that_is_not_there_has_nothing_in_it(self, kube: KubeUnderTest) -> None:
        assert (await kube.good("GET", within("no-such-namespace")))["items"] == []

    async def test_pages_show_one_moment(self, kube: KubeUnderTest, namespace: str) -> None:
        for name in "abcde":
            await make(kube, namespace, secret(name))
        first = await kube.good("GET", within(namespace), query={"limit": "2"})
        await make(kube, namespace, secret("bb"))
        await label(kube, namespace, "c", tier="late")
        await kube.good("DELETE", within(namespace, name="d"))
        second = await _next_page(kube, within(namespace), first)
        third = await _next_page(kube, within(namespace), second)
        assert [names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
        assert "labels" not in second["items"][0]["metadata"]
        assert {version(page) for page in (first, second, third)} == {version(first)}
        left = [page["metadata"].get("remainingItemCount") for page in (first, second, third)]
        assert left == [3, 1, None]
        assert "continue" not in third["metadata"]

    async def test_pages_of_a_selection_run_through_all_namespaces(self, kube: KubeUnderTest, namespace: str) -> None:
        other = await new_namespace(kube)
        mark = uuid.uuid4().hex
        for where, name in ((namespace, "a"), (other, "b"), (namespace, "c"), (other, "d")):
            await make(kube, where, secret(name, mark=mark))
        page = await kube.good("GET", "/api/v1/secrets", query={"limit": "3", "labelSelector": f"mark={mark}"})
        assert "remainingItemCount" not in page["metadata"]
        rest = await _next_page(kube, "/api/v1/secrets", page, labelSelector=f"mark={mark}")
        keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page["items"] + rest["items"]]
        assert keys == sorted([(namespace, "a"), (namespace, "c"), (other, "b"), (other, "d")])
        await kube.call("DELETE", f"/api/v1/namespaces/{other}")

    async def test_version_nought_gives_everything_whatever_the_limit(
        self, kube: KubeUnderTest, namespace: str
    ) -> None:
        for name in "abc":
            await make(kube, namespace, secret(name))
        await cached(kube, namespace, "c")
        assert names(await kube.good("GET", within(namespace), query={"resourceVersion": "0", "limit": "1"})) == [
            *"abc"
        ]

    async def test_an_expired_continue_token_offers_another(self, kube: KubeUnderTest, namespace: str) -> None:
        for name in "abc":
            await make(kube, namespace, secret(name))
        page = await kube.good("GET", within(namespace), query={"limit": "1"})
        for name in "de":
            await make(kube, namespace, secret(name))
        await kube.forget()
        token = page["metadata"]["continue"]
        gone = await kube.call("GET", within(namespace), query={"limit": "2", "continue": token})
        assert (gone.status, gone.json()["reason"]) == (410, "Expired")
        assert gone.message.startswith("The provided continue parameter is too old")
        rest = await _next_page(kube, within(namespace), gone.json())
        assert names(rest) == ["b", "c"]
        assert version(rest) > version(page)
        last = await _next_page(kube, within(namespace), rest)
        assert names(last) == ["d", "e"]

    @pytest.mark.parametrize("token", ["rubbish", "e30"])
    async def test_a_malformed_continue_token_is_a_bad_request(
        self, kube: KubeUnderTest, namespace: str, token: str
    ) -> None:
        answer = await kube.call("GET", within(namespace), query={"limit": "2", "continue": token})
        assert (answer.status, answer.json()["reason"]) == (400, "BadRequest")

    @pytest.mark.parametrize("query", [{"resourceVersion": "bogus"}, {"limit": "bogus"}])
    async def test_list_options_that_are_no_numbers_are_bad_requests(
        self, kube: KubeUnderTest, query: dict[str, str]
    ) -> None:
        answer = await kube.call("GET", "/api/v1/pods", query=query)
        assert (answer.status, answer.json()["reason"]) == (400, "BadRequest")
        assert answer.message.endswith('parsing "bogus": invalid syntax')

    async def test_a_list_of_the_future_times_out(self, kube: KubeUnderTest, namespace: str) -> None:
        newest = version(await kube.good("GET", within(namespace)))
        answer = await kube.call("GET", within(namespace), query={"resourceVersion": str(newest + AFTER_ALL)})
        assert (answer.status, answer.json()["reason"]) == (504, "Timeout")
        assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    # -- namespaces

    async def test_namespaces_are_listed_by_their_labels(self, kube: KubeUnderTest, namespace: str) -> None:
        mark = uuid.uuid4().hex
        other = await new_namespace(kube, mark=mark, tier="x")
        await kube.good("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"mark": mark}}})
        for selector, chosen in ((f"mark={mark}", {namespace, other}), (f"mark={mark},tier in (x,y)", {other})):
            found = await kube.good("GET", "/api/v1/namespaces", query={"labelSelector": selector})
            assert (found["kind"], set(names(found))) == ("NamespaceList", chosen)
            assert version(found) >= max(version(item) for item in found["items"])
            assert not any("namespace" in item["metadata"] for item in found["items"])
        await kube.call("DELETE", f"/api/v1/namespaces/{other}")

    async def test_pages_of_namespaces_show_each_once(self, kube: KubeUnderTest, namespace: str) -> None:
        query = {"labelSelector": f"mark={uuid.uuid4().hex}"}
        made = [await new_namespace(kube, mark=query["labelSelector"].removeprefix("mark=")) for _ in range(3)]
        page = await kube.good("GET", "/api/v1/namespaces", query={"limit": "2", **query})
        rest = await _next_page(kube, "/api/v1/namespaces", page, **query)
        assert names(page) + names(rest) == sorted(made)
        assert version(rest) == version(page)
        for name in made:
            await kube.call("DELETE", f"/api/v1/namespaces/{name}")

    async def test_a_namespace_bears_its_name_as_a_label(self, kube: KubeUnderTest, namespace: str) -> None:
        query = {"labelSelector": f"kubernetes.io/metadata.name={namespace}"}
        assert names(await kube.good("GET", "/api/v1/namespaces", query=query)) == [namespace]

    async def test_namespaces_may_be_forbidden(self, kube: KubeUnderTest) -> None:
        answer = await kube.call("GET", "/api/v1/namespaces", token=kube.powerless.token)
        told = 'cannot list resource "namespaces" in API group "" at the cluster scope'
        assert (answer.status, answer.message.endswith(told)) == (403, True)

    # -- selectors

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ("tier=x", "a"),
            ("tier==x", "a"),
            ("tier!=x", "bc"),
            ("tier", "ab"),
            ("!tier", "c"),
            ("tier in (x, y)", "ab"),
            ("tier notin (x,z)", "bc"),
            ("tier in (x,y),app=1", "b"),
            ("tier=x,tier=y", ""),
            ("example.com/part-of=all", "c"),
            ("", "abc"),
        ],
    )
    async def test_labels_select(self, kube: KubeUnderTest, namespace: str, selector: str, chosen: str) -> None:
        await make(kube, namespace, secret("a", tier="x"))
        await make(kube, namespace, secret("b", tier="y", app="1"))
        await make(kube, namespace, secret("c", **{"example.com/part-of": "all"}))
        assert names(await kube.good("GET", within(namespace), query={"labelSelector": selector})) == [*chosen]

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [("metadata.name=a", "a"), ("metadata.name!=a", "b"), ("type==Opaque", "ab"), ("type=other", "")],
    )
    async def test_fields_select(self, kube: KubeUnderTest, namespace: str, selector: str, chosen: str) -> None:
        for name in "ab":
            await make(kube, namespace, secret(name) | {"type": "Opaque"})
        assert names(await kube.good("GET", within(namespace), query={"fieldSelector": selector})) == [*chosen]

    async def test_a_namespace_can_be_selected_as_a_field(self, kube: KubeUnderTest, namespace: str) -> None:
        await make(kube, namespace, secret("a"))
        query = {"fieldSelector": f"metadata.namespace={namespace},metadata.name=a"}
        assert names(await kube.good("GET", "/api/v1/secrets", query=query)) == ["a"]

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ("involvedObject.name=p1", "a"),
            ("involvedObject.kind=Pod", "ab"),
            ("involvedObject.uid=u2", "b"),
            ("reason=Pulled", "a"),
            ("type=Warning", "b"),
            ("type!=Warning,involvedObject.kind=Pod", "a"),
            ("source=contract", "ab"),
        ],
    )
    async def test_events_are_selected_by_their_object(
        self, kube: KubeUnderTest, namespace: str, selector: str, chosen: str
    ) -> None:
        objects = [{"kind": "Pod", "namespace": namespace, "name": f"p{n}", "uid": f"u{n}"} for n in (1, 2)]
        await make(kube, namespace, event("a", objects[0], "Pulled"), "events")
        await make(kube, namespace, event("b", objects[1], "Failed", "Warning"), "events")
        found = await kube.good("GET", within(namespace, "events"), query={"fieldSelector": selector})
        assert names(found) == [*chosen]

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [("spec.nodeName=n1", "a"), ("status.phase=Pending", "ab"), ("status.phase!=Pending", "")],
    )
    async def test_pods_are_selected_by_node_and_phase(
        self, kube: KubeUnderTest, namespace: str, selector: str, chosen: str
    ) -> None:
        for name, node in (("a", "n1"), ("b", "n2")):
            await make_pod(kube, namespace, pod(name, node))
        found = await kube.good("GET", within(namespace, "pods"), query={"fieldSelector": selector})
        assert names(found) == [*chosen]

    @pytest.mark.parametrize(
        "query", [{"labelSelector": "a=b=c"}, {"labelSelector": "x in y"}, {"fieldSelector": "spec.nonsense=1"}]
    )
    async def test_a_selector_that_means_nothing_is_a_bad_request(
        self, kube: KubeUnderTest, namespace: str, query: dict[str, str]
    ) -> None:
        for watch in ({}, {"watch": "1"}):
            answer = await kube.call("GET", within(namespace, "pods"), query=query | watch)
            assert (answer.status, answer.json()["reason"]) == (400, "BadRequest")


def _status(code: int, message: str, reason: str, details: Object | None = None) -> Object:
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return head | {"message": message, "reason": reason} | ({"details": details} if details else {}) | {"code": code}


async def _next_page(kube: KubeUnderTest, path: str, page: Object, **query: str) -> Object:
    return await kube.good("GET", path, query={"limit": "2", "continue": page["metadata"]["continue"], **query})
