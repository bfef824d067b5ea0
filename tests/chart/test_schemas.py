"""Every object that the chart renders is one of each Kubernetes from 1.27 to 1.37, no field unknown. Offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest

from tests.chart.helm import Helm, Object
from tests.chart.value_sets import URL, VALUE_SETS

VERSIONS = [f"1.{minor}" for minor in range(27, 38)]
OPERATORS = ("monitoring.coreos.com/", "keda.sh/")
"""Whose kinds Kubernetes does not know."""


@pytest.fixture(scope="module")
def objects(helm: Helm) -> Mapping[str, Object]:
    """All that any set of values renders, one of each shape."""
    rendered = (made for values in VALUE_SETS.values() for made in helm.render(values))
    return {shape(made): made for made in rendered if not made["apiVersion"].startswith(OPERATORS)}


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
