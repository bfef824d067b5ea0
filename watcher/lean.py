"""Import only the parts of `kubernetes` that are used: its `__init__` also loads the synchronous twin of its client.

That one brings requests, oauthlib and websocket, 10 MiB of the 80 that a fresh watcher may take (measured). The two
package modules are put in place unexecuted; their submodules are then found by path as ever.
"""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["import_unexecuted"]


def import_unexecuted(package: str) -> None:
    """Let submodules of `package` be imported without running its `__init__`; nothing if it was imported before."""
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is not None:
        sys.modules[package] = importlib.util.module_from_spec(spec)
