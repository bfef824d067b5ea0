"""Nothing that the chart renders changes unseen."""

import tomllib

import pytest
import yaml

from tests.chart import values_page
from tests.chart.golden import DEFAULTS, golden_file, rendered, shown
from tests.chart.helm import Helm
from tests.chart.value_sets import VALUE_SETS
from tests.chart.values_page import render_defaults, render_page


@pytest.fixture(scope="module")
def defaults(helm: Helm) -> str:
    return rendered(helm, DEFAULTS)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_render_is_the_one_that_was_read(name: str, helm: Helm, defaults: str) -> None:
    """If it should be another one now: make chart, and read the difference."""
    assert shown(helm, name, defaults) == golden_file(name).read_text(encoding="utf-8")


def test_no_render_is_kept_of_what_is_not_rendered() -> None:
    kept = set(golden_file(DEFAULTS).parent.iterdir())
    assert kept == {golden_file(name) for name in VALUE_SETS}


def test_what_is_derived_from_the_values_is_fresh() -> None:
    """If not: make chart."""
    assert values_page.PAGE.read_text(encoding="utf-8") == render_page()
    assert values_page.DEFAULTS.read_text(encoding="utf-8") == render_defaults()


def test_the_chart_is_of_the_programs_version() -> None:
    """Its image's tag is the chart's appVersion unless another is given."""
    chart = yaml.safe_load((values_page.CHART / "Chart.yaml").read_text())
    program = tomllib.loads((values_page.ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (program, program)


KUBERNETES_OWN = {
    "accessModes", "affinity", "annotations", "enabled", "extraEnv", "extraEnvFrom", "interval", "labels",
    "maxReplicas", "maxUnavailable", "minReplicas", "nodeSelector", "podAnnotations", "podSecurityContext", "port",
    "priorityClassName", "pullPolicy", "resources", "securityContext", "tolerations", "topologySpreadConstraints",
    "volumeMounts", "volumes",
}  # fmt: skip


def test_every_value_is_explained_or_a_field_of_kubernetes() -> None:
    mute = [value.path.strip("`") for value in values_page.values() if not value.meaning]
    assert [path for path in mute if path.rpartition(".")[2] not in KUBERNETES_OWN] == []
