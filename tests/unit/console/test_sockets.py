"""Where those who look find the socket of a `run`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.valkey import find_socket


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that all may write to, in which a data directory with a long path has its socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a path that is short enough for a socket
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def socket_for(data: Path, elsewhere: Path) -> Path:
    base = elsewhere / f"coder-logstream-{os.getuid()}-{data.stat().st_ino:x}"
    base.mkdir()
    (base / "valkey.sock").touch()
    return base / "valkey.sock"


def test_it_is_found_in_a_folder_of_ours_or_in_none(tmp_path: Path, elsewhere: Path) -> None:
    assert find_socket(tmp_path / "none") is None
    assert find_socket(tmp_path) is None
    ours = socket_for(tmp_path, elsewhere)
    assert find_socket(tmp_path) == f"unix://{ours}?db=0"


def test_a_folder_that_somebody_else_made_is_passed_over(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    socket_for(tmp_path, elsewhere)
    assert find_socket(tmp_path) is None


def test_a_link_in_its_place_is_passed_over(tmp_path: Path, elsewhere: Path) -> None:
    base = socket_for(tmp_path, elsewhere).parent
    base.rename(elsewhere / "other")
    base.symlink_to(elsewhere / "other")
    assert find_socket(tmp_path) is None
