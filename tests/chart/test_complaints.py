"""What stops an installation is said with the value's name, why, and an example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.chart.helm import Helm, HelmRefused
from tests.chart.value_sets import URL
from watcher.selectors import SelectorError, parse_fields, parse_labels


def refusal(helm: Helm, values: Mapping[str, Any]) -> str:
    with pytest.raises(HelmRefused) as refused:
        helm.render(values)
    return str(refused.value)


COMPLAINTS: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "no url": ({}, "url: the address of Coder must be given; example: --set url=https://coder.example.com"),
    "the Go program's image": (
        {**URL, "image": {"repo": "mirror.example.com/coder-logstream-kube"}},
        "image.repo: mirror.example.com/coder-logstream-kube holds the Go program; mirror the image of",
    ),
    "both kinds of namespaces": ({**URL, "namespaces": "a", "namespaceSelector": "a=b"}, "keep one"),
    "two addresses of Redis": (
        {**URL, "redis": {"externalUrl": "redis://h", "existingSecret": "s"}},
        "redis.externalUrl and redis.existingSecret are both given; keep one",
    ),
    "secrets of unknown namespaces": ({**URL, "rbac": {"secretsAccess": "namespaced"}}, "rbac.namespaces={coder-w"),
    "two autoscalers": (
        {**URL, "shipper": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}},
        "shipper.autoscaling and shipper.keda are both enabled; keep one",
    ),
    "Sentinels for KEDA": (
        {**URL, "redis": {"externalUrl": "redis+sentinel://a,b/main/0"}, "shipper": {"keda": {"enabled": True}}},
        "shipper.keda.redisAddress: KEDA's trigger for one Redis asks no Sentinels",
    ),
    "one port for two": ({**URL, "metrics": {"port": 9101}}, "probes.port: 9101 is metrics.port, too"),
    "a monitor of nothing": ({**URL, "metrics": {"podMonitor": {"enabled": True}}}, "--set metrics.enabled=true"),
    "alerts without metrics": (
        {**URL, "metrics": {"prometheusRule": {"enabled": True}}},
        "metrics.prometheusRule: without metrics of watcher and shipper LogstreamAbsent, or",
    ),
    "alerts on half of the metrics": (
        {**URL, "metrics": {"prometheusRule": {"enabled": True}}, "watcher": {"args": ["--metrics-addr", ":9100"]}},
        "LogstreamNoShipper, would fire for ever; example: --set metrics.enabled=true",
    ),
    "a query of what nobody measures": (
        {**URL, "shipper": {"keda": {"enabled": True, "prometheus": "http://prometheus:9090"}}},
        "shipper.keda.prometheus: without metrics of the shipper Prometheus does not know how old the oldest line is",
    ),
    "a flag of the chart's": ({**URL, "args": ["--probe-addr=:1"]}, "args: --probe-addr of the watcher is the chart's"),
    "a dry run on the data of others": (
        {**URL, "args": ["--dry-run"]},
        (
            "args: --dry-run takes away what waits under redis.prefix, so watcher and shipper need one of their own "
            "that ends in -dry-run; example: --set redis.prefix=logstream-dry-run --set 'shipper.args={--dry-run}'"
        ),
    ),
    "a misspelt value": ({**URL, "watcher": {"replica": 1}}, "at '/watcher': additional properties 'replica' not"),
    "a wrong type": ({**URL, "watcher": {"replicas": "two"}}, "at '/watcher/replicas': got string, want"),
    "a url without a scheme": (
        {"url": "coder.example.com"},
        'url: "coder.example.com" is not the address of Coder, which begins with http:// or https://',
    ),
    "a url of a flag": ({**URL, "args": ["-u=ftp://coder"]}, 'url: "ftp://coder" is not the address of Coder'),
    "a namespace that cannot be": ({**URL, "namespaces": "a,B_c"}, "--set 'namespaces={coder-workspaces}'"),
    "a Role's namespace that cannot be": ({**URL, "rbac": {"namespaces": ["-a"]}}, 'rbac.namespaces: "-a" is not the'),
    "a tag in the name": (
        {**URL, "image": {"repo": "ghcr.io/a/coder-logstream:1"}},
        'image.repo: "ghcr.io/a/coder-logstream:1" is not the name of an image without its tag or digest; example: ',
    ),
    "half a digest": ({**URL, "image": {"digest": "sha256:ab"}}, 'image.digest: "sha256:ab" is not sha256: with 64'),
    "a file's name as a certificate": (
        {**URL, "ca": {"pem": "ca.crt"}},
        "ca.pem: it is not the text of a PEM certificate; example: --set ca.pem=FILE, with --set-file in the place of",
    ),
    "a prefix with a colon": ({**URL, "redis": {"prefix": "a:b"}}, "example: --set redis.prefix=logstream"),
    "no prefix": ({**URL, "redis": {"prefix": ""}}, 'redis.prefix: "" is not one to 64 letters'),
    "gigabytes": (
        {**URL, "valkey": {"persistence": {"size": "2GB"}}},
        'valkey.persistence.size: "2GB" is not a quantity of Kubernetes; example: --set valkey.persistence.size=2Gi',
    ),
    "a share of pods": (
        {**URL, "shipper": {"pdb": {"maxUnavailable": "half"}}},
        'shipper.pdb.maxUnavailable: "half" is not a number of pods or a percentage; example: --set shipper.pdb.max',
    ),
    "a duration": (
        {**URL, "metrics": {"enabled": True, "serviceMonitor": {"enabled": True, "interval": "30 s"}}},
        'metrics.serviceMonitor.interval: "30 s" is not a duration of Prometheus; example: --set metrics.serviceMonit',
    ),
    "a folder for runbooks": (
        {**URL, "metrics": {"prometheusRule": {"runbookBase": "../pages"}}},
        'metrics.prometheusRule.runbookBase: "../pages" is not an address, which begins with http:// or https://; exam',
    ),
    "Prometheus for KEDA": (
        {**URL, "shipper": {"keda": {"prometheus": "prometheus:9090"}}},
        "example: --set shipper.keda.prometheus=http://prometheus.monitoring:9090",
    ),
    "an unknown level": ({**URL, "logLevel": "loud"}, "at '/logLevel': value must be one of 'debug', 'info'"),
}


@pytest.mark.parametrize("what", COMPLAINTS)
def test_what_is_wrong_is_said_with_the_values_name(what: str, helm: Helm) -> None:
    values, said = COMPLAINTS[what]
    assert said in refusal(helm, values)


def test_a_password_in_a_url_that_is_refused_is_not_shown(helm: Helm) -> None:
    redis = refusal(helm, {**URL, "redis": {"externalUrl": "redsi://:hush@redis.example.com"}})
    assert "redis.externalUrl: it is not a redis://, rediss:// (TLS) or redis+sentinel:// URL; example: " in redis
    coder = refusal(helm, {"url": "https://alice:hush@coder.example.com"})
    end = "and has no user, query or fragment; example: --set url=https://coder.example.com"
    assert f"url: it is not the address of Coder, which begins with http:// or https:// {end}" in coder
    assert "hush" not in redis + coder


LABELS: Final = (
    "a", "!a", "! a", "a=b", "a==b,c!=d", "x.io/a in (b, c),d", "a notin (b)", "a in ()", "a=", " a = b ", "a,,b",
    "a: b", "a=b c", "-a", "a in (b", "a=b,", "A/b", "a in b", "a/b/c", "a in(b,c-)", "a ?",
)  # fmt: skip
FIELDS: Final = (
    "a=b", "a.b!=c,d==e", "a=", "a = b c", r"a=b\,c", "a", "a=b=c", "a=b,", "=a", "1=a", r"a=\b", "a['b/c']=d",
)  # fmt: skip


@pytest.mark.parametrize("name", ["labelSelector", "namespaceSelector", "fieldSelector"])
def test_a_selector_is_refused_as_the_watcher_would_refuse_it(name: str, helm: Helm) -> None:
    parse = parse_fields if name == "fieldSelector" else parse_labels
    for text in FIELDS if name == "fieldSelector" else LABELS:
        try:
            parse(text)
        except SelectorError:
            assert f"{name}: {json.dumps(text)} is not a " in refusal(helm, {**URL, name: text}), text
        else:
            assert helm.render({**URL, name: text}), text
