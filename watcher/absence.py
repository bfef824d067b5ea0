"""Find out whether an object that a list lacks is really gone, before its delete is said.

A lagging API server, a changed selector or label also hide a live object. So it is asked for by name: gone, or
another UID under its name, is a delete; found is none; forbidden and errors are asked again, never said.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import structlog

from common.backoff import Backoff
from common.ids import Uid
from watcher.directory import Directory
from watcher.errands import Errands
from watcher.kube_errors import Forbidden, KubeError, NotFound, asked_wait_s
from watcher.objects import decode_uid
from watcher.paths import object_path
from watcher.reflector import Api

__all__ = ["Absences"]

WORKERS: Final = 8
_BACKOFF: Final = Backoff(base_s=1.0, cap_s=60.0)


class Absences:
    """Suspects among the live objects of `directory`; `on_gone` is told those that are gone."""

    def __init__(self, api: Api, directory: Directory, random: Random, *, on_gone: Callable[[Uid], None]) -> None:
        self._api = api
        self._directory = directory
        self._on_gone = on_gone
        self._errands: Errands[Uid] = Errands(self._attempt, workers=WORKERS, backoff=_BACKOFF, random=random)

    def suspect(self, uid: Uid) -> None:
        self._errands.add(uid)

    def clear(self, uid: Uid) -> None:
        """It was seen, or its delete was."""
        self._errands.drop(uid)

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._errands.run()

    async def _attempt(self, uid: Uid) -> float | None:
        known = self._directory.get(uid)
        if known is None:
            return None
        try:
            body = await self._api.get(object_path(known.kind, known.namespace, known.name))
            gone = decode_uid(body) != uid
        except NotFound:
            gone = True
        except Forbidden as error:
            structlog.get_logger().warning(
                "cannot tell whether an object is gone; asked again",
                kind=known.kind,
                namespace=known.namespace,
                error=str(error),
            )
            return _BACKOFF.cap_s
        except KubeError as error:
            return asked_wait_s(error)
        except ValueError:
            return 0.0
        if gone and self._directory.get(uid) is not None:
            self._on_gone(uid)
        return None
