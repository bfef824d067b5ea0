"""What a machine lacks for a real node is named, with the packages that bring it."""

import os

import pytest

from tests.kubelet.machine import busybox
from tests.required import ALL_PARTS


def test_what_is_missing_is_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALL_PARTS, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match=r"a real kubelet \(apt-get install busybox-static containerd "):
        busybox()


def test_it_takes_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALL_PARTS, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(pytest.skip.Exception, match=r"a real kubelet .*root"):
        busybox()
