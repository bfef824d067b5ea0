"""What the router asks of the part that tells containers' last words, and its place where nobody does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from watcher.facts import Fact

__all__ = ["Silence", "Words"]


class Words(Protocol):
    """`watcher/last_words.py` says what each means."""

    def wants(self, fact: Fact) -> bool:
        """Whether `fact` is to be followed by last words."""
        ...

    def want(self, fact: Fact) -> None:
        """`fact` was told just now."""
        ...

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest fact of `scope` whose last words are not told; None if there is none."""
        ...

    def forget(self, covers: Callable[[str], bool]) -> None:
        """The namespaces that `covers` names are not ours any more, or Redis may have lost what was told of them."""
        ...

    def tick(self) -> None:
        """Some time has passed."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class Silence:
    """Nothing of a container's output is shown."""

    def wants(self, _fact: Fact) -> bool:
        return False

    def want(self, _fact: Fact) -> None:
        return

    def oldest_before(self, _scope: str) -> str | None:
        return None

    def forget(self, _covers: Callable[[str], bool]) -> None:
        return

    def tick(self) -> None:
        return

    async def run(self) -> None:
        return
