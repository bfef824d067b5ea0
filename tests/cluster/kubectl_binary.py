"""kubectl as Kubernetes releases it, built from its module."""

from pathlib import Path
from typing import Final

from tests.built import built

__all__ = ["kubectl_binary"]

BUILD: Final = Path(__file__).parent / "kubectl" / "build"


def kubectl_binary() -> Path:
    """From the cache, or built now (a minute or two, once). Ends the test if it cannot be had."""
    return built(BUILD, "kubectl")
