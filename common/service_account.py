"""Where Kubernetes mounts a pod's service account: its token, its namespace and the cluster's authorities. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["SERVICE_ACCOUNT_DIR"]

SERVICE_ACCOUNT_DIR: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
