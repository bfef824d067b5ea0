"""Fixtures of the cluster tests: a real API server, namespaces of one's own, the programs, a Coder double."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from console.doubles.coder import CoderDouble
from tests.chart.helm import Helm, helm_binary
from tests.cluster.api import KubeApi
from tests.cluster.chart_rig import release_namespace
from tests.cluster.cluster import Cluster, some_cluster
from tests.cluster.harness import Programs, WorkspaceLog, program_settings
from tests.cluster.namespaces import make_namespace
from tests.servers import RedisServer

MakeNamespace = Callable[[], Awaitable[str]]
MakeWorkspace = Callable[[], WorkspaceLog]
Say = Callable[[str], None]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with some_cluster(tmp_path_factory.mktemp("cluster") / "state", uncaptured(request)) as cluster:
        yield cluster


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Prints a line that is seen whether the test passes or not."""

    def say(line: str) -> None:
        with uncaptured(request):
            print(f"\n{line}")  # noqa: T201

    return say


def uncaptured(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """What is printed within goes to the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()


@pytest.fixture
async def kube(cluster: Cluster) -> AsyncIterator[KubeApi]:
    """The API with all rights."""
    async with KubeApi(cluster.admin) as api:
        yield api


@pytest.fixture
async def new_namespace(kube: KubeApi) -> AsyncIterator[MakeNamespace]:
    """Makes namespaces in which pods are admitted; they go when the test ends."""
    made: list[str] = []

    async def make() -> str:
        name = f"logstream-test-{uuid.uuid4().hex[:8]}"
        made.append(name)
        await make_namespace(kube, name)
        return name

    yield make
    for name in made:
        await kube.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
async def namespace(new_namespace: MakeNamespace) -> str:
    return await new_namespace()


@pytest.fixture
async def home(kube: KubeApi) -> AsyncIterator[str]:
    """A namespace for a release. It enforces the restricted Pod Security Standard."""
    async with release_namespace(kube) as name:
        yield name


@pytest.fixture
def helm(cluster: Cluster, tmp_path: Path) -> Helm:
    """Helm with all rights."""
    folder = tmp_path / "helm"
    folder.mkdir()
    return Helm(helm_binary(), folder, cluster.admin)


@pytest.fixture
async def coder() -> AsyncIterator[CoderDouble]:
    async with CoderDouble() as double:
        yield double


@pytest.fixture
def new_workspace(coder: CoderDouble) -> MakeWorkspace:
    """Makes agents that Coder knows, each with a token of its own."""

    def make() -> WorkspaceLog:
        token = str(uuid.uuid4())
        coder.state.add_agent(token)
        return WorkspaceLog(coder, token)

    return make


@pytest.fixture
def workspace(new_workspace: MakeWorkspace) -> WorkspaceLog:
    return new_workspace()


@pytest.fixture
async def programs(
    cluster: Cluster, coder: CoderDouble, valkey_server: RedisServer, prefix: str, token_key: str, tmp_path: Path
) -> AsyncIterator[Programs]:
    """Starts the real programs, as the administrator of the cluster unless told otherwise."""
    settings = program_settings(cluster.admin, coder.url, valkey_server.url, prefix, token_key)
    async with Programs(tmp_path, settings) as programs:
        yield programs
        print(programs.logs())  # noqa: T201 — pytest shows it if the test failed
