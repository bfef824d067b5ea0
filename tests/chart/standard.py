"""Values that lead pods out of the restricted Pod Security Standard, and what NOTES.txt says of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.chart.helm import Helm
from tests.chart.value_sets import URL, VALUE_SETS
from tests.chart.values_page import CHART

__all__ = ["CASES", "Case", "said_chart", "said_of"]

ALL: Final = ("watcher", "shipper", "valkey", "make-keys", "doctor")
APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io"


class Case(NamedTuple):
    values: Mapping[str, Any]
    said: Mapping[tuple[str, ...], str]
    """By pods: where they leave the standard."""
    is_refused_for_this: bool = True
    """False: the API server takes such a pod for no pod at all, before it looks at the standard."""


def _everywhere(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    return {"securityContext": dict(container), "podSecurityContext": dict(pod)}


CASES: Final[Mapping[str, Case]] = {
    "the defaults": Case({}, {}),
    "another cluster": Case(VALUE_SETS["other-cluster"], {}),
    "the peer's contexts": Case(VALUE_SETS["peers-contexts"], {ALL: "allowPrivilegeEscalation"}),
    "what the standard allows": Case(
        {
            **_everywhere(
                {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "procMount": "Default"},
                {
                    "seLinuxOptions": {"type": "container_t", "level": "s0:c1,c2"},
                    "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}],
                    "appArmorProfile": {"type": "RuntimeDefault"},
                },
            ),
            "volumes": [
                {"name": "a", "configMap": {"name": "a"}},
                {"name": "b", "secret": {"secretName": "b"}},
                {"name": "c", "emptyDir": {}},
                {"name": "d", "downwardAPI": {"items": []}},
                {"name": "e", "projected": {"sources": []}},
                {"name": "f", "persistentVolumeClaim": {"claimName": "f"}},
                {"name": "g", "csi": {"driver": "csi.example.com"}},
                {
                    "name": "h",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {
                                "accessModes": ["ReadWriteOnce"],
                                "resources": {"requests": {"storage": "1Gi"}},
                            }
                        }
                    },
                },
            ],
        },
        {},
    ),
    "volumes of the node and of the network": Case(
        {
            "volumes": [{"name": "certs", "hostPath": {"path": "/etc/ssl"}}],
            "shipper": {"volumes": [{"name": "share", "nfs": {"server": "nfs.example.com", "path": "/"}}]},
        },
        {
            ("watcher", "doctor"): "volume certs (hostPath)",
            ("shipper",): "volume certs (hostPath), volume share (nfs)",
        },
    ),
    "an image as a volume": Case({"volumes": [{"name": "i", "image": {"reference": "example.com/data:1"}}]}, {}),
    "root, in the container": Case(_everywhere({"runAsUser": 0}, {}), {ALL: "runAsUser"}),
    "root, in the pod": Case(_everywhere({}, {"runAsUser": 0}), {ALL: "runAsUser"}),
    "perhaps root": Case(_everywhere({"runAsNonRoot": None}, {"runAsNonRoot": None}), {ALL: "runAsNonRoot"}),
    "root, says the pod": Case(_everywhere({}, {"runAsNonRoot": False}), {ALL: "runAsNonRoot"}),
    "no profile": Case(_everywhere({"seccompProfile": None}, {"seccompProfile": None}), {ALL: "seccompProfile"}),
    "no profile, says the pod": Case(
        _everywhere({}, {"seccompProfile": {"type": "Unconfined"}}), {ALL: "seccompProfile"}
    ),
    "capabilities": Case(
        {"watcher": {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}},
        {("watcher", "doctor"): "capabilities"},
    ),
    "privileged": Case(
        {"shipper": {"securityContext": {"privileged": True}}},
        {("shipper",): "privileged, allowPrivilegeEscalation"},
        is_refused_for_this=False,
    ),
    "SELinux": Case(_everywhere({"seLinuxOptions": {"type": "spc_t"}}, {}), {ALL: "seLinuxOptions"}),
    "SELinux, of the pod": Case(_everywhere({}, {"seLinuxOptions": {"user": "system_u"}}), {ALL: "seLinuxOptions"}),
    "sysctls": Case(
        _everywhere({}, {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), {ALL: "sysctl kernel.msgmax"}
    ),
    "AppArmor": Case(_everywhere({"appArmorProfile": {"type": "Unconfined"}}, {}), {ALL: "appArmorProfile"}),
    "AppArmor, as it was": Case(
        {"podAnnotations": {f"{APP_ARMOR}/watcher": "unconfined"}},
        {("watcher", "shipper", "valkey"): f"annotation {APP_ARMOR}/watcher"},
        is_refused_for_this=False,  # there is no such container in the others
    ),
    "procMount": Case(_everywhere({"procMount": "Unmasked"}, {}), {ALL: "procMount"}, is_refused_for_this=False),
    "a process of the host": Case(
        _everywhere({}, {"windowsOptions": {"hostProcess": True}}), {ALL: "hostProcess"}, is_refused_for_this=False
    ),
    "without what only the bundled Valkey needs": Case(
        {
            **_everywhere({"runAsUser": 0}, {}),
            "redis": {"externalUrl": "redis://redis.example.com"},
            "keys": {"existingSecret": "keys"},
        },
        {("watcher", "shipper", "doctor"): "runAsUser"},
    ),
}


def said_chart(folder: Path) -> Path:
    """A copy of the chart that renders, as a ConfigMap, too, what NOTES.txt says: `helm template` shows no notes."""
    chart = folder / "chart-with-notes"
    shutil.copytree(CHART, chart)
    (chart / "templates" / "said.yaml").write_text(
        '{{- include "coder-logstream.prepare" . -}}\n'
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: said}, data: {said: "
        '{{ include "coder-logstream.unrestricted" . | toJson }}}}\n'
    )
    return chart


def said_of(helm: Helm, chart: Path, case: Case) -> dict[tuple[str, ...], str]:
    """What NOTES.txt says, by pods."""
    objects = helm.render({**URL, **case.values}, chart=chart)
    (said,) = (made["data"]["said"] for made in objects if made["metadata"]["name"] == "said")
    lines = (line.strip().partition(": ") for line in said.strip().splitlines())
    return {tuple(pods.split(", ")): points for pods, _, points in lines}
