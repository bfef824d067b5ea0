"""Keep one resource of one place in step with the API server: the I/O around `watcher/reflection.py`.

A watch that ends is opened again where it stopped; errors wait (exponential back-off with full jitter, at least what
`Retry-After` says) and are said once, with their end. Handing changes on is awaited, so a full outbox stops the
reading (back-pressure) instead of growing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from random import Random
from typing import Final, Generic, Protocol, assert_never

import structlog
from msgspec import Struct

from common.backoff import Backoff
from common.clock import Clock
from common.telemetry.metrics import WatcherMetrics
from watcher.kube_errors import (
    REASONS,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    ServerFault,
    Throttled,
    Unreachable,
    asked_wait_s,
)
from watcher.lines import LINE_MAX_BYTES, Oversized
from watcher.objects import (
    Delta,
    Failure,
    Line,
    ListPage,
    Malformed,
    ResourceT,
    Verb,
    decode_list,
    decode_watch,
)
from watcher.paths import NAMESPACES
from watcher.reflection import (
    Change,
    Closed,
    Empty,
    Lines,
    Listed,
    Listing,
    Opened,
    Page,
    Reply,
    Resuming,
    State,
    Watching,
    advance,
)
from watcher.reflection import Gone as GoneReply
from watcher.sieve import passed_over

__all__ = ["PAGE_OBJECTS", "Api", "Reflector", "Sink", "Target"]

PAGE_OBJECTS: Final = 500
"""What client-go asks for: about 4 MB of pods."""
SHORT_WATCH_S: Final = 1.0
"""A watch that ends sooner without a word counts as a failure: a server may close each one at once."""
SILENCE_SLACK_S: Final = 15.0
_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)
_BACKOFF_DENIED: Final = Backoff(base_s=2.0, cap_s=60.0, floor_s=1.0)
"""What an operator must change, such as a permission, does not come by itself."""
_PAGED: Final = "paged"
_IN_ONE_PIECE: Final = "continue_expired"
_CLOSED: Final = "closed"
_EXPIRED: Final = "expired"


class Api(Protocol):
    """What a reflector asks of `watcher.kube.KubeClient`."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes: ...

    def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]: ...


class Sink(Protocol[ResourceT]):
    """Takes changes in order. `take` returns when there is room for more."""

    position: str
    """Up to where changes were taken; where to resume."""

    async def take(self, change: Change[ResourceT]) -> None: ...


class Target(Struct, Generic[ResourceT], frozen=True):
    """What is reflected: the decoder's type, its name in messages and metrics, its collection's path, selectors."""

    kind: type[ResourceT]
    resource: str
    namespace: str
    """`*` for the whole cluster."""
    path: str
    selectors: Mapping[str, str]
    is_ours: Callable[[str], bool]
    """Whether a namespace is; others' lines are passed over undecoded."""
    optional: str = ""
    """What is not told without the right to read it, and how to do without; "" if the right is needed."""


