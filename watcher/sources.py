"""Read the Secrets and ConfigMaps that agent tokens come from: single-flight, cached, bounded, again as long as asked.

A source is often created after the pod that names it, so a look-up goes on, with back-off, as long as an object
asks. Nothing waits for it: answers come by a callback.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Final

import structlog
from msgspec import Struct

from common.backoff import Backoff
from common.clock import Clock
from common.ids import Uid
from common.telemetry.metrics import WatcherMetrics
from watcher.errands import Errands
from watcher.kube_errors import Forbidden, KubeError, NotFound, asked_wait_s
from watcher.mounts import Kind
from watcher.objects import decode_source
from watcher.reflector import Api
from watcher.sought import Failure, Reading, Source, SourceData

__all__ = ["SourceName", "Sources"]

WORKERS: Final = 16
CACHE_S: Final = 10.0
"""Covers the pods of one start; short, for the values are tokens."""
CACHE_MAX: Final = 1_000
CACHE_MAX_CHARS: Final = 8 * 1024 * 1024
VALUE_MAX_CHARS: Final = 6_000
"""A token or the longest path, in base64. What is longer is neither, and need not be kept."""
PURSUED_MAX: Final = 10_000
_TOO_LONG: Final = "!"
"""Neither a token nor base64 nor blank."""
_BACKOFF: Final = Backoff(base_s=0.5, factor=1.6, cap_s=20.0)
_FORBIDDEN_AGAIN_S: Final = 30.0
_READ: Final = "read"
_TOO_MANY: Final = "too_many"


class SourceName(Struct, frozen=True, gc=False):
    namespace: str
    source: Source

    @property
    def resource(self) -> str:
        return f"{self.source.kind}s"

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/{self.resource}/{self.source.name}"


class _Cached(Struct, frozen=True):
    read_at_s: float
    reading: Reading
    size_chars: int


class Sources:
    """Look-ups on behalf of objects; their answers go to `on_answer`."""

    def __init__(
        self,
        api: Api,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
    ) -> None:
        self._api = api
        failed = [why.about(kind).value for kind in Kind for why in Failure]
        self._lookups = {word: metrics.secrets_lookups.labels(word) for word in (_READ, _TOO_MANY, *failed)}
        self._clock = clock
        self.on_answer: Callable[[Uid, SourceName, Reading], bool] = _satisfied
        """Is told each answer, and says whether the object has what it asked for."""
        self._askers: dict[SourceName, set[Uid]] = {}
        self._asked: dict[Uid, set[SourceName]] = {}
        self._later: dict[SourceName, set[Uid]] = {}
        """Who wants no answer from the read that is under way."""
        self._cache: OrderedDict[SourceName, _Cached] = OrderedDict()
        self._cached_chars = 0
        self._denied: set[tuple[Kind, str]] = set()
        self._errands: Errands[SourceName] = Errands(self._attempt, workers=WORKERS, backoff=_BACKOFF, random=random)
        self._log = structlog.get_logger()

    def latest(self, name: SourceName) -> Reading | None:
        """What was read of `name` only just now, None if nothing was."""
        cached = self._cache.get(name)
        if cached is None or self._clock.monotonic_s() - cached.read_at_s >= CACHE_S:
            return None
        return cached.reading

    def ask(self, name: SourceName, uid: Uid, *, fresh: bool = False) -> None:
        """Tell `uid` what `name` holds until it has what it wants; `fresh`: by reads that begin after this call."""
        if name not in self._askers and len(self._askers) >= PURSUED_MAX:
            self._lookups[_TOO_MANY].inc()
            return
        self._askers.setdefault(name, set()).add(uid)
        self._asked.setdefault(uid, set()).add(name)
        if fresh:
            self._later.setdefault(name, set()).add(uid)
            self._errands.hurry(name)
        else:
            self._errands.add(name)

    def forget(self, uid: Uid) -> None:
        """The object is gone, or needs no more."""
        for name in self._asked.pop(uid, ()):
            self._leave(name, uid)

    async def run(self) -> None:
        """Read until cancelled."""
        await self._errands.run()

    async def _attempt(self, name: SourceName) -> float | None:
        self._later.pop(name, None)
        answer, least_s = await self._read(name)
        for uid in self._askers.get(name, set()) - self._later.get(name, set()):
            if self.on_answer(uid, name, answer):
                self._asked.get(uid, set()).discard(name)
                if not self._asked.get(uid):
                    self._asked.pop(uid, None)
                self._leave(name, uid)
        return least_s if name in self._askers else None

    async def _read(self, name: SourceName) -> tuple[Reading, float]:
        try:
            body = await self._api.get(name.path)
            answer = SourceData({key: _kept(value) for key, value in decode_source(body).items()})
        except NotFound:
            return self._failed(name, Failure.MISSING), 0.0
        except Forbidden as error:
            self._say_denied(name, error)
            return self._failed(name, Failure.FORBIDDEN), _FORBIDDEN_AGAIN_S
        except KubeError as error:
            return self._failed(name, Failure.UNREADABLE), asked_wait_s(error)
        except ValueError:
            return self._failed(name, Failure.UNREADABLE), 0.0
        self._lookups[_READ].inc()
        self._remember(name, answer, sum(len(key) + len(value) for key, value in answer.data.items()))
        return answer, 0.0

    def _failed(self, name: SourceName, why: Failure) -> Failure:
        self._lookups[why.about(name.source.kind)].inc()
        self._remember(name, why, 0)
        return why

    def _remember(self, name: SourceName, reading: Reading, size_chars: int) -> None:
        before = self._cache.pop(name, None)
        self._cached_chars += size_chars - (before.size_chars if before is not None else 0)
        now_s = self._clock.monotonic_s()
        self._cache[name] = _Cached(now_s, reading, size_chars)
        while (
            len(self._cache) > CACHE_MAX
            or self._cached_chars > CACHE_MAX_CHARS
            or now_s - next(iter(self._cache.values())).read_at_s >= CACHE_S
        ):
            self._cached_chars -= self._cache.popitem(last=False)[1].size_chars

    def _say_denied(self, name: SourceName, error: Forbidden) -> None:
        place = (name.source.kind, name.namespace)
        if place in self._denied:
            return
        self._denied.add(place)
        self._log.error(
            "permission denied; asked again until it is granted",
            resource=name.resource,
            namespace=name.namespace,
            error=str(error),
            remedy=f"give the watcher's service account get on {name.resource} in a Role in namespace "
            f"{name.namespace!r} or in a ClusterRole; without it, agents whose token lies there are not found",
        )

    def _leave(self, name: SourceName, uid: Uid) -> None:
        askers = self._askers.get(name)
        if askers is not None:
            askers.discard(uid)
            if not askers:
                del self._askers[name]
                self._later.pop(name, None)
                self._errands.drop(name)


def _kept(value: str) -> str:
    return value if len(value) <= VALUE_MAX_CHARS else _TOO_LONG


def _satisfied(_uid: Uid, _name: SourceName, _answer: Reading) -> bool:
    return True
