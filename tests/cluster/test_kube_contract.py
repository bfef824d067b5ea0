"""The real API server passes the suite that the Kubernetes API double passes (`tests/fakes/test_kube_double.py`)."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api import KubeApi
from tests.cluster.cluster import Cluster
from tests.fakes.contract_kube import KubeContract
from tests.fakes.kubes import KubeUnderTest, User, open_kube


@pytest.fixture
async def kube(cluster: Cluster) -> AsyncIterator[KubeUnderTest]:
    server, ca, admin = _admin_of(cluster.admin)
    async with KubeApi(cluster.admin) as api:
        account = await api.call("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {})
    powerless = User("system:serviceaccount:default:default", account["status"]["token"])
    ours = cluster.control_plane

    def forget() -> None:
        # The watch cache outlives a compaction, and etcd a restart.
        cluster.breakable.compact()
        cluster.breakable.kill_api_server()
        cluster.breakable.start_api_server()

    async with open_kube(server, admin, ca, powerless=powerless, forget=forget if ours else None) as kube:
        yield kube


class TestTheRealServer(KubeContract):
    pass


def _admin_of(kubeconfig: Path) -> tuple[str, bytes, User]:
    """Server, authority (PEM) and user of a kubeconfig with one user who shows a token."""
    read = yaml.safe_load(kubeconfig.read_text())
    cluster, user = read["clusters"][0]["cluster"], read["users"][0]["user"]
    if "token" not in user or "certificate-authority-data" not in cluster:
        pytest.skip("the Kubernetes suite needs a kubeconfig with a bearer token and the authority's certificate in it")
    return cluster["server"], base64.b64decode(cluster["certificate-authority-data"]), User("admin", user["token"])
