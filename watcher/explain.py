"""`python -m watcher.explain NAME`: find pods and ReplicaSets by name, and say whether they are followed or why not.

`status` starts it. It asks Kubernetes as a watcher with these settings would, and judges by the watcher's pure code.
NAME is that of an object (NAMESPACE/NAME for one alone), of a Deployment, a workspace or an owner.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from typing import Final, assert_never

import click
import msgspec

from common.checkup import ANSWER_WITHIN_S
from common.clock import SystemClock
from common.settings.flags import run_program
from common.settings.watcher import KubernetesSettings
from common.telemetry.logging import configure_logging
from common.whereabouts import ObjectSeen, TokenPlace, Whereabouts
from watcher.agent_urls import agent_urls
from watcher.directory import ANY_NAMESPACE
from watcher.kube import KubeClient
from watcher.kube_errors import Forbidden, Invalid, KubeError, NotFound
from watcher.looking import Getter, TokenSources, pages, watched_namespaces
from watcher.objects import Metadata, Pod, ReplicaSet
from watcher.paths import PLURALS, collection_path, object_path
from watcher.selectors import LabelSelector, SelectorError, parse_fields, parse_labels
from watcher.shares import slot_of
from watcher.sightings import POD, REPLICA_SET, Sighting, sight, tag_of
from watcher.sought import NoToken, Sought
from watcher.tokens import Found, InValue
from watcher.versions import unix_ms
from watcher.why_not import PROBLEMS, described, remedy_for

__all__ = ["explain"]

OBJECTS_MAX: Final = 20
"""Of an owner with more, the first are told."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""Nothing but a name may become part of a path."""


class _Looker:
    """One search."""

    def __init__(self, settings: KubernetesSettings, api: Getter, watched: list[str], labels: LabelSelector) -> None:
        self._settings = settings
        self._api = api
        self._watched = watched
        self._labels = labels
        self._sources = TokenSources(api)
        self.troubles: list[str] = []

    async def find(self, name: str) -> list[tuple[str, Pod | ReplicaSet]]:
        """Kind and object of all that are called so."""
        namespace, _, bare = name.rpartition("/")
        found: list[tuple[str, Pod | ReplicaSet]] = []
        trouble = ""
        if _NAME.fullmatch(namespace) and _NAME.fullmatch(bare):
            try:
                found = await self._exactly(namespace, bare)
            except (Forbidden, NotFound, Invalid) as error:
                trouble = f"namespace {namespace} could not be looked into: {error}"
        if found:
            return found
        for place in await self._places():
            async for pods in pages(self._api, Pod, collection_path(PLURALS[POD], place), {}):
                found += [(POD, each) for each in pods if _is_called(each.metadata, name)]
            async for sets in pages(self._api, ReplicaSet, collection_path(PLURALS[REPLICA_SET], place), {}):
                found += [(REPLICA_SET, each) for each in sets if _is_called(each.metadata, name)]
        if trouble and not found:  # else it was an owner, no namespace
            self.troubles.append(trouble)
        # A Deployment keeps those of earlier builds, which make no pods.
        return [each for each in found if _is_at_work(each[1])] or found

    async def tell(self, kind: str, thing: Pod | ReplicaSet) -> ObjectSeen:
        """All that there is to say of one."""
        metadata = thing.metadata
        seen = sight(thing, self._labels)
        left_out, remedy = await self._left_out(kind, seen)
        return ObjectSeen(
            kind=kind,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            created_at_ms=unix_ms(metadata.creation_timestamp),
            workspace=seen.workspace,
            owner=seen.owner,
            unit=metadata.namespace if self._watched != [ANY_NAMESPACE] else slot_of(metadata.namespace),
            left_out=left_out,
            remedy=remedy,
            places=tuple([await self._place(metadata.namespace, each) for each in seen.found]),
            agent_urls=await self._agent_urls(kind, metadata) if seen.found else (),
        )

    async def _exactly(self, namespace: str, name: str) -> list[tuple[str, Pod | ReplicaSet]]:
        query = {"fieldSelector": f"metadata.name={name}"}
        pods = [each async for page in pages(self._api, Pod, self._path(POD, namespace), query) for each in page]
        sets = [
            each
            async for page in pages(self._api, ReplicaSet, self._path(REPLICA_SET, namespace), query)
            for each in page
        ]
        return [*((POD, each) for each in pods), *((REPLICA_SET, each) for each in sets)]

    async def _places(self) -> list[str]:
        """The whole cluster if we may look there: what is not watched is to be found, too."""
        try:
            await self._api.get(self._path(POD, ANY_NAMESPACE), {"limit": "1"})
            await self._api.get(self._path(REPLICA_SET, ANY_NAMESPACE), {"limit": "1"})
        except Forbidden:
            self.troubles.append("only the namespaces watched were looked into: listing others is forbidden")
            return [] if self._watched == [ANY_NAMESPACE] else self._watched
        return [ANY_NAMESPACE]

    async def _left_out(self, kind: str, seen: Sighting) -> tuple[str, str]:
        """Why the object is not followed, and the remedy; empty if it is."""
        settings, namespace = self._settings, seen.metadata.namespace
        if self._watched != [ANY_NAMESPACE] and namespace not in self._watched:
            if settings.namespace_selector.strip():
                return (
                    f"namespace {namespace} has not the labels of --namespace-selector",
                    f"label it: {settings.namespace_selector.strip()}",
                )
            return f"namespace {namespace} is not watched", "add it to --namespaces"
        fields = parse_fields(settings.field_selector)
        text = fields.text if kind == POD else fields.namespace_text
        if text and not await self._is_listed(kind, seen, {"fieldSelector": text}):
            return (
                f"--field-selector {settings.field_selector} leaves it out",
                "change the selector, if that is not meant",
            )
        labels = self._labels.text
        if labels and not (
            seen.ours if kind == REPLICA_SET else await self._is_listed(kind, seen, {"labelSelector": labels})
        ):
            return f"--label-selector {labels} leaves it out", "label the pod in its template, or change the selector"
        return "", ""

    async def _is_listed(self, kind: str, seen: Sighting, selectors: Mapping[str, str]) -> bool:
        """Whether the server lists the object with `selectors`."""
        named = f"metadata.name={seen.metadata.name}"
        fields = ",".join(filter(None, (selectors.get("fieldSelector"), named)))
        path = self._path(kind, seen.metadata.namespace)
        query = {**selectors, "fieldSelector": fields}
        return bool([each async for page in pages(self._api, Pod, path, query) for each in page])

    async def _place(self, namespace: str, found: Found) -> TokenPlace:
        match found.where:
            case InValue():
                why = None
            case NoToken() as why:
                pass
            case Sought() as sought:
                why = await self._sources.why_not(namespace, sought)
            case _:
                assert_never(found.where)
        where = described(found.where)
        if why is None:
            return TokenPlace(found.container, where)
        return TokenPlace(found.container, where, PROBLEMS[why], remedy_for(why, namespace))

    async def _agent_urls(self, kind: str, metadata: Metadata) -> tuple[str, ...]:
        try:
            return agent_urls(await self._api.get(object_path(kind, metadata.namespace, metadata.name)))
        except (Forbidden, NotFound):  # it may be gone by now
            return ()

    @staticmethod
    def _path(kind: str, namespace: str) -> str:
        return collection_path(PLURALS[kind], namespace)


