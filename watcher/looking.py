"""Look once at what a watcher with the same settings follows: its namespaces, their objects, where tokens lie.

For `doctor` and `status`. Everything is read as the watcher reads it and judged by the same pure code; nothing of it
is kept. Raises `KubeError`s only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from common.settings.watcher import KubernetesSettings
from watcher.directory import ANY_NAMESPACE
from watcher.kube_errors import Forbidden, KubeError, NotFound, ServerFault
from watcher.objects import Namespace, ResourceT, decode_list, decode_source
from watcher.paths import NAMESPACES, collection_path
from watcher.reflector import PAGE_OBJECTS
from watcher.sought import UNREAD, Failure, Gap, NoToken, Outcome, Reading, Sought, Source, SourceData, token_of
from watcher.sources import SourceName

__all__ = ["Getter", "TokenSources", "exists", "pages", "watched_namespaces"]


class Getter(Protocol):
    """What is asked of the API here."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes: ...


async def watched_namespaces(api: Getter, settings: KubernetesSettings) -> list[str]:
    """Those that are named or selected just now; `ANY_NAMESPACE` alone if the cluster is watched."""
    if settings.namespaces:
        return list(settings.namespaces)
    selector = settings.namespace_selector.strip()
    if not selector:
        return [ANY_NAMESPACE]
    path = collection_path(NAMESPACES, ANY_NAMESPACE)
    return [
        each.metadata.name async for page in pages(api, Namespace, path, {"labelSelector": selector}) for each in page
    ]


async def exists(api: Getter, namespace: str) -> bool:
    """Whether there is such a namespace; what we may not know counts as there."""
    try:
        await api.get(f"{collection_path(NAMESPACES, ANY_NAMESPACE)}/{namespace}")
    except NotFound:
        return False
    except Forbidden:
        return True
    return True


async def pages(
    api: Getter, kind: type[ResourceT], path: str, query: Mapping[str, str]
) -> AsyncIterator[list[ResourceT]]:
    """All objects of a list, a page at a time."""
    more = ""
    while True:
        asked = {**query, "limit": str(PAGE_OBJECTS), **({"continue": more} if more else {})}
        try:
            page = decode_list(kind, await api.get(path, asked))
        except ValueError as error:
            raise ServerFault(f"{path}: {error}") from error
        yield page.items
        more = page.continue_token
        if not more:
            return


class TokenSources:
    """Reads Secrets and ConfigMaps, each once."""

    def __init__(self, api: Getter) -> None:
        self._api = api
        self._read: dict[SourceName, Reading] = {}

    async def why_not(self, namespace: str, sought: Sought) -> NoToken | None:
        """Why there is no token where `sought` looks for it; None if there is one. The token itself is not told."""
        unread: set[SourceName] = set()

        def read(source: Source) -> Reading | None:
            name = SourceName(namespace, source)
            if name not in self._read:
                unread.add(name)
            return self._read.get(name)

        outcome: Outcome = UNREAD
        while outcome is UNREAD:
            outcome = token_of(sought, read)
            for name in unread:
                self._read[name] = await self._reading(name)
            unread.clear()
        if isinstance(outcome, Gap):
            return NoToken.NONE
        return outcome if isinstance(outcome, NoToken) else None

    async def _reading(self, name: SourceName) -> Reading:
        try:
            return SourceData(decode_source(await self._api.get(name.path)))
        except NotFound:
            return Failure.MISSING
        except Forbidden:
            return Failure.FORBIDDEN
        except (KubeError, ValueError):
            return Failure.UNREADABLE
