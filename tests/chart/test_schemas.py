"""Every object that the chart renders is one of each Kubernetes from 1.27 to 1.37 or of its operator, no field unknown.

Offline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import kubernetes_validate
import msgspec
import pytest

from tests.chart import operators
from tests.chart.helm import Helm, Object
from tests.chart.value_sets import URL, VALUE_SETS

VERSIONS = [f"1.{minor}" for minor in range(27, 38)]
OPERATORS = tuple({f"{version.partition('/')[0]}/" for version, _ in operators.KINDS})
"""Whose kinds Kubernetes does not know."""


@pytest.fixture(scope="module")
def everything(helm: Helm) -> list[Object]:
    """All that any set of values renders."""
    return [made for values in VALUE_SETS.values() for made in helm.render(values)]


@pytest.fixture(scope="module")
def objects(everything: list[Object]) -> Mapping[str, Object]:
    """Those of Kubernetes, one of each shape."""
    return {shape(made): made for made in everything if not made["apiVersion"].startswith(OPERATORS)}


@pytest.fixture(scope="module")
def theirs(everything: list[Object]) -> list[Object]:
    """Those of the operators."""
    return [made for made in everything if made["apiVersion"].startswith(OPERATORS)]


def shape(made: Object) -> str:
    """Kind, fields and types: all that a schema looks at."""

    def of(value: Any) -> Any:
        match value:
            case dict():
                return {key: of(each) for key, each in value.items()}
            case list():
                return [of(each) for each in value]
            case _:
                return type(value).__name__

    return json.dumps([made["kind"], of(made)])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_of_this_kubernetes(version: str, objects: Mapping[str, Object]) -> None:
    for made in objects.values():
        kubernetes_validate.validate(made, version, strict=True)


def test_a_field_that_does_not_exist_is_noticed(helm: Helm) -> None:
    (made, *_) = (made for made in helm.render(URL) if made["kind"] == "Deployment")
    made["spec"]["template"]["spec"]["podSecurityContext"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made, VERSIONS[0], strict=True)


def test_every_object_of_an_operator_is_one_of_its_kind(theirs: list[Object]) -> None:
    for made in theirs:
        operators.validate(made)
    assert {(made["apiVersion"], made["kind"]) for made in theirs} == operators.KINDS.keys()


WRONG: Final[Mapping[str, tuple[str, str]]] = {
    "ScaledObject": ("minReplicaCount", "minReplicas"),
    "TriggerAuthentication": ("secretTargetRef", "secretRef"),
    "PodMonitor": ("podMetricsEndpoints", "endpoints"),
    "ServiceMonitor": ("matchLabels", "labels"),
    "PrometheusRule": ("annotations", "annotation"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_field_that_its_operator_does_not_know_is_noticed(kind: str, theirs: list[Object]) -> None:
    name, wrong = (json.dumps(word) for word in WRONG[kind])
    made = json.dumps(next(made for made in theirs if made["kind"] == kind))
    assert name in made
    with pytest.raises(msgspec.ValidationError):
        operators.validate(json.loads(made.replace(name, wrong)))


def test_what_an_operator_is_referred_to_is_there(helm: Helm) -> None:
    """Pods with the port and the labels that monitors look for, what is scaled, and how its Redis is entered."""
    watched = {(each["kind"], each["metadata"]["name"]): each for each in helm.render(VALUE_SETS["monitored"])}
    pods = [each["spec"]["template"] for (kind, _), each in watched.items() if kind in ("Deployment", "StatefulSet")]
    scraped = [pod for pod in pods if any(port["name"] == "metrics" for port in pod["spec"]["containers"][0]["ports"])]
    assert len(scraped) == 2
    monitor = watched["PodMonitor", "logs-coder-logstream"]["spec"]["selector"]["matchLabels"]
    service = watched["Service", "logs-coder-logstream-metrics"]
    assert all(monitor.items() <= pod["metadata"]["labels"].items() for pod in scraped)
    assert all(service["spec"]["selector"].items() <= pod["metadata"]["labels"].items() for pod in scraped)
    monitor = watched["ServiceMonitor", "logs-coder-logstream"]["spec"]["selector"]["matchLabels"]
    found = [name for (kind, name), each in watched.items() if kind == "Service" and monitor.items() <= labels(each)]
    assert found == ["logs-coder-logstream-metrics"]
    scaled = {(each["kind"], each["metadata"]["name"]): each for each in helm.render(VALUE_SETS["scaled"])}
    spec = scaled["ScaledObject", "logs-coder-logstream-shipper"]["spec"]
    assert ("Deployment", spec["scaleTargetRef"]["name"]) in scaled
    assert ("TriggerAuthentication", spec["triggers"][0]["authenticationRef"]["name"]) in scaled


def labels(made: Object) -> Any:
    return made["metadata"]["labels"].items()
