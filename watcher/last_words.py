"""Tell what a container wrote last before it crashed, once it was told that it did.

Nothing waits for this: the line of the ending goes first, then whatever comes, and the last words when they are read.
Until then they hold back the saved position of the watch that showed the ending, for `GIVE_UP_S` at most. So a watcher
that dies in between, or gives the namespace to another one, leaves it to be seen again: Redis knows the ending already
and takes the words.

Read are the crashes whose ending has a line, so repeats that are folded cost nothing. Of one container the newest only:
no node keeps more than one log of a container that ended. The same words as last time are not told again, and those of
one pod together have no more than their share of the agent's budget. Decision: ADR 33.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from random import Random
from typing import Final

import structlog
from msgspec import Struct

from common.backoff import Backoff
from common.clock import Clock
from common.crypto import TokenVault, UnreadableToken
from common.ids import Uid
from common.record import Aspect
from common.telemetry.metrics import WatcherMetrics
from watcher.container_log import LogApi, read_end
from watcher.directory import Directory, Known
from watcher.endings import EPHEMERAL, OOM_KILLED
from watcher.errands import Errands
from watcher.excerpt import CONTEXT_LINES, excerpt, is_end_of
from watcher.facts import Fact, digest, unvarying
from watcher.kube_errors import Forbidden, Gone, Invalid, KubeError, NotFound, asked_wait_s
from watcher.publisher import Publisher
from watcher.records import last_words
from watcher.redactor import Redactor
from watcher.telling import tell
from watcher.versions import oldest

__all__ = ["CrashLogs", "LastWords"]

WORKERS: Final = 4
WANTED_MAX: Final = 500
"""Some seconds' work; more crash at once only where whole nodes go, and then there is nobody to ask."""
ATTEMPT_WITHIN_S: Final = 15.0
GIVE_UP_S: Final = 60.0
"""As long as the position may be held back: a fifth of the history that etcd keeps (FACTS 2)."""
OLD_S: Final = 3_600.0
"""What ended longer ago is history: a watcher that lists anew meets the last ending of every pod."""
FORBIDDEN_AGAIN_S: Final = 300.0
_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)
_NOT_STARTED: Final = frozenset(("StartError", "ContainerCannotRun"))
"""There was no program that could have written anything."""

_Key = tuple[Uid, str]
"""A pod and the name of its container."""


class Outcome(StrEnum):
    """What became of a log that was to be shown, in words that become metric labels."""

    TOLD = "told"
    EMPTY = "empty"
    """It wrote nothing."""
    SAME = "same"
    """It wrote what it had written before its last crash, or what its termination message says."""
    OVER_SHARE = "over_share"
    """The pod's share of the agent's budget is used up."""
    GONE = "gone"
    """The pod, the container or its log is not there any more."""
    SUPERSEDED = "superseded"
    """The container ended again meanwhile."""
    FORBIDDEN = "forbidden"
    UNREADABLE = "unreadable"
    """It could not be read in time."""
    TOO_MANY = "too_many"
    """Too many containers crashed at once."""


class CrashLogs(Struct, frozen=True):
    """What is to be shown of crashed containers."""

    lines: int
    """Of each, at most; >= 1."""
    share_bytes: int
    """Of one pod together."""
    redactor: Redactor


class _Wanted(Struct, frozen=True):
    fact: Fact
    since_s: float


class _Heard:
    """What was told of one pod."""

    __slots__ = ("bytes", "digests")

    def __init__(self) -> None:
        self.bytes = 0
        self.digests: dict[str, tuple[str, str]] = {}
        """Of the last words of each container, with the ending that they go with."""


