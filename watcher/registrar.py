"""Objects in, agents out: who belongs to which pod and ReplicaSet, and the facts of their lives.

An object's agents are resolved until its containers have started, then kept, over restarts too (guarantee 4); only
ephemeral containers still add theirs. What is told of an object: that it came (unless it was there, ready, when we
first came) and that it went. Only synchronous work is done here; look-ups go through `Pursuit` and `Absences`,
writing through `Publisher`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, assert_never

import structlog
from msgspec.structs import replace

from common.clock import Clock
from common.crypto import TokenVault, UnreadableToken
from common.ids import AgentId, Uid, Unit
from common.store.model import Card
from common.telemetry.metrics import WatcherMetrics
from watcher.complaints import Complaints
from watcher.directory import UNREADABLE, Directory, Known, Place, Seat
from watcher.leaving import Departure, Leaving
from watcher.packed import pack, unpack
from watcher.paths import PLURALS
from watcher.publisher import Publisher
from watcher.pursuit import Answer, Pursuit
from watcher.records import deleted, first_fact, unfollowed
from watcher.sightings import Sighting
from watcher.sought import NoToken, Reading, Sought
from watcher.sources import SourceName
from watcher.telling import tell
from watcher.tokens import Found, InValue
from watcher.versions import unix_ms

__all__ = ["Registrar"]

FULL_SAID_EVERY_S: Final = 3_600.0
"""With objects that come and go at the bound each one would be a line of the log."""


class Registrar:
    """The one writer of the directory.

    `on_registered` is called when an object has new agents, or needs none; `on_ending` before its end is told.
    """

    def __init__(
        self,
        directory: Directory,
        vault: TokenVault,
        publisher: Publisher,
        pursuit: Pursuit,
        metrics: WatcherMetrics,
        clock: Clock,
        leaving: Leaving,
        *,
        unit_of: Callable[[str], Unit | None],
        on_registered: Callable[[Uid], None],
        on_ending: Callable[[Known], None],
    ) -> None:
        """`unit_of`: the unit of a namespace, None if it is not ours (any more)."""
        self._directory = directory
        self.vault = vault
        """The present one: `start_over` brings another."""
        self._publisher = publisher
        self._pursuit = pursuit
        self._complaints = Complaints(metrics)
        self._unfollowed = metrics.objects_not_followed.labels("known_max")
        self._full_said_at_s = -FULL_SAID_EVERY_S
        self._clock = clock
        self._unit_of = unit_of
        self._on_registered = on_registered
        self._on_ending = on_ending
        self._leaving = leaving
        self._log = structlog.get_logger()

    def load(self, packed: Mapping[Uid, bytes]) -> bool:
        """Take up what was saved before a restart, every token sealed under the present key from now on.

        False: something could not be read, because another release packed it or a token was sealed under a key that
        is lost; it is known again once its object is read.
        """
        all_readable = True
        for each in packed.values():
            saved = unpack(each, self.vault)
            if saved is None:
                all_readable = False
                continue
            known = self._resealed(saved.known)
            self._leaving.pop(known.uid)  # its end is heard again
            if known != saved.known or not saved.is_current:
                self.keep(known)
                self._register(known, known.readable_seats)
            else:
                self._directory.put(known)
            all_readable &= saved.is_whole and known.readable_seats == known.seats
            if known.awaited:
                self._pursue(known, known)
        return all_readable

    def observe(self, seen: Sighting, *, told: bool) -> None:
        """An object as it is now. `told`: if it is new to us, its history is shown."""
        self._leaving.pop(seen.uid)
        known = self._directory.get(seen.uid)
        if known is None:
            self._admit(seen, told=told)
        elif not known.settled:
            self._resolve(known, seen)
        else:
            self._join(known, seen)

    def gone(self, uid: Uid, at_ms: int, *, failed: bool = False, scope: str = "", before: str = "") -> None:
        """The object was deleted at `at_ms` (Unix, 0 if unknown), as `scope` tells after its position `before`."""
        known = self._directory.get(uid)
        if known is None:
            return
        known = replace(known, failed=known.failed or failed)
        departure = Departure(known, at_ms, self._clock.monotonic_s(), scope, before)
        if known.awaited and not known.seats and uid not in self._leaving:
            # It may be told yet, whose it was: what waits for it comes then, and its end last.
            self._leaving.add(departure)
            self._pursuit.look_last(uid)
            self._pursue(known, known)
        else:
            self._bury(departure)

    def tick(self) -> None:
        """Wait no longer for what could not be read in time of objects that are gone."""
        for late in self._leaving.overdue(self._clock.monotonic_s()):
            self._bury(late)

    def _bury(self, end: Departure) -> None:
        uid = end.known.uid
        self._leaving.pop(uid)
        known = self._directory.bury(uid, self._clock.monotonic_s())
        if known is None:
            self.gone_bare(end.known.kind, end.known.namespace, uid)
            return
        known = replace(known, failed=known.failed or end.known.failed)
        self._on_ending(known)
        tell(self._publisher, deleted(known, end.at_ms), known)
        for seat in known.seats:
            self._publisher.release(seat.agent, uid)
        self._save(known, remove=(uid,))
        self._forget_pending(uid)
        self._on_registered(uid)  # nothing needs to wait for it any more

    def gone_bare(self, kind: str, namespace: str, uid: Uid) -> None:
        """An object without an agent was deleted."""
        self._directory.forget_bare(Place(kind, namespace), uid)

    def source_answered(self, uid: Uid, name: SourceName, reading: Reading) -> bool:
        """Use what a source holds; whether the object needs no more of it."""
        known = self._directory.get(uid)
        if known is None or known.namespace != name.namespace:
            return True
        wanted = self._pursue(known, known, Answer(name, reading))
        if self._pursuit.has_read(uid, wanted) and (departure := self._leaving.pop(uid)) is not None:
            self._bury(departure)
            return True
        return name not in wanted

    def card_of(self, agent: AgentId) -> tuple[Uid, Card] | None:
        """An object of `agent`, by search: asked only when Redis has lost the agent."""
        for known in self._directory:
            for seat in known.readable_seats:
                if seat.agent == agent:
                    return known.uid, known.card(seat)
        return None

    def start_over(self, vault: TokenVault) -> dict[AgentId, AgentId]:
        """Redis was emptied, so `vault` names agents anew: write down again who is known; answers old name to new.

        What was told stays told.
        """
        self.vault, before = vault, self.vault
        self._directory.close_tombstones()
        names: dict[AgentId, AgentId] = {}
        for known in list(self._directory):
            seats = []
            for seat in known.readable_seats:
                token = before.unseal(seat.sealed_token)
                names[seat.agent] = vault.agent_id(token)
                seats.append(replace(seat, agent=names[seat.agent]))
            settled = known.settled and len(seats) == len(known.seats)
            renamed = replace(known, told=False, seats=tuple(seats), settled=settled)
            self._register(renamed, renamed.seats)
            self.keep(renamed)
        return names

    def keep(self, known: Known) -> None:
        """Remember a live object as it is now, and write it down."""
        self._directory.put(known)
        self._save(known, put={known.uid: pack(known, self.vault)})

    def _admit(self, seen: Sighting, *, told: bool) -> None:
        place = Place(seen.kind, seen.metadata.namespace)
        met_before = self._directory.is_bare(place, seen.uid)
        if not met_before:
            self._complaints.of(seen)
        usable = any(self._is_usable(found, seen.uid, is_bare=met_before) for found in seen.found)
        fresh = Known(
            kind=seen.kind,
            namespace=seen.metadata.namespace,
            name=seen.metadata.name,
            uid=seen.uid,
            created_at_ms=unix_ms(seen.metadata.creation_timestamp),
            told=told,
            failed=seen.failed,
            workspace=seen.workspace,
            owner=seen.owner,
            quiet=() if told else tuple(fact.key for fact in seen.facts),
            ties=seen.ties,
            begun=seen.had_started or not told,
        )
        if usable and self._directory.has_room:
            self._resolve(fresh, seen)
            return
        if usable and not met_before:
            self._pass_over(fresh, seen)
        self._directory.put_bare(place, seen.uid)
        self._on_registered(seen.uid)

    def _pass_over(self, fresh: Known, seen: Sighting) -> None:
        """There is no room for another object: it is not followed, which is counted, logged now and then, and said to
        its agents as far as they can be known without a Secret. It is met again when it changes."""
        self._unfollowed.inc()
        now_s = self._clock.monotonic_s()
        if now_s - self._full_said_at_s >= FULL_SAID_EVERY_S:
            self._full_said_at_s = now_s
            self._log.error(
                "as many objects are followed as may be; further ones are not until others go",
                followed=len(self._directory),
                remedy="raise --known-max, or let more watchers share the namespaces",
            )
        for token in dict.fromkeys(found.where.token for found in seen.found if isinstance(found.where, InValue)):
            seat = self._seat(fresh, token, None)
            told = replace(fresh, seats=(seat,))
            self._register(told, told.seats)
            tell(self._publisher, unfollowed(told), told)
            self._publisher.release(seat.agent, told.uid)

    def _resolve(self, known: Known, seen: Sighting) -> None:
        """Bring the agents of an object that has not started in line with what it says now."""
        seats: list[Seat] = []
        awaited: list[Sought] = []
        for found in seen.found:
            match found.where:
                case InValue(token):
                    seats.append(self._seat(known, token, None))
                case Sought() as sought:
                    seat = next((seat for seat in known.readable_seats if seat.source == sought), None)
                    if seat is not None:
                        seats.append(seat)
                    elif not self._pursuit.lacks(known.uid, sought):
                        awaited.append(sought)
                case NoToken():
                    pass  # said once, when the object was met
                case _:
                    assert_never(found.where)
        from_sources = bool(awaited) or any(seat.source is not None for seat in seats)
        if seen.started and from_sources:
            self._pursuit.look_last(known.uid)
        after = replace(
            known,
            seats=tuple(seats),
            awaited=tuple(dict.fromkeys(awaited)),
            settled=seen.started and not from_sources,
            failed=known.failed or seen.failed,
            ties=seen.ties,
        )
        self._pursue(self._directory.get(known.uid), after)

    def _join(self, known: Known, seen: Sighting) -> None:
        """Add the agents of ephemeral containers, which come after the start; the others stay as they are."""
        seats, awaited = list(known.seats), list(known.awaited)
        for found in seen.found:
            match found.where:
                case _ if not found.ephemeral:
                    pass  # known, and final
                case InValue(token):
                    if (seat := self._seat(known, token, None)) not in seats:
                        seats.append(seat)
                case Sought() as sought:
                    is_known = sought in awaited or any(seat.source == sought for seat in seats)
                    if not is_known and not self._pursuit.lacks(known.uid, sought):
                        awaited.append(sought)
                case NoToken():
                    pass  # worth no agent, and too late to be said with the object
                case _:
                    assert_never(found.where)
        failed = known.failed or seen.failed
        after = replace(known, seats=tuple(seats), awaited=tuple(awaited), failed=failed, ties=seen.ties)
        if after.awaited != known.awaited:
            self._pursue(known, after)
        else:
            self._update(known, after)

    def _seat(self, known: Known, token: str, source: Sought | None) -> Seat:
        agent = self.vault.agent_id(token)
        for seat in known.readable_seats:
            if seat.agent == agent and seat.source == source:
                return seat
        return Seat(agent, self.vault.seal(token), source)

    def _pursue(self, before: Known | None, known: Known, answer: Answer | None = None) -> set[SourceName]:
        """Take what was read into `known`, write it down, and have read what is still wanted; answers that."""
        progress = self._pursuit.weigh(known, answer)
        # A source that once gave a token keeps it until it gives another.
        seats = [seat for seat in known.seats if seat.source not in progress.tokens]
        seats += [self._seat(known, token, sought) for sought, token in progress.tokens.items()]
        awaited = tuple(each for each in known.awaited if each not in progress.tokens and each not in progress.lacking)
        settled = known.settled or (progress.is_over and not awaited)
        after = replace(known, seats=tuple(seats), awaited=awaited, settled=settled)
        if seats or awaited or (before is not None and before.seats):
            self._update(before, after)
        else:
            self._strip(before, after)
        for why in progress.reasons:
            self._complaints.about(known, why)
        self._pursuit.read(known.uid, progress.wanted, answer)
        return progress.wanted

    def _strip(self, before: Known | None, known: Known) -> None:
        """Where the object's token might have been there is none: it has no agent."""
        if before is None:
            self._directory.put_bare(Place(known.kind, known.namespace), known.uid)
        else:
            self._directory.strip(known)
            self._save(known, remove=(known.uid,))
        self._complaints.bare(known.kind, known.namespace, known.name)
        self._forget_pending(known.uid)
        self._on_registered(known.uid)

    def _is_usable(self, found: Found, uid: Uid, *, is_bare: bool) -> bool:
        """`is_bare`: it was looked at before, without success; only ephemeral containers come later."""
        match found.where:
            case InValue():
                return True
            case Sought() as sought:
                is_new = sought.named or found.ephemeral or not is_bare
                return is_new and not self._pursuit.lacks(uid, sought)
            case NoToken():
                return False
            case _:
                assert_never(found.where)

    def _update(self, before: Known | None, after: Known) -> None:
        """Write down `after` and tell the agents that are new."""
        if before == after:
            return
        old = {seat.agent for seat in before.seats} if before is not None else set()
        readable = before.readable_seats if before is not None else ()
        new = {seat.agent: seat for seat in after.seats}
        self.keep(after)
        self._register(after, [seat for seat in new.values() if seat not in readable])
        for agent in old - new.keys():
            self._publisher.release(agent, after.uid)
        if after.told and new.keys() - old:
            newcomers = replace(after, seats=tuple(seat for agent, seat in new.items() if agent not in old))
            tell(self._publisher, first_fact(after), newcomers)
        if new.keys() - old or not after.awaited:
            self._on_registered(after.uid)
        if after.settled and not after.awaited:
            self._forget_pending(after.uid)

    def _resealed(self, known: Known) -> Known:
        """`known` with its tokens under the present key; one that no key opens is left for `_resolve` to find again."""
        seats = []
        for seat in known.seats:
            try:
                seats.append(replace(seat, sealed_token=self.vault.resealed(seat.sealed_token)))
            except UnreadableToken:
                seats.append(replace(seat, sealed_token=UNREADABLE))
        settled = known.settled and all(seat.sealed_token for seat in seats)
        return replace(known, seats=tuple(seats), settled=settled)

    def _register(self, known: Known, seats: Iterable[Seat]) -> None:
        for seat in seats:
            self._publisher.register(seat.agent, known.uid, known.card(seat))

    def _save(self, known: Known, *, put: Mapping[Uid, bytes] | None = None, remove: Collection[Uid] = ()) -> None:
        unit = self._unit_of(known.namespace)
        if unit is not None:  # else its new holder has read it from where we left it
            self._publisher.keep(PLURALS[known.kind], unit, put=put, remove=remove)

    def _forget_pending(self, uid: Uid) -> None:
        self._pursuit.forget(uid)
        self._complaints.forget(uid)