async def explain(settings: KubernetesSettings, api: Getter, name: str) -> Whereabouts:
    """What there is under `name`. Raises `KubeError`, `SelectorError`."""
    watched = await watched_namespaces(api, settings)
    looker = _Looker(settings, api, watched, parse_labels(settings.label_selector))
    found = await looker.find(name)
    if len(found) > OBJECTS_MAX:
        looker.troubles.append(f"{len(found)} objects are called so; the first {OBJECTS_MAX} are told")
    objects = [await looker.tell(kind, each) for kind, each in found[:OBJECTS_MAX]]
    return Whereabouts(tuple(objects), tuple(looker.troubles))


def _is_at_work(thing: Pod | ReplicaSet) -> bool:
    return isinstance(thing, Pod) or thing.spec is None or thing.spec.replicas != 0


def _is_called(metadata: Metadata, name: str) -> bool:
    workspace, owner = (tag_of(metadata, which) for which in ("workspace", "owner"))
    return (
        name in (metadata.name, metadata.uid, f"{metadata.namespace}/{metadata.name}")
        or metadata.name.startswith(f"{name}-")
        or (bool(workspace) and name in (workspace, f"{owner}/{workspace}"))
        or (bool(owner) and name == owner)
    )


async def _explain(settings: KubernetesSettings, name: str) -> Whereabouts:
    timeout_s = min(settings.kube_request_timeout_s, ANSWER_WITHIN_S)
    api = KubeClient(str(settings.kubeconfig or ""), clock=SystemClock(), request_timeout_s=timeout_s)
    try:
        await api.open()
        return await explain(settings, api, name)
    except (KubeError, SelectorError) as error:
        return Whereabouts((), (f"Kubernetes could not be looked into: {error}",))
    finally:
        await api.close()


def _run(settings: KubernetesSettings, name: str) -> int:
    """Say as JSON what a watcher with these settings makes of NAME."""
    configure_logging("watcher", json=True, level="warning", stream=sys.stderr)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_explain(settings, name))))
    return 0


if __name__ == "__main__":
    sys.exit(run_program("watcher.explain", KubernetesSettings, _run, [click.Argument(["name"])]))
