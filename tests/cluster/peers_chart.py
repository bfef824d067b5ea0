"""A chart as coder-logstream-kube's is: what its release consists of, and its default values (FACTS 3)."""

from pathlib import Path
from typing import Final

import yaml

from tests.chart.value_sets import PEERS_DEFAULTS

__all__ = ["write_peers_chart"]

_MANIFESTS: Final = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Values.serviceAccount.name }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Values.rbac.roleName }}
rules:
  - {apiGroups: [""], resources: [pods, events], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [secrets], verbs: [get]}
  - {apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .Values.rbac.roleBindingName }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .Values.rbac.roleName }}}
subjects:
  - {kind: ServiceAccount, name: {{ .Values.serviceAccount.name }}, namespace: {{ .Release.Namespace }}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 1
  selector:
    matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app.kubernetes.io/instance: {{ .Release.Name }}}
    spec:
      serviceAccountName: {{ .Values.serviceAccount.name }}
      containers:
        - name: coder-logstream-kube
          image: "{{ .Values.image.repo }}:0.0.15"
          command: [/coder-logstream-kube]
          env:
            - {name: CODER_URL, value: {{ .Values.url }}}
"""


def write_peers_chart(folder: Path) -> Path:
    """The chart's folder, below `folder`."""
    chart = folder / "coder-logstream-kube"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: coder-logstream-kube, version: 0.0.15}")
    (chart / "values.yaml").write_text(yaml.safe_dump({"url": "", **PEERS_DEFAULTS}))
    (chart / "templates" / "service.yaml").write_text(_MANIFESTS)
    return chart
