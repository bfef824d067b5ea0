"""Sets of values whose renders are kept: the ways in which the chart is installed.

The first half are those that users of coder-logstream-kube bring along, each kind of value of its chart (FACTS 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["PEERS_DEFAULTS", "VALUE_SETS"]

URL: Final = {"url": "https://coder.example.com"}

PEERS_DEFAULTS: Final[Mapping[str, Any]] = {
    "namespaces": [],
    "fieldSelector": "",
    "labelSelector": "",
    "args": None,
    "volumes": None,
    "volumeMounts": None,
    "image": {
        "repo": "ghcr.io/coder/coder-logstream-kube",
        "tag": "",
        "pullPolicy": "IfNotPresent",
        "pullSecrets": [],
        "sslCertFile": "",
        "sslCertDir": "",
    },
    "serviceAccount": {"annotations": {}, "labels": {}, "name": "coder-logstream-kube"},
    "rbac": {"roleName": "coder-logstream-kube-role", "roleBindingName": "coder-logstream-kube-rolebinding"},
    "resources": {},
    "nodeSelector": {},
    "affinity": {},
    "tolerations": {},
    "metrics": {"enabled": False, "port": 9100},
    "labels": {},
    "securityContext": {
        "allowPrivilegeEscalation": False, "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532,
    },
    "podSecurityContext": {},
}  # fmt: skip
"""What a release of its chart was computed from when nothing but the url was given."""

_PEERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "defaults": {},
    "peers-defaults": PEERS_DEFAULTS,
    "peers-namespaces": {"namespaces": ["coder", "coder-workloads"]},
    "peers-selectors": {"fieldSelector": "metadata.namespace!=kube-system", "labelSelector": "app=coder-workspace"},
    "peers-args": {"args": ["--coder-url", "https://other.example.com", "-n", "a,b", "--metrics-addr=:9200"]},
    "peers-image": {
        "image": {
            "repo": "registry.example.com/coder-logstream",
            "tag": "1.2.3",
            "pullPolicy": "Always",
            "pullSecrets": [{"name": "pull"}],
            "sslCertFile": "/certs/ca.pem",
            "sslCertDir": "/certs",
        },
        "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs", "readOnly": True}],
    },
    "peers-accounts": {
        "serviceAccount": {"name": "own", "annotations": {"team": "a"}, "labels": {"team": "a"}},
        "rbac": {"roleName": "own-role", "roleBindingName": "own-binding"},
    },
    "peers-placement": {
        "resources": {"limits": {"cpu": "500m", "memory": "500Mi"}, "requests": {"cpu": "250m", "memory": "250Mi"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
        "tolerations": [{"key": "pool", "operator": "Equal", "value": "a", "effect": "NoSchedule"}],
    },
    "peers-labels": {"labels": {"team": "a", "app.kubernetes.io/instance": "another"}},
    "peers-metrics": {"metrics": {"enabled": True, "port": 9998}},
    "peers-contexts": {
        "securityContext": {"readOnlyRootFilesystem": False, "runAsUser": 1000, "allowPrivilegeEscalation": True},
        "podSecurityContext": {"fsGroup": 1000, "runAsUser": 1000},
    },
}

_OURS: Final[Mapping[str, Mapping[str, Any]]] = {
    "external-redis": {
        "redis": {"externalUrl": "rediss://redis.example.com:6380/2", "prefix": "staging"},
        "keys": {"existingSecret": "token-key"},
    },
    "sentinel": {"redis": {"existingSecret": "redis", "watcherKey": "watcher", "shipperKey": "shipper"}},
    "label-of-namespaces": {
        "namespaceSelector": "coder.com/workspaces=true",
        "rbac": {"namespaces": ["team-a", "team-b"], "secretsAccess": "none", "owners": False},
    },
    "least-rights": {"rbac": {"secretsAccess": "namespaced", "namespaces": ["team-a"]}},
    "everything-watched": {
        "namespaces": ["team-a"],
        "watcher": {"nodeEvents": True, "crashLogLines": 10, "crashLogRedact": "secret-[0-9]+\n"},
        "shipper": {"wording": "entries: [{reason: Pulling, show: false}]\n", "args": ["--concurrency", 50]},
        "rbac": {"secretsAccess": "cluster"},
    },
    "monitored": {
        "metrics": {
            "enabled": True,
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "serviceMonitor": {"enabled": True},
        }
    },
    "alerted": {
        "metrics": {
            "enabled": True,
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Coder"}},
        }
    },
    "scaled": {
        "metrics": {"enabled": True},
        "watcher": {"autoscaling": {"enabled": True}},
        "shipper": {"keda": {"enabled": True, "prometheus": "http://prometheus.monitoring:9090"}},
        "valkey": {"networkPolicy": {"alsoFrom": {"kubernetes.io/metadata.name": "keda"}}},
    },
    "scaled-by-cpu": {"shipper": {"autoscaling": {"enabled": True, "maxReplicas": 9}}},
    "walled-in": {
        "networkPolicy": {"enabled": True, "metricsFrom": {"kubernetes.io/metadata.name": "monitoring"}},
        "metrics": {"enabled": True},
        "proxy": {"httpsProxy": "http://proxy.example.com:3128"},
        "ca": {"pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "commonLabels": {"team": "platform"},
        "priorityClassName": "high",
    },
    "other-cluster": {
        "securityContext": {"runAsUser": None, "runAsGroup": None},
        "podSecurityContext": {"fsGroup": None},
        "ca": {"existingSecret": "company", "key": "root.pem"},
        "image": {"digest": "sha256:" + "0" * 64},
        "valkey": {"persistence": {"storageClass": "fast", "size": "5Gi"}, "maxMemoryMiB": 512},
        "shipper": {"serviceAccountName": "given", "replicas": 5},
        "fullnameOverride": "logstream",
    },
    "without-volume": {"valkey": {"persistence": {"enabled": False}, "networkPolicy": {"enabled": False}}},
}

VALUE_SETS: Final[Mapping[str, Mapping[str, Any]]] = {
    name: {**URL, **values} for name, values in {**_PEERS, **_OURS}.items()
}
"""By name."""
