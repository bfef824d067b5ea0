"""Fixtures of the tests with a real node: all scenarios, played side by side once."""

import platform
from collections.abc import Mapping

import pytest
from cryptography.fernet import Fernet

from tests.cluster.cluster import built_binary
from tests.cluster.conftest import uncaptured
from tests.cluster.control_plane import ControlPlane
from tests.cluster.harness import program_settings
from tests.kubelet.image import busybox_image
from tests.kubelet.machine import busybox
from tests.kubelet.network import Network
from tests.kubelet.node import Node
from tests.kubelet.play import Played, play
from tests.kubelet.registry import Registry
from tests.kubelet.scenarios import SCENARIOS
from tests.servers import RedisServer


@pytest.fixture(scope="package")
def played(
    request: pytest.FixtureRequest, valkey_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Played]:
    """What became of each scenario, by name. Nothing else runs on their control plane and node, which end with them."""
    image = busybox_image(busybox(), platform.machine())
    with uncaptured(request):
        binary = built_binary()
    folder = tmp_path_factory.mktemp("kubelet")
    with (
        Network() as network,
        Registry(image, network.machine) as registry,
        ControlPlane(binary, folder / "control-plane", network.machine) as control_plane,
        Node(binary, control_plane, network, registry.url, folder / "node"),
    ):
        settings = program_settings(
            admin=control_plane.admin,
            redis_url=valkey_server.url,
            prefix="kubelet",
            token_key=Fernet.generate_key().decode(),
            coder_url="",
        )
        return play(SCENARIOS, settings, folder)
