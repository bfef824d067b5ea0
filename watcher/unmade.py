"""Whose pod could not be made: read the template of a StatefulSet or Job that says so in an Event.

With a quota used up, say, there is no pod, so the only place of the agent's token is the owner's template. It is asked
for by name when that Event comes, and only then: clusters have many owners, of which few are in trouble, and a watch
would need `list` and `watch` on all of them. An answer is used for a minute; owners that wait for no pod, or have no
token, are asked about again at their next Event. What is forbidden is said once for each kind and left alone for a
while: all else goes on without it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Final

import structlog
from msgspec import Struct

from common.backoff import Backoff
from common.clock import Clock
from common.crypto import TokenVault
from common.ids import Uid
from common.telemetry.metrics import WatcherMetrics
from watcher.directory import Known, Seat
from watcher.errands import Errands
from watcher.kube_errors import Forbidden, KubeError, NotFound, asked_wait_s
from watcher.makers import Maker, decode_maker
from watcher.neighbours import Tie
from watcher.objects import Event
from watcher.paths import MAKER_PLURALS, maker_path
from watcher.pursuit import Look
from watcher.reflector import Api
from watcher.relay import Relay
from watcher.selectors import LabelSelector
from watcher.sightings import sight_template
from watcher.sought import UNREAD, Gap, NoToken, token_of
from watcher.sources import Sources
from watcher.tokens import InValue
from watcher.versions import unix_ms

__all__ = ["DENIED_S", "PENDING_MAX", "Unmade"]

WORKERS: Final = 4
PENDING_MAX: Final = 1_000
ANSWERED_MAX: Final = 1_000
ASK_AGAIN_S: Final = 10.0
"""At most so often about one owner."""
DENIED_S: Final = 600.0
_BACKOFF: Final = Backoff(base_s=0.2, cap_s=20.0)
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""Who writes an Event chooses what it says: nothing but a name may become part of a path."""


class OwnerName(Struct, frozen=True, gc=False):
    kind: str
    namespace: str
    name: str
    uid: Uid

    @property
    def tie(self) -> Tie:
        return Tie(self.kind, self.uid)


class Unmade:
    """Owners to be asked about as long as an Event of theirs waits in `relay`, which is told their agents."""

    def __init__(
        self,
        api: Api,
        relay: Relay,
        sources: Sources,
        vault: Callable[[], TokenVault],
        labels: LabelSelector,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
    ) -> None:
        """`vault`: the present one."""
        self._api = api
        self._relay = relay
        self._sources = sources
        self._vault = vault
        self._labels = labels
        self._clock = clock
        self._overflow = metrics.records.labels("neighbours_overflow")
        self._answered: OrderedDict[OwnerName, float] = OrderedDict()
        self._denied: dict[str, OrderedDict[str, float]] = {kind: OrderedDict() for kind in MAKER_PLURALS}
        """In which namespaces, and when, it was forbidden to ask about a kind."""
        self._errands: Errands[OwnerName] = Errands(self._attempt, workers=WORKERS, backoff=_BACKOFF, random=random)
        self._log = structlog.get_logger()

    def ask(self, event: Event) -> None:
        """`event` says that a pod of the owner that it is about could not be made."""
        about = event.involved_object
        owner = OwnerName(about.kind, event.metadata.namespace, about.name, Uid(about.uid))
        if _NAME.fullmatch(owner.name) is None:
            return
        if len(self._errands) >= PENDING_MAX and owner not in self._errands:
            self._overflow.inc()
            return
        self._errands.add(owner)

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._errands.run()

    async def _attempt(self, owner: OwnerName) -> float | None:
        if not self._relay.is_waited_for(owner.tie, owner.namespace) or self._is_denied(owner):
            return None
        wait_s = self._answered.get(owner, -ASK_AGAIN_S) + ASK_AGAIN_S - self._clock.monotonic_s()
        if wait_s > 0:
            return wait_s
        try:
            maker = decode_maker(await self._api.get(maker_path(owner.kind, owner.namespace, owner.name)))
        except NotFound:
            return None
        except Forbidden as error:
            self._deny(owner, error)
            return None
        except KubeError as error:
            return asked_wait_s(error)
        except ValueError:
            return None
        if maker.metadata.uid != owner.uid:
            return None
        is_complete = self._look(owner, maker)
        if not is_complete:
            return 0.0
        self._answered.pop(owner, None)
        self._answered[owner] = self._clock.monotonic_s()
        if len(self._answered) > ANSWERED_MAX:
            self._answered.popitem(last=False)
        return None

    def _look(self, owner: OwnerName, maker: Maker) -> bool:
        """Tell the agents of `owner`; whether there is nothing more to come."""
        seen = sight_template(owner.kind, maker.metadata, maker.template, self._labels, waiting=maker.waits)
        if not seen.waiting:
            return True
        seats: list[Seat] = []
        is_complete = True
        for found in seen.found:
            match found.where:
                case InValue(token):
                    seats.append(self._seat(token))
                case NoToken():
                    pass  # said with its pods
                case sought:
                    look = Look(self._sources, owner.namespace)
                    outcome = token_of(sought, look.read)
                    if not isinstance(outcome, Gap | NoToken):
                        seats.append(self._seat(outcome))
                    elif outcome is UNREAD or (sought.named and isinstance(outcome, NoToken)):
                        is_complete = False
                        for name in look.touched | look.unread:
                            self._sources.ask(name, owner.uid)
        if seats:
            self._relay.found(
                Known(
                    owner.kind,
                    owner.namespace,
                    owner.name,
                    owner.uid,
                    unix_ms(maker.metadata.creation_timestamp),
                    told=True,
                    seats=tuple(seats),
                    workspace=seen.workspace,
                    owner=seen.owner,
                    ties=(owner.tie,),
                )
            )
        return is_complete

    def _seat(self, token: str) -> Seat:
        vault = self._vault()
        return Seat(vault.agent_id(token), vault.seal(token))

    def _is_denied(self, owner: OwnerName) -> bool:
        denied_at_s = self._denied[owner.kind].get(owner.namespace)
        return denied_at_s is not None and self._clock.monotonic_s() - denied_at_s < DENIED_S

    def _deny(self, owner: OwnerName, error: Forbidden) -> None:
        denied = self._denied[owner.kind]
        is_first = not denied
        denied.pop(owner.namespace, None)
        denied[owner.namespace] = self._clock.monotonic_s()
        if len(denied) > ANSWERED_MAX:
            denied.popitem(last=False)
        if is_first:
            plural = MAKER_PLURALS[owner.kind]
            self._log.warning(
                "permission denied; a workspace whose pod cannot be made is not told why, unless it has another pod",
                resource=plural,
                namespace=owner.namespace,
                error=str(error),
                remedy=f"give the watcher's service account get on {plural} in a Role in namespace "
                f"{owner.namespace!r} or in a ClusterRole, if workspaces are {plural}",
            )
