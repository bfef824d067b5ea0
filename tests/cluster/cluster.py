"""Which real cluster the tests run on: the one that was given, or a control plane of our own."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.built import built
from tests.cluster.control_plane import ControlPlane
from tests.required import missing

BUILD: Final = Path(__file__).parent / "controlplane" / "build"
PART: Final = "a real Kubernetes API server"
GIVEN: Final = "LOGSTREAM_TEST_CLUSTER"
REMEDY: Final = f"install Go 1.25 or newer, or name a cluster by {GIVEN}=1 and KUBECONFIG"


class Cluster(msgspec.Struct, frozen=True):
    admin: Path
    """A kubeconfig with all rights."""
    control_plane: ControlPlane | None
    """Ours, to break; None if the cluster was given."""

    @property
    def breakable(self) -> ControlPlane:
        """The control plane, for tests that kill or compact it. Ends the test on a given cluster."""
        return self.control_plane or missing("a control plane of our own", f"unset {GIVEN}")


@contextmanager
def some_cluster(folder: Path, may_print: AbstractContextManager[None]) -> Iterator[Cluster]:
    if os.environ.get(GIVEN) == "1":
        yield Cluster(admin=given_kubeconfig(), control_plane=None)
        return
    with may_print:
        binary = built_binary()
    with ControlPlane(binary, folder) as control_plane:
        yield Cluster(admin=control_plane.admin, control_plane=control_plane)


def given_kubeconfig() -> Path:
    path = Path(os.environ.get("KUBECONFIG", "")).expanduser()
    return path if path.is_file() else missing(PART, f"{GIVEN}=1 needs KUBECONFIG to name one file")


def built_binary() -> Path:
    """The control plane's binary, from the cache or built now (about five minutes, once)."""
    return built(BUILD, PART, REMEDY)
