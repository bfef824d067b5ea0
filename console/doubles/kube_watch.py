"""Open watches of the Kubernetes double: who gets which change, and how a watch is written, kept alive and ended.

A change reaches a watch's buffer in the same step in which it is written, so buffers keep the order of versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec
from aiohttp import web

from console.doubles.kube_resources import Resource
from console.doubles.kube_selectors import Selector
from console.doubles.kube_store import Change, line_for

__all__ = ["WatchHub", "WatchRequest", "bookmark_line", "serve_error"]

INITIAL_EVENTS_END: Final = {"k8s.io/initial-events-end": "true"}


class WatchRequest(msgspec.Struct, frozen=True):
    """What a watch wants to see, and for how long."""

    resource: Resource
    namespace: str
    selector: Selector
    bookmarks: bool
    timeout_s: float
    from_version: int
    """Only later changes are sent."""


class Watch:
    """One open watch: the lines that are still to be written to it."""

    def __init__(self, request: WatchRequest, initial: Iterable[bytes]) -> None:
        self.request = request
        self._lines = list(initial)
        self._reached = request.from_version
        self._something = asyncio.Event()
        self._cut = False
        if self._lines:
            self._something.set()

    def offer(self, change: Change) -> None:
        """Take the change if it is of this watch's resource, namespace and selectors, and later than what it has."""
        subject = change.subject
        if subject.resource is not self.request.resource or change.version <= self._reached:
            return
        self._reached = change.version
        if self.request.namespace and subject.namespace != self.request.namespace:
            return
        self.send(line_for(change, self.request.selector))

    def send(self, line: bytes) -> None:
        """Write `line` as it is."""
        if line:
            self._lines.append(line)
            self._something.set()

    def cut(self) -> None:
        """Break the connection without an orderly end."""
        self._cut = True
        self._something.set()

    async def write_to(self, http: web.BaseRequest, answer: web.StreamResponse) -> None:
        """Write lines until the time is over or the connection is to be cut."""
        end_s = asyncio.get_running_loop().time() + self.request.timeout_s
        while not self._cut:
            try:
                async with asyncio.timeout_at(end_s):
                    await self._something.wait()
            except TimeoutError:
                return
            self._something.clear()
            lines, self._lines = self._lines, []
            if lines:
                await answer.write(b"".join(lines))
        if http.transport is not None:
            http.transport.abort()


class WatchHub:
    """All open watches."""

    def __init__(self) -> None:
        self._open: set[Watch] = set()
        self._held: dict[str, list[Change | bytes]] = {}
        """Of resources whose watches are kept behind, what they do not have yet: changes, and lines as they are."""

    def __len__(self) -> int:
        return len(self._open)

    def publish(self, change: Change) -> None:
        """Offer a change to every watch, later if its resource is held back."""
        held = self._held.get(change.subject.resource.plural)
        if held is not None:
            held.append(change)
            return
        for watch in self._open:
            watch.offer(change)

    def hold_back(self, plural: str) -> None:
        """Keep changes, lines and bookmarks of one resource from its open watches."""
        self._held.setdefault(plural, [])

    def let_go(self, plural: str = "") -> None:
        """Offer what was held back of one resource, or of all, and what comes."""
        for name in [name for name in self._held if plural in ("", name)]:
            for each in self._held.pop(name):
                if isinstance(each, bytes):
                    self.send(each, name)
                else:
                    self.publish(each)

    def send(self, line: bytes, plural: str = "") -> None:
        """Write `line` as it is to every watch of one resource, or of all; never ahead of what is held back."""
        for name, held in self._held.items():
            if plural in ("", name):
                held.append(line)
        for watch in self._of(plural):
            if watch.request.resource.plural not in self._held:
                watch.send(line)

    def bookmark(self, version: int) -> None:
        """Send a bookmark to every watch that asked for them and whose resource has them."""
        for watch in self._open:
            resource = watch.request.resource
            if watch.request.bookmarks and resource.cached and resource.plural not in self._held:
                watch.send(bookmark_line(watch.request.resource, version))

    def cut(self, plural: str = "") -> None:
        """Break the watches of one resource, or all."""
        for watch in self._of(plural):
            watch.cut()

    async def serve(
        self,
        http: web.BaseRequest,
        request: WatchRequest,
        initial: Iterable[bytes],
        history: Iterable[Change],
    ) -> web.StreamResponse:
        """Answer with a watch: the lines of `initial`, what of `history` concerns it, then each new change.

        Both must have been gathered in the step that calls this, so that no change falls in between.
        """
        watch = Watch(request, initial)
        for change in history:
            watch.offer(change)
        self._open.add(watch)
        try:
            answer = await _begin(http)
            await watch.write_to(http, answer)
            return answer
        finally:
            self._open.discard(watch)

    def _of(self, plural: str) -> list[Watch]:
        return [watch for watch in self._open if plural in ("", watch.request.resource.plural)]


async def serve_error(http: web.BaseRequest, status: dict[str, object]) -> web.StreamResponse:
    """Answer with a watch that holds one error and ends."""
    answer = await _begin(http)
    await answer.write(b'{"type":"ERROR","object":%b}\n' % msgspec.json.encode(status))
    return answer


def bookmark_line(resource: Resource, version: int, annotations: dict[str, str] | None = None) -> bytes:
    """A bookmark: an object of the watched kind with nothing but a version."""
    metadata = {"resourceVersion": str(version)} | ({"annotations": annotations} if annotations else {})
    head = f'{{"type":"BOOKMARK","object":{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}","metadata":'
    return head.encode() + msgspec.json.encode(metadata) + resource.empty + b"}}\n"


async def _begin(http: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    answer.enable_chunked_encoding()
    await answer.prepare(http)
    return answer
