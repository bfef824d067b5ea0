"""What the chart makes of its values, where a kept render would not say why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from common.crypto import new_token_key
from common.settings.declare import ProgramSettings, declared
from common.settings.load import load
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from console.__main__ import cli
from console.programs import SHIPPER_GRACE_S, WATCHER_GRACE_S
from shipper.drain import CUT_OFF_S, STOP_S
from tests.chart.helm import Helm, Object
from tests.chart.value_sets import PEERS_DEFAULTS, URL, VALUE_SETS
from tests.chart.values_page import CHART
from watcher.parts import CANCELLED_WITHIN_S, FLUSH_S

MODELS: Final[Mapping[str, type[ProgramSettings]]] = {"watcher": WatcherSettings, "shipper": ShipperSettings}
NOT_ITS_OWN: Final[Mapping[str, set[str]]] = {"watcher": {"CODER_URL"}, "shipper": set()}
"""For `coder-logstream status` in a watcher's pod, which says by it whether a workspace belongs to another Coder."""
RESTRICTED_VOLUMES: Final = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by name."""
    return {made["metadata"]["name"]: made for made in objects if made["kind"] == kind}


def pod_of(objects: list[Object], role: str) -> Object:
    (made,) = (made for name, made in of_kind(objects, "Deployment").items() if name.endswith(f"-{role}"))
    return dict(made["spec"]["template"])


def container_of(objects: list[Object], role: str) -> Object:
    return dict(pod_of(objects, role)["spec"]["containers"][0])


def environ_of(objects: list[Object], role: str) -> dict[str, str]:
    return {each["name"]: each.get("value", "from a Secret") for each in container_of(objects, role)["env"]}


def pods(objects: list[Object]) -> Iterator[Object]:
    """The spec of every pod that would be made."""
    for made in objects:
        if made["kind"] == "Pod":
            yield made["spec"]
        elif made["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield made["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", ["", "defaults", "peers-defaults", "everything-watched", "monitored", "walled-in"])
def test_lint_has_nothing_to_say(name: str, helm: Helm) -> None:
    given = helm.values(VALUE_SETS[name]) if name else ()
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), *given)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_each_program_is_given_only_settings_that_it_has(name: str, helm: Helm) -> None:
    objects = helm.render(VALUE_SETS[name])
    for role, model in MODELS.items():
        known = {item.setting.env for item in declared(model).values()}
        given = {variable for variable in environ_of(objects, role) if not variable.lower().endswith("_proxy")}
        known |= {"REDIS_PASSWORD", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} | NOT_ITS_OWN[role]
        assert given - known == set()


@pytest.mark.parametrize("arguments", [[], ["-u", "https://b.example.com", "-l=a=b", "--field-selector", "c=d"]])
def test_status_in_a_watchers_pod_knows_what_the_programs_go_by(arguments: list[str], helm: Helm) -> None:
    """It reads the environment alone."""
    values = {"labelSelector": "x=y", "fieldSelector": "z!=w"}
    given = environ_of(helm.render({**URL, **values, "args": arguments}), "watcher")
    seen = tuple(given[name] for name in ("CODER_URL", "CODER_LABEL_SELECTOR", "CODER_FIELD_SELECTOR"))
    assert seen == (("https://b.example.com", "a=b", "c=d") if arguments else (URL["url"], "x=y", "z!=w"))


@pytest.mark.parametrize("name", VALUE_SETS)
def test_each_program_takes_the_arguments(name: str, helm: Helm) -> None:
    objects = helm.render(VALUE_SETS[name])
    for role in MODELS:
        part, command, *arguments = container_of(objects, role)["args"]
        parser = cli.commands[part].commands[command]  # type: ignore[attr-defined]
        assert parser.make_parser(click.Context(parser)).parse_args(list(arguments))[1] == []


@pytest.mark.parametrize("name", sorted(VALUE_SETS.keys() - {"peers-contexts"}))
def test_every_pod_keeps_the_restricted_standard(name: str, helm: Helm) -> None:
    for pod in pods(helm.render(VALUE_SETS[name])):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert {kind for volume in pod.get("volumes", ()) for kind in set(volume) - {"name"}} <= RESTRICTED_VOLUMES
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_only_the_watcher_the_test_and_the_hook_have_a_token(helm: Helm) -> None:
    mounted = {pod["containers"][0]["name"] for pod in pods(helm.render(URL)) if pod["automountServiceAccountToken"]}
    assert mounted == {"watcher", "doctor", "make-keys"}


def test_values_of_another_charts_release_alone_are_enough(helm: Helm, tmp_path: Path) -> None:
    """`--reuse-values` hands the templates nothing of our defaults. A chart without values.yaml does the same."""
    bare = tmp_path / "chart"
    shutil.copytree(CHART, bare)
    (bare / "values.yaml").unlink()
    for values in (URL, {**URL, **PEERS_DEFAULTS}, VALUE_SETS["peers-placement"]):
        assert helm.render(values, chart=bare) == helm.render(values)


def test_null_and_empty_pass_wherever_the_peers_defaults_have_them(helm: Helm) -> None:
    null = dict.fromkeys((*PEERS_DEFAULTS, "watcher", "shipper", "valkey", "keys", "redis", "probes"))
    expected = helm.render(URL)
    assert helm.render({**URL, **null}) == expected
    assert helm.render({**URL, **{key: {} for key in ("tolerations", "volumes", "volumeMounts")}}) == expected


def test_two_renders_are_the_same_and_hold_no_key(helm: Helm) -> None:
    """Whoever applies renders, Argo CD for one, must not change the keys of an installation by that."""
    first = helm.render(URL)
    assert helm.render(URL) == first
    assert of_kind(first, "Secret") == {}


def test_a_secret_of_ones_own_needs_no_hook(helm: Helm) -> None:
    objects = helm.render({**URL, "keys": {"existingSecret": "mine"}})
    assert of_kind(objects, "Job") == {}
    assert pod_of(objects, "watcher")["spec"]["volumes"][1]["secret"]["secretName"] == "mine"


def test_two_releases_share_no_name_outside_their_namespace(helm: Helm) -> None:
    def wide(namespace: str, release: str) -> set[tuple[str, str]]:
        values = {**URL, "namespaceSelector": "a=b", "rbac": {"namespaces": ["team"]}}
        objects = helm.render(values, namespace=namespace, release=release)
        return {
            (made["kind"], made["metadata"]["name"])
            for made in objects
            if made["kind"].startswith("Cluster") or made["metadata"].get("namespace") == "team"
        }

    assert len(wide("one", "logs")) == 4
    assert not wide("one", "logs") & wide("two", "logs")
    assert not wide("one", "logs") & wide("one", "more")


def test_metrics_switch_neither_probes_nor_their_port(helm: Helm) -> None:
    for values in (URL, VALUE_SETS["peers-metrics"]):
        for role in MODELS:
            container = container_of(helm.render(values), role)
            assert container["ports"][0] == {"name": "probes", "containerPort": 9101}
            assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "probes"}
            assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "probes"}


def test_what_waits_at_the_end_of_a_pod_has_time_to_end(helm: Helm) -> None:
    """As much as the program takes, and as a supervisor of several of them lets each have."""
    own_s = {"watcher": FLUSH_S + CANCELLED_WITHIN_S, "shipper": STOP_S + CUT_OFF_S}
    supervised_s = {"watcher": WATCHER_GRACE_S, "shipper": SHIPPER_GRACE_S}
    for role in MODELS:
        pod_s = pod_of(helm.render(URL), role)["spec"]["terminationGracePeriodSeconds"]
        assert own_s[role] < supervised_s[role] < pod_s


def test_rules_and_dashboard_are_the_files(helm: Helm) -> None:
    metrics = {"enabled": True, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    objects = helm.render({**URL, "metrics": metrics})
    (rule,) = of_kind(objects, "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    dashboard = of_kind(objects, "ConfigMap")["logs-coder-logstream-dashboard"]["data"]["coder-logstream.json"]
    assert json.loads(dashboard) == json.loads((CHART / "files" / "dashboard.json").read_text())


@pytest.mark.parametrize("base", ["https://git.example.com/logs/blob/main", "https://git.example.com/logs/blob/main/"])
def test_alerts_lead_to_runbooks_where_the_user_keeps_them(base: str, helm: Helm) -> None:
    asked = {"enabled": True, "runbookBase": base}
    objects = helm.render({**URL, "metrics": {"enabled": True, "prometheusRule": asked}})
    (rule,) = of_kind(objects, "PrometheusRule").values()
    plain = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    urls = 0
    for group in plain["groups"]:
        for each in group["rules"]:
            if "alert" in each:
                path = each["annotations"]["runbook_url"]
                each["annotations"]["runbook_url"] = f"https://git.example.com/logs/blob/main/{path}"
                urls += 1
    assert urls > 20
    assert rule["spec"] == plain


def test_a_users_context_wins_entry_by_entry_and_a_null_takes_one_away(helm: Helm) -> None:
    values = {**URL, "securityContext": {"runAsUser": 1000}, "shipper": {"securityContext": {"runAsUser": None}}}
    objects = helm.render(values)
    assert container_of(objects, "watcher")["securityContext"]["runAsUser"] == 1000
    shipper = container_of(objects, "shipper")["securityContext"]
    assert "runAsUser" not in shipper
    assert shipper["runAsNonRoot"] is True


def test_privileged_goes_without_what_contradicts_it(helm: Helm) -> None:
    """The API server takes no privileged container that may not escalate."""
    context = container_of(helm.render({**URL, "securityContext": {"privileged": True}}), "watcher")["securityContext"]
    assert context["privileged"] is True
    assert "allowPrivilegeEscalation" not in context


def test_a_programs_own_values_are_used_instead_of_the_charts(helm: Helm) -> None:
    values = {
        **VALUE_SETS["peers-placement"],
        "labels": {"team": "a", "tier": "x"},
        "extraEnv": [{"name": "A", "value": "1"}],
        "shipper": {
            "nodeSelector": {"pool": "b"},
            "labels": {"team": "b"},
            "extraEnv": [{"name": "B", "value": "2"}],
            "args": ["--slice-s=60"],
        },
    }
    objects = helm.render(values)
    watcher, shipper = (pod_of(objects, role) for role in MODELS)
    assert watcher["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert shipper["spec"]["nodeSelector"] == {"pool": "b"}
    assert shipper["spec"]["tolerations"] == watcher["spec"]["tolerations"]
    assert {shipper["metadata"]["labels"][name] for name in ("team", "tier")} == {"b", "x"}
    assert [name for name in environ_of(objects, "shipper") if len(name) == 1] == ["A", "B"]
    assert container_of(objects, "watcher")["args"] == ["part", "watcher"]
    assert container_of(objects, "shipper")["args"] == ["part", "shipper", "--slice-s=60"]


def test_every_pod_stays_on_the_nodes_that_the_user_has_for_it(helm: Helm) -> None:
    """Of a taint, a label or an affinity alone, too: one pod that may go nowhere else stops the installation."""
    apart = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}
    values = {**VALUE_SETS["peers-placement"], "podAnnotations": {"mesh": "off"}, "priorityClassName": "high"}
    affinity = {**values["affinity"], "podAntiAffinity": apart}
    objects = helm.render({**values, "affinity": affinity})
    there = {spec["containers"][0]["name"]: spec for spec in pods(objects)}
    assert there.keys() == {"watcher", "shipper", "valkey", "make-keys", "doctor"}
    for name, spec in there.items():
        for field in ("nodeSelector", "tolerations", "priorityClassName"):
            assert spec[field] == values[field], (name, field)
        stays = name in ("watcher", "shipper", "valkey")
        assert spec["affinity"] == (affinity if stays else values["affinity"]), name
    (valkey,) = of_kind(objects, "StatefulSet").values()
    assert valkey["spec"]["template"]["metadata"]["annotations"] == {"mesh": "off"}
    own = {"affinity": {"podAffinity": {}}, "podAnnotations": {"mesh": "on"}}
    (valkey,) = of_kind(helm.render({**values, "valkey": own}), "StatefulSet").values()
    assert valkey["spec"]["template"]["spec"]["affinity"] == own["affinity"]
    assert valkey["spec"]["template"]["metadata"]["annotations"] == own["podAnnotations"]


def test_an_annotation_of_ours_that_the_user_gives_is_the_users(helm: Helm) -> None:
    theirs = {"prometheus.io/scrape": "false", "coder-logstream/config": "x", "team": "a", "tier": "1"}
    own = {"prometheus.io/path": "/own", "team": "b", "tier": None}
    values = {**URL, "metrics": {"enabled": True}, "podAnnotations": theirs, "shipper": {"podAnnotations": own}}
    objects = helm.render(values)
    ours = {"prometheus.io/port": "9100", "prometheus.io/path": "/metrics"}
    assert pod_of(objects, "watcher")["metadata"]["annotations"] == {**ours, **theirs}
    expected = {**ours, **theirs, "prometheus.io/path": "/own", "team": "b"}
    del expected["tier"]
    assert pod_of(objects, "shipper")["metadata"]["annotations"] == expected


def test_a_variable_that_is_given_twice_is_once_the_last_one_ahead_of_what_refers_to_it(helm: Helm) -> None:
    theirs = [
        {"name": "A", "value": "chart's"},
        {"name": "CODER_LOGSTREAM_LOG_LEVEL", "value": "debug"},
        {"name": "REDIS_PASSWORD", "value": "own"},
        {"name": "CODER_LOGSTREAM_QUEUE_URL", "value": "redis://:$(REDIS_PASSWORD)@$(A)/1"},
    ]
    own = [{"name": "A", "value": "shipper's"}, {"name": "CODER_LOGSTREAM_LOG_LEVEL", "value": "error"}]
    objects = helm.render({**URL, "extraEnv": theirs, "shipper": {"extraEnv": own}})
    for made in pods(objects):
        names = [each["name"] for each in made["containers"][0].get("env", ())]
        assert len(set(names)) == len(names)
    for role, level, a in (("watcher", "debug", "chart's"), ("shipper", "error", "shipper's")):
        given = environ_of(objects, role)
        assert (given["CODER_LOGSTREAM_LOG_LEVEL"], given["A"], given["REDIS_PASSWORD"]) == (level, a, "own")
        names = list(given)
        assert names.index("REDIS_PASSWORD") < names.index("CODER_LOGSTREAM_REDIS_URL")
        assert max(map(names.index, ("REDIS_PASSWORD", "A"))) < names.index("CODER_LOGSTREAM_QUEUE_URL")


@pytest.mark.parametrize("flags", [{"args": ["--dry-run"]}, {"shipper": {"args": ["--dry-run"]}}])
def test_a_dry_run_is_one_that_the_shipper_takes(flags: Mapping[str, Any], helm: Helm, tmp_path: Path) -> None:
    objects = helm.render({**URL, "redis": {"prefix": "logs-dry-run"}, **flags})
    assert container_of(objects, "shipper")["args"] == ["part", "shipper", "--dry-run"]
    key = tmp_path / "token-key"
    key.write_text(new_token_key())
    given = environ_of(objects, "shipper") | {"CODER_LOGSTREAM_TOKEN_KEY_FILE": str(key)}
    taken = load(ShipperSettings, flags={"dry_run": "true"}, environ=given)
    assert taken.dry_run
    assert environ_of(objects, "watcher")["CODER_LOGSTREAM_REDIS_PREFIX"] == taken.redis_prefix


@pytest.mark.parametrize(
    ("arguments", "namespaces"),
    [
        (["--namespaces", "a", "-n", "b,c"], {"a", "b", "c"}),
        (["--namespaces=a"], {"a"}),
        (["-na"], {"a"}),
        (["--namespaces="], set()),
        (["--label-selector", "x=y"], {"named"}),
    ],
)
def test_rights_follow_the_flags(arguments: list[str], namespaces: set[str], helm: Helm) -> None:
    objects = helm.render({**URL, "namespaces": ["named"], "args": arguments})
    roles = (made for made in objects if made["kind"] == "Role" and "namespace" in made["metadata"])
    assert {made["metadata"]["namespace"] for made in roles} == namespaces
    assert bool(of_kind(objects, "ClusterRole")) is not bool(namespaces)


@pytest.mark.parametrize(
    ("url", "given", "address", "database"),
    [
        ("redis://u:p%40ss@redis.example.com/3", "", "redis.example.com:6379", "3"),
        ("rediss://redis.example.com:6380", "", "redis.example.com:6380", "0"),
        ("redis+sentinel://a:26379,b:26379/main/2", "redis-primary", "redis-primary:6379", "2"),
        ("redis+sentinel://a:26379,b:26379/main1", "redis-primary:7000", "redis-primary:7000", "0"),
    ],
)
def test_keda_asks_the_redis_that_is_named(url: str, given: str, address: str, database: str, helm: Helm) -> None:
    keda = {"enabled": True, "redisAddress": given}
    objects = helm.render({**URL, "redis": {"externalUrl": url}, "shipper": {"keda": keda}})
    (scaled,) = of_kind(objects, "ScaledObject").values()
    asked = scaled["spec"]["triggers"][0]["metadata"]
    assert (asked["address"], asked["databaseIndex"]) == (address, database)


@pytest.mark.parametrize("proxy", ["http://proxy.example.com:3128", "proxy.example.com:3128"])
def test_shippers_may_go_out_to_the_proxy(proxy: str, helm: Helm) -> None:
    objects = helm.render({**URL, "proxy": {"httpsProxy": proxy}, "networkPolicy": {"enabled": True}})
    policies = of_kind(objects, "NetworkPolicy")
    (policy,) = (made for name, made in policies.items() if name.endswith("-shipper"))
    assert 3128 in {each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]}