class LastWords:
    """`want` is synchronous and cheap; `run` does all reading."""

    def __init__(
        self,
        show: CrashLogs,
        api: LogApi,
        directory: Directory,
        vault: TokenVault,
        publisher: Publisher,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
    ) -> None:
        """`vault` opens the tokens of agents, which are taken out of what is shown."""
        self._show = show
        self._api = api
        self._directory = directory
        self._vault = vault
        self._publisher = publisher
        self._clock = clock
        self._outcomes = {outcome: metrics.crash_logs.labels(outcome.value) for outcome in Outcome}
        self._wanted: dict[_Key, _Wanted] = {}
        self._held: dict[str, str] = {}
        """The oldest position by scope; of each scope in which something is wanted."""
        self._heard: dict[Uid, _Heard] = {}
        self._closed_until_s: dict[str, float] = {}
        """Namespaces in which logs may not be read."""
        self._slow: set[int] = set()
        self._errands: Errands[_Key] = Errands(self._attempt, workers=WORKERS, backoff=_BACKOFF, random=random)
        self._log = structlog.get_logger()

    def wants(self, fact: Fact) -> bool:
        """Whether `fact` is a crash, and what was written before can be asked for."""
        details = fact.details
        return (
            details.aspect == Aspect.ENDED
            and not details.expected
            and (details.exit_code != 0 or fact.reason == OOM_KILLED)
            and fact.reason not in _NOT_STARTED
            and details.role != EPHEMERAL  # somebody looks into the pod, and what they see is theirs
            and bool(fact.sign)
            and (fact.at_ms == 0 or self._clock.unix_s() - fact.at_ms / 1000 < OLD_S)
        )

    def want(self, fact: Fact) -> None:
        """Read the last words of the container whose ending `fact` is, which was told just now."""
        if not self.wants(fact):
            return
        key = (Uid(fact.about), fact.container)
        before = self._wanted.get(key)
        if before is not None and before.fact.sign == fact.sign:
            return
        if self._closed_until_s.get(fact.namespace, 0.0) > self._clock.monotonic_s():
            self._outcomes[Outcome.FORBIDDEN].inc()
            return
        if before is not None:
            self._outcomes[Outcome.SUPERSEDED].inc()
        elif len(self._wanted) >= WANTED_MAX:
            self._outcomes[Outcome.TOO_MANY].inc()
            return
        self._wanted[key] = _Wanted(fact, self._clock.monotonic_s())
        self._hold()
        self._errands.hurry(key)

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest ending of `scope` whose last words are not told; None if there is none."""
        return self._held.get(scope)

    def forget(self, covers: Callable[[str], bool]) -> None:
        """The namespaces that `covers` names are not ours any more, or Redis may have lost what was told of them."""
        for key in [key for key, wanted in self._wanted.items() if covers(wanted.fact.namespace)]:
            del self._wanted[key]
            self._errands.drop(key)
        self._forget_heard(lambda known: covers(known.namespace))
        self._hold()

    def tick(self) -> None:
        """Give up what could not be read in time, and forget what was told of pods that are gone."""
        now_s = self._clock.monotonic_s()
        for key in [key for key, wanted in self._wanted.items() if now_s - wanted.since_s >= GIVE_UP_S]:
            self._outcomes[Outcome.UNREADABLE].inc()
            del self._wanted[key]
            self._errands.drop(key)
            self._hold()
        self._forget_heard(lambda _known: False)

    async def run(self) -> None:
        """Read until cancelled."""
        await self._errands.run()

    def _forget_heard(self, covers: Callable[[Known], bool]) -> None:
        """Forget what was told of pods that `covers` names or that are gone."""
        for uid in [uid for uid in self._heard if (known := self._directory.get(uid)) is None or covers(known)]:
            del self._heard[uid]

    def _hold(self) -> None:
        befores: dict[str, list[str]] = {}
        for wanted in self._wanted.values():
            befores.setdefault(wanted.fact.scope, []).append(wanted.fact.before)
        self._held = {scope: oldest(each) for scope, each in befores.items()}

    async def _attempt(self, key: _Key) -> float | None:
        wanted = self._wanted.get(key)
        if wanted is None:
            return None
        await self._publisher.room()
        try:
            async with asyncio.timeout(ATTEMPT_WITHIN_S):
                outcome = await self._read(key, wanted)
        except (NotFound, Invalid, Gone):
            outcome = Outcome.GONE
        except Forbidden as error:
            self._close(wanted.fact.namespace, error)
            outcome = Outcome.FORBIDDEN
        except (KubeError, TimeoutError) as error:
            if self._clock.monotonic_s() - wanted.since_s < GIVE_UP_S:
                return asked_wait_s(error) if isinstance(error, KubeError) else 0.0
            self._log.debug("the log of a crashed container cannot be read", error=str(error))
            outcome = Outcome.UNREADABLE
        if self._wanted.get(key) is wanted:
            self._outcomes[outcome].inc()
            del self._wanted[key]
            self._hold()
        return None

    async def _read(self, key: _Key, wanted: _Wanted) -> Outcome:
        fact, lines = wanted.fact, self._show.lines
        known = self._directory.get(key[0])
        if known is None:
            return Outcome.GONE
        body = await read_end(self._api, known, fact.container, fact.sign, lines + CONTEXT_LINES)
        if is_end_of(fact.message, body, lines):
            return Outcome.SAME
        redacted = await asyncio.to_thread(excerpt, body, lines, self._show.redactor, self._tokens_of(known))
        self._complain(redacted.slow)
        known = self._directory.find(key[0], fact.namespace)
        if known is None or self._wanted.get(key) is not wanted:
            return Outcome.GONE
        return self._tell(fact, redacted.rows, known)

    def _tell(self, fact: Fact, rows: Sequence[str], known: Known) -> Outcome:
        if not rows:
            return Outcome.EMPTY
        heard = self._heard.setdefault(known.uid, _Heard())
        print_of = digest(*map(unvarying, rows))
        told, ending = heard.digests.get(fact.container, ("", ""))
        if told == print_of and ending == fact.sign:  # another agent may have come since, or Redis have lost them
            tell(self._publisher, last_words(fact, rows, known), known)
            return Outcome.TOLD
        if told == print_of:
            return Outcome.SAME
        size_bytes = sum(len(row.encode("utf-8", "surrogatepass")) + 1 for row in rows)
        if heard.bytes + size_bytes > self._show.share_bytes:
            return Outcome.OVER_SHARE
        heard.bytes += size_bytes
        heard.digests[fact.container] = print_of, fact.sign
        tell(self._publisher, last_words(fact, rows, known), known)
        return Outcome.TOLD

    def _tokens_of(self, known: Known) -> list[str]:
        tokens = []
        for seat in known.readable_seats:
            try:
                tokens.append(self._vault.unseal(seat.sealed_token))
            except UnreadableToken:
                continue  # of a key that was taken away: nobody else can know the token either
        return tokens

    def _close(self, namespace: str, error: Forbidden) -> None:
        is_new = namespace not in self._closed_until_s
        self._closed_until_s[namespace] = self._clock.monotonic_s() + FORBIDDEN_AGAIN_S
        if is_new:
            self._log.error(
                "permission denied: the last lines of crashed containers are not shown; tried again now and then",
                resource="pods/log",
                namespace=namespace,
                error=str(error),
                remedy="give the watcher's service account get on pods/log in a Role in namespace "
                f"{namespace!r} or in a ClusterRole, or leave out --crash-log-lines",
            )

    def _complain(self, slow: frozenset[int]) -> None:
        for line in sorted(slow - self._slow):
            self._slow.add(line)
            self._log.warning(
                "a pattern of --crash-log-redact-file takes too long; what it had not searched is not shown", line=line
            )
