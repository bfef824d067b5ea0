"""What Compose is told agrees with what there is: settings of the example, the image's name, mounted files."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(ROOT.glob("compose*.yaml"))
EXAMPLE = (ROOT / ".env.example").read_text()
IMAGE = f"coder-logstream:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"


def whole(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_every_setting_of_the_example_is_one_that_is_read() -> None:
    read = set(re.findall(r"\$\{(\w+)", "".join(map(whole, FILES))))
    passed_on = set(re.findall(r"^      (\w+):$", whole(ROOT / "compose.yaml"), re.MULTILINE))
    offered = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert offered - read - passed_on == {"COMPOSE_FILE"}  # Compose's own


def test_the_image_is_the_one_that_make_image_builds() -> None:
    assert re.findall(r"LOGSTREAM_IMAGE:-([^}]*)", whole(ROOT / "compose.yaml")) == [IMAGE]
    assert re.findall(r"LOGSTREAM_IMAGE=\S*/(\S+)", EXAMPLE) == [IMAGE]


def test_every_file_that_is_mounted_is_there() -> None:
    sources = re.findall(r"source: (?:\$\{\w+:-)?(\./[^}\s]+)", "".join(map(whole, FILES)))
    assert len(sources) >= 4
    assert [source for source in sources if not (ROOT / source).is_file()] == []


def test_each_service_has_a_volume_of_its_own_and_none_of_another() -> None:
    """`prepare` fills them, and runs for a second. The demo's player is as a shipper to Redis."""
    read = yaml.safe_load(whole(ROOT / "compose.yaml"))
    mounted: dict[str, set[str]] = {name: set() for name in read["volumes"]}
    for service, what in read["services"].items():
        for volume in what.get("volumes", ()):
            if isinstance(volume, str):
                mounted[volume.partition(":")[0]].add(service)
    assert mounted == {
        "keys": {"prepare"},
        "redis-settings": {"prepare", "redis"},
        "watcher-settings": {"prepare", "watcher"},
        "shipper-settings": {"prepare", "shipper", "demo"},
        "redis": {"redis"},
        "prometheus": {"prometheus"},
    }
    services = read["services"].items()
    writable = [
        name
        for name, what in services
        for volume in what.get("volumes", ())
        if "/settings" in volume and ":ro" not in volume
    ]
    assert set(writable) == {"prepare"}


def test_the_demos_settings_are_none() -> None:
    assert re.findall(r"^\w+=(.+)$", whole(ROOT / "compose" / "demo.env"), re.MULTILINE) == []


def test_prometheus_evaluates_the_rules_that_the_chart_ships_wherever_it_runs() -> None:
    for file in sorted((ROOT / "compose").glob("prometheus*.yaml")):
        assert yaml.safe_load(whole(file))["rule_files"] == ["/etc/prometheus/rules.yaml"], file.name
