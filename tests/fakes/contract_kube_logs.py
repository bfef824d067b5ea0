"""Kubernetes conformance of pods' logs. Where no kubelet is, the API server itself has an answer.

Facts: the API server's `LogLocation` and `LocationStreamer` (Kubernetes 1.35, read).
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.fakes.kubes import KubeUnderTest, Object, make_pod, pod, within

_TAIL: Final = {"container": "c", "tailLines": "10", "limitBytes": "1000"}


def _log(namespace: str, name: str = "a") -> str:
    return within(namespace, "pods", name) + "/log"


class KubeLogContract:
    """What any API server answers, with kubelets or without. Part of `tests.fakes.contract_kube.KubeContract`."""

    async def test_the_log_of_a_pod_that_is_not_there_is_not_found(self, kube: KubeUnderTest, namespace: str) -> None:
        answer = await kube.call("GET", _log(namespace, "none"), query=_TAIL)
        assert (answer.status, answer.message) == (404, 'pods "none" not found')

    async def test_the_log_of_a_pod_without_a_node_is_no_content(self, kube: KubeUnderTest, namespace: str) -> None:
        await make_pod(kube, namespace, _without_node("a"))
        answer = await kube.call("GET", _log(namespace), query=_TAIL)
        assert (answer.status, answer.body) == (204, b"")

    async def test_a_container_that_the_pod_has_not_is_a_bad_request(self, kube: KubeUnderTest, namespace: str) -> None:
        await make_pod(kube, namespace, _without_node("a"))
        answer = await kube.call("GET", _log(namespace), query={"container": "x"})
        assert (answer.status, answer.message) == (400, "container x is not valid for pod a")
        assert answer.json()["reason"] == "BadRequest"

    @pytest.mark.parametrize("previous", [{}, {"previous": "true"}])
    async def test_the_log_on_a_node_that_is_not_there_is_not_found(
        self, kube: KubeUnderTest, namespace: str, previous: dict[str, str]
    ) -> None:
        await make_pod(kube, namespace, pod("a", "no-such-node"))
        answer = await kube.call("GET", _log(namespace), query=_TAIL | previous)
        assert (answer.status, answer.message) == (404, 'pods "no-such-node" not found')

    async def test_a_log_may_be_forbidden_by_itself(self, kube: KubeUnderTest, namespace: str) -> None:
        answer = await kube.call("GET", _log(namespace), token=kube.powerless.token)
        assert answer.status == 403
        told = f'cannot get resource "pods/log" in API group "" in the namespace "{namespace}"'
        assert answer.message.endswith(told)
        assert answer.message.startswith('pods "a" is forbidden: ')


def _without_node(name: str) -> Object:
    value = pod(name, "")
    del value["spec"]["nodeName"]
    return value
