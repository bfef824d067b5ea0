"""Which units there are for watchers to share: namespaces that are named or selected, or slots of all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from common.ids import Unit
from watcher.selection import Selection
from watcher.shares import SLOTS
from watcher.sharing import Sharing

__all__ = ["candidates_of", "share"]


def candidates_of(namespaces: Collection[str], selection: Selection | None) -> Callable[[], Collection[Unit]]:
    """All units that there are, for `Sharing`. `namespaces`: those that are named."""
    if selection is not None:
        return selection.units
    units = [Unit(namespace) for namespace in namespaces] or SLOTS
    return lambda: units


async def share(sharing: Sharing, selection: Selection | None) -> None:
    """Share until cancelled. Not before it is known what there is: the others would leave us what we do not take."""
    if selection is not None:
        await selection.listed()
    await sharing.run()
