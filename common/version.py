"""Which release this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["release"]


def release() -> str:
    """The version of the installed distribution."""
    try:
        return version("coder-logstream")
    except PackageNotFoundError:
        return "0+checkout"