class Reflector(Generic[ResourceT]):
    """One resource of one place."""

    def __init__(
        self,
        target: Target[ResourceT],
        api: Api,
        sink: Sink[ResourceT],
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
        *,
        watch_timeout_s: float,
    ) -> None:
        """Resumes at the sink's position; "" begins with a list."""
        self.state: State = Resuming(sink.position) if sink.position else Empty()
        self.trouble: KubeError | None = None
        """Why nothing is heard just now."""
        self._target = target
        self._api = api
        self._sink = sink
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._watch_timeout_s = watch_timeout_s
        self._failures = 0
        self._expiries = 0
        self._is_stale = False
        self._told: type[KubeError] | None = None
        self._log = structlog.get_logger().bind(resource=target.resource, namespace=target.namespace)
        # All are made here: what begins at 0 shows its first one as an increase.
        self._seen = {verb: metrics.events_seen.labels(target.resource, verb.value) for verb in Verb}
        self._failing = metrics.watches_failing.labels(target.resource)
        self._malformed = metrics.malformed_objects.labels(target.resource)
        self._relists = {why: metrics.relists.labels(target.resource, why) for why in (_PAGED, _IN_ONE_PIECE)}
        self._restarts = {
            why: metrics.watch_restarts.labels(target.resource, why) for why in (_CLOSED, _EXPIRED, *REASONS)
        }

    @property
    def resource(self) -> str:
        return self._target.resource

    @property
    def synced(self) -> bool:
        """Whether all is known up to some position, and what comes now is heard."""
        return isinstance(self.state, Listed | Watching) and self.trouble is None

    def list_anew(self) -> None:
        """Begin with a list again as soon as the watch that is open says something, a bookmark at the latest."""
        self._is_stale = True

    async def run(self) -> None:
        """Follow the resource until cancelled."""
        try:
            while True:
                try:
                    await self._step()
                except KubeError as error:
                    await self._wait_out(error)
        finally:
            self._failing.dec(self._fails(self.trouble))  # nobody waits for what is read no more

    async def _step(self) -> None:
        if self._is_stale and isinstance(self.state, Listed):
            self._is_stale, self.state = False, Empty()
        match self.state:
            case Resuming():
                await self._apply(Page(await self._list({"limit": "1"})))
            case Empty(paged):
                self._relists[_PAGED if paged else _IN_ONE_PIECE].inc()
                await self._list_page({"limit": str(PAGE_OBJECTS)} if paged else {})
            case Listing(_, continue_token):
                await self._list_page({"limit": str(PAGE_OBJECTS), "continue": continue_token})
            case Listed(position) | Watching(position):
                await self._watch(position)
            case _:
                assert_never(self.state)

    async def _list_page(self, query: Mapping[str, str]) -> None:
        try:
            page = await self._list(query)
        except Gone:
            self._log.info("a list took longer than the API server keeps history; it starts over in one piece")
            await self._apply(GoneReply())
        else:
            self._malformed.inc(page.malformed)
            await self._apply(Page(page))
            self._recovered()

    async def _list(self, query: Mapping[str, str]) -> ListPage[ResourceT]:
        body = await self._api.get(self._target.path, {**self._target.selectors, **query})
        try:
            return decode_list(self._target.kind, body)
        except ValueError as error:
            raise ServerFault(str(error)) from error

    async def _watch(self, position: str) -> None:
        # Spread, so that the watches of one start do not all end together for good.
        timeout_s = max(1, round(self._watch_timeout_s * self._random.uniform(0.8, 1.0)))
        since_s = self._clock.monotonic_s()
        heard, reason = False, _CLOSED
        try:
            heard = await self._follow(position, timeout_s)
        except Gone:
            await self._apply(GoneReply())
        except KubeError as error:
            reason = error.reason
            raise
        finally:
            await self._apply(Closed())
            self._restarts[_EXPIRED if isinstance(self.state, Empty) else reason].inc()
        if isinstance(self.state, Empty):
            await self._expired()
        elif not heard and not self._is_stale and self._clock.monotonic_s() - since_s < min(SHORT_WATCH_S, timeout_s):
            raise Unreachable("the API server closed the watch at once")

    async def _follow(self, position: str, timeout_s: int) -> bool:
        """One watch to its end; whether it said anything. Raises `KubeError`."""
        query = {
            **self._target.selectors,
            "resourceVersion": position,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_s),
        }
        heard = False
        stream = self._api.watch(self._target.path, query, inactivity_s=timeout_s + SILENCE_SLACK_S)
        async with aclosing(stream):
            async for raw in stream:
                if isinstance(self.state, Listed):
                    self._note(None)
                    await self._apply(Opened())
                if raw:
                    await self._take_lines(raw)
                if self._is_stale or not isinstance(self.state, Watching):
                    break
                if raw:
                    heard = True
                    self._expiries = 0
        return heard

    async def _expired(self) -> None:
        """List again: at once, unless the list before this one was of no use either."""
        if self._expiries:
            await self._clock.sleep(_BACKOFF.delay_s(self._expiries - 1, self._random))
        self._expiries += 1

    async def _take_lines(self, raw: list[bytes | Oversized]) -> None:
        lines: list[Line[ResourceT]] = [self._decoded(line) for line in raw]
        for line in lines:
            self._count(line)
        await self._apply(Lines(lines))
        if lines and isinstance(lines[-1], Failure):
            raise _stream_failure(lines[-1])
        self._recovered()

    def _decoded(self, line: bytes | Oversized) -> Line[ResourceT]:
        if isinstance(line, Oversized):
            return _too_large(line)
        return passed_over(line, self._target.is_ours) or decode_watch(self._target.kind, line)

    async def _apply(self, reply: Reply[ResourceT]) -> None:
        changes, state = advance(self.state, reply)
        for change in changes:
            await self._sink.take(change)
        # Only now: a change that could not be handed on must be asked for again.
        self.state = state

    def _count(self, line: Line[ResourceT]) -> None:
        if isinstance(line, Delta):
            self._seen[line.verb].inc()
        elif isinstance(line, Malformed):
            self._malformed.inc()

    def _recovered(self) -> None:
        self._failures = 0
        self._note(None)
        if self._told is not None:
            self._told = None
            self._log.info("the Kubernetes API answers again")

    def _note(self, trouble: KubeError | None) -> None:
        self._failing.inc(self._fails(trouble) - self._fails(self.trouble))
        self.trouble = trouble

    def _fails(self, trouble: KubeError | None) -> bool:
        """Whether `trouble` is somebody's business. What is optional may be forbidden for good, and nobody is woken."""
        return trouble is not None and not (self._target.optional and isinstance(trouble, Forbidden))

    async def _wait_out(self, error: KubeError) -> None:
        settled = isinstance(error, Forbidden | Invalid)
        backoff = _BACKOFF_DENIED if settled else _BACKOFF
        delay_s = max(asked_wait_s(error), backoff.delay_s(self._failures, self._random))
        self._failures += 1
        self._note(error)
        if self._told is not type(error):
            self._told = type(error)
            self._say(error, delay_s)
        await self._clock.sleep(delay_s)

    def _say(self, error: KubeError, delay_s: float) -> None:
        match error:
            case Forbidden() if self._target.optional:
                self._log.warning(
                    "permission denied; the rest goes on, and it is asked again until it is granted",
                    error=str(error),
                    lacking=self._target.optional,
                    remedy=_grant(self._target.resource, self._target.namespace),
                )
            case Forbidden():
                self._log.error(
                    "permission denied; asked again until it is granted",
                    error=str(error),
                    remedy=_grant(self._target.resource, self._target.namespace),
                )
            case Invalid():
                self._log.error(
                    "the Kubernetes API refuses the request as it is; asked again in case the server changes",
                    error=str(error),
                    remedy=_amend(self._target.resource, self._target.selectors),
                )
            case _:
                self._log.warning(
                    "cannot read from the Kubernetes API; tried again", error=str(error), retry_in_s=round(delay_s, 1)
                )


def _too_large(line: Oversized) -> Malformed:
    return Malformed(f"a line of {line.size_bytes} bytes, of which {LINE_MAX_BYTES} are read at most")


def _stream_failure(failure: Failure) -> KubeError:
    if failure.code == 429:
        return Throttled(failure.message, 1.0)
    return ServerFault(f"in the stream: {failure.code} {failure.message}")


def _grant(resource: str, namespace: str) -> str:
    place = "a ClusterRole bound cluster-wide" if namespace == "*" else f"a Role in namespace {namespace!r}"
    return f"give the watcher's service account get, list and watch on {resource} in {place}"


def _amend(resource: str, selectors: Mapping[str, str]) -> str:
    if resource == NAMESPACES:
        return "correct --namespace-selector; example: coder.com/workspaces=true"
    if "fieldSelector" in selectors:
        return (
            "give --field-selector fields that this API server can select pods by, such as metadata.name, "
            "metadata.namespace, spec.nodeName or status.phase; example: metadata.namespace!=kube-system"
        )
    if "labelSelector" in selectors:
        return "correct --label-selector; example: app.kubernetes.io/name=coder-workspace"
    return "does the server's address in the kubeconfig lead to a Kubernetes API?"
