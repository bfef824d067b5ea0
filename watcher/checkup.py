"""`python -m watcher.checkup`: look at the cluster as a watcher with these settings would, and say what it lacks.

`doctor` starts it, so that the watcher's own door to Kubernetes is what is tried. Writes findings as JSON to stdout.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

import msgspec

from common.checkup import ANSWER_WITHIN_S, Area, Finding, bad, doubt, encode_findings, fine
from common.clock import Clock, SystemClock
from common.loopback import is_loopback
from common.settings.flags import run_program
from common.settings.watcher import KubernetesSettings
from common.telemetry.logging import configure_logging
from watcher.directory import ANY_NAMESPACE
from watcher.kube import KubeClient
from watcher.kube_errors import Forbidden, Invalid, KubeError, NoCluster, ServerFault, Unauthorized
from watcher.lines import Oversized
from watcher.looking import Getter, TokenSources, exists, pages, watched_namespaces
from watcher.objects import ListPage, Pod, decode_list
from watcher.paths import PLURALS, collection_path
from watcher.permissions import ACCESS_REVIEWS, Right, access_review, judged, needs_of, place_name
from watcher.selectors import LabelSelector, SelectorError, parse_fields, parse_labels
from watcher.sightings import POD, sight
from watcher.sought import NoToken, Sought
from watcher.tokens import InValue
from watcher.watch_trial import ENDS_WITHIN_S, Broken, Course, Ended, Unended, trial_query
from watcher.watch_trial import judged as judged_watch

__all__ = ["examine"]

PODS_MAX: Final = 500
"""Enough to see whether agents are found; a cluster may have many more pods, and each may need a Secret read."""
ASKED_AT_ONCE: Final = 16
_K8S: Final = Area.KUBERNETES


class Examined(Getter, Protocol):
    """What is asked of the API besides."""

    async def post(self, path: str, value: Mapping[str, object]) -> bytes: ...

    def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]: ...


class _Version(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="gitVersion", default="?")


class _ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _ReviewStatus = _ReviewStatus()


_versions: Final = msgspec.json.Decoder(_Version)
_reviews: Final = msgspec.json.Decoder(_Review)
_Parsed = TypeVar("_Parsed")


async def examine(settings: KubernetesSettings, api: Examined, host: str, clock: Clock) -> list[Finding]:
    """All that there is to say about the cluster at `host`."""
    findings, labels = _selectors(settings)
    try:
        version = _versions.decode(await api.get("/version")).version
    except (KubeError, msgspec.DecodeError) as error:
        return [*findings, bad(_K8S, "cluster", f"{host} does not answer: {error}", _unreached(error, host))]
    findings.append(fine(_K8S, "cluster", f"{host} answers, version {version}"))
    try:
        namespaces = await watched_namespaces(api, settings)
    except KubeError as error:
        remedy = "see the permissions below" if not isinstance(error, Invalid) else "mend --namespace-selector"
        findings.append(bad(_K8S, "namespaces", f"those selected cannot be listed: {error}", remedy))
        namespaces = []
    else:
        findings += await _namespaces(settings, api, namespaces)
    findings += await _permissions(settings, api, namespaces)
    # The watch is waited for most of the time: look at the workspaces meanwhile.
    watched, found = await asyncio.gather(
        _watch(settings, api, namespaces, clock), _workspaces(settings, api, namespaces, labels)
    )
    return [*findings, *watched, *found]


def _selectors(settings: KubernetesSettings) -> tuple[list[Finding], LabelSelector | None]:
    """Whether they can be read; the label selector if all can."""
    labels, wrong = _parsed("--label-selector", parse_labels, settings.label_selector)
    _, wrong_fields = _parsed("--field-selector", parse_fields, settings.field_selector)
    _, wrong_names = _parsed("--namespace-selector", parse_labels, settings.namespace_selector)
    findings = [each for each in (wrong, wrong_fields, wrong_names) if each is not None]
    given = [each for each in (settings.label_selector, settings.field_selector, settings.namespace_selector) if each]
    if not findings:
        findings = [fine(_K8S, "selectors", "can be read" if given else "none: all pods with an agent token")]
        return findings, labels
    return findings, None


def _parsed(flag: str, parse: Callable[[str], _Parsed], text: str) -> tuple[_Parsed | None, Finding | None]:
    try:
        return parse(text), None
    except SelectorError as error:
        return None, bad(_K8S, "selectors", f"{flag}: {error}", f"write {flag} as in the example")


def _unreached(error: Exception, host: str) -> str:
    if isinstance(error, NoCluster | Unauthorized):
        return "renew the credentials in the kubeconfig or of the service account"
    if is_loopback(host):
        return (
            "does the API server run? In a container a loopback address is the container's own: use the host's "
            "network, or a kubeconfig (--kubeconfig) with an address that is reached from there"
        )
    return "is the address in the kubeconfig right, and may this machine reach it?"


async def _namespaces(settings: KubernetesSettings, api: Examined, namespaces: list[str]) -> list[Finding]:
    if namespaces == [ANY_NAMESPACE]:
        return [fine(_K8S, "namespaces", "the whole cluster is watched")]
    if not namespaces:
        said = f"none has the labels {settings.namespace_selector.strip()}"
        return [doubt(_K8S, "namespaces", said, "label those of workspaces; they are taken up within a second")]
    lacking = [each for each in namespaces if not await exists(api, each)]
    findings = [
        doubt(_K8S, "namespaces", f"there is no {each} yet", "is its name right? It is watched once it is there")
        for each in lacking
    ]
    there = [each for each in namespaces if each not in lacking]
    return [*findings, *([fine(_K8S, "namespaces", f"watched: {', '.join(there)}")] if there else [])]


async def _permissions(settings: KubernetesSettings, api: Examined, namespaces: list[str]) -> list[Finding]:
    needs = needs_of(settings, namespaces)
    rights = [right for place, each in needs.items() for need in each for right in need.rights(place)]
    places = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(right: Right) -> bool:
        async with places:
            return _reviews.decode(await api.post(ACCESS_REVIEWS, access_review(right))).status.allowed

    try:
        granted = dict(zip(rights, await asyncio.gather(*map(ask, rights)), strict=True))
    except (KubeError, msgspec.DecodeError) as error:
        said = f"the cluster does not tell what is granted: {error}"
        return [bad(_K8S, "permissions", said, "every authenticated user may ask by a SelfSubjectAccessReview")]
    return [finding for place, each in needs.items() for finding in judged(place, each, granted)]


async def _watch(settings: KubernetesSettings, api: Examined, namespaces: list[str], clock: Clock) -> list[Finding]:
    """How a watch of pods gets here, from the first namespace in which they may be listed; nothing if there is none."""
    for namespace in namespaces:
        path, place = collection_path(PLURALS[POD], namespace), place_name(namespace)
        try:
            page = await _first_pod(api, path)
        except Forbidden:
            continue
        except KubeError:
            return []  # that pods cannot be listed is said where workspaces are looked for
        query, tells = trial_query(page)
        course = await _course(api, path, query, clock)
        return [judged_watch(place, course, tells=tells, longest_s=settings.watch_timeout_s)]
    return []


async def _first_pod(api: Getter, path: str) -> ListPage[Pod]:
    try:
        return decode_list(Pod, await api.get(path, {"limit": "1"}))
    except ValueError as error:
        raise ServerFault(f"{path}: {error}") from error


async def _course(api: Examined, path: str, query: Mapping[str, str], clock: Clock) -> Course:
    """Open a watch, and hear it to its end."""
    asked_s = clock.monotonic_s()
    answered_s: float | None = None
    told_s: float | None = None
    try:
        async with (
            asyncio.timeout(ENDS_WITHIN_S),
            aclosing(api.watch(path, query, inactivity_s=ENDS_WITHIN_S)) as heard,
        ):
            async for lines in heard:
                now_s = clock.monotonic_s() - asked_s
                answered_s = now_s if answered_s is None else answered_s
                told_s = now_s if lines and told_s is None else told_s
    except TimeoutError:
        return Unended(began=answered_s is not None)
    except KubeError as error:
        return Broken(answered_s, clock.monotonic_s() - asked_s, error)
    ended_s = clock.monotonic_s() - asked_s
    return Ended(ended_s if answered_s is None else answered_s, told_s, ended_s)


async def _workspaces(
    settings: KubernetesSettings, api: Examined, namespaces: list[str], labels: LabelSelector | None
) -> list[Finding]:
    """How many pods have an agent; nothing if it is not known which pods are meant."""
    if labels is None:
        return []
    sources, seen, found, without = TokenSources(api), 0, 0, Counter[NoToken]()
    try:
        async for pod in _pods(settings, api, namespaces):
            seen += 1
            why = await _why_no_agent(pod, labels, sources)
            if why is None:
                found += 1
            else:
                without[why] += 1
            if seen >= PODS_MAX:
                break
    except Invalid as error:
        said = f"the cluster does not take --field-selector: {error}"
        return [bad(_K8S, "selectors", said, "choose by metadata.namespace, metadata.name or another field of pods")]
    except KubeError as error:
        return [bad(_K8S, "workspaces", f"pods cannot be listed: {error}", "see the permissions above")]
    return [_agents_found(seen, found, without)]


async def _pods(settings: KubernetesSettings, api: Examined, namespaces: list[str]) -> AsyncIterator[Pod]:
    """Those that a watcher would follow."""
    query = {"labelSelector": settings.label_selector.strip(), "fieldSelector": settings.field_selector.strip()}
    query = {name: text for name, text in query.items() if text}
    for namespace in namespaces:
        async for page in pages(api, Pod, collection_path(PLURALS[POD], namespace), query):
            for pod in page:
                yield pod


async def _why_no_agent(pod: Pod, labels: LabelSelector, sources: TokenSources) -> NoToken | None:
    """Why `pod` has no agent that could be told; None if it has one. The reason worth most is said."""
    reasons = []
    for each in sight(pod, labels).found:
        match each.where:
            case InValue():
                return None
            case NoToken() as why:
                reasons.append(why)
            case Sought() as sought:
                lacking = await sources.why_not(pod.metadata.namespace, sought)
                if lacking is None:
                    return None
                # Whoever takes all variables from a source that is not to be read is no workspace for that.
                reasons.append(lacking if sought.named else NoToken.NONE)
    return next((why for why in reasons if why is not NoToken.NONE), NoToken.NONE)


def _agents_found(seen: int, found: int, without: Counter[NoToken]) -> Finding:
    broken = {why: count for why, count in without.items() if why is not NoToken.NONE}
    troubles = ", ".join(f"{count} {why}" for why, count in sorted(broken.items()))
    most = f"{seen} pods" if seen < PODS_MAX else f"the first {seen} pods"
    if broken:
        said = f"{found} of {most} have an agent token; of others it cannot be read: {troubles}"
        return doubt(_K8S, "workspaces", said, "coder-logstream status POD says where it is looked for")
    if not found:
        said = f"none of {most} has an agent token"
        return doubt(
            _K8S, "workspaces", said, "start a workspace, or see whether namespaces and selectors leave it out"
        )
    return fine(_K8S, "workspaces", f"{found} of {most} have an agent token")


async def _examine(settings: KubernetesSettings) -> list[Finding]:
    timeout_s, clock = min(settings.kube_request_timeout_s, ANSWER_WITHIN_S), SystemClock()
    api = KubeClient(str(settings.kubeconfig or ""), clock=clock, request_timeout_s=timeout_s)
    try:
        await api.open()
    except NoCluster as error:
        return [bad(_K8S, "cluster", str(error), "")]  # it says the remedy itself
    try:
        return await examine(settings, api, api.host, clock)
    finally:
        await api.close()


def _run(settings: KubernetesSettings) -> int:
    """Say as JSON what a watcher with these settings would lack."""
    configure_logging("watcher", json=True, level="warning", stream=sys.stderr)
    sys.stdout.buffer.write(encode_findings(asyncio.run(_examine(settings))))
    return 0


if __name__ == "__main__":
    sys.exit(run_program("watcher.checkup", KubernetesSettings, _run))
