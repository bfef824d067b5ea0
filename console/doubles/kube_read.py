"""Lists and the beginnings of watches: from query parameters to JSON. Pure.

Source: FACTS 2, recorded answers, and Kubernetes 1.35's handling of list options (read).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from console.doubles import kube_status as refusals
from console.doubles.kube_resources import Target
from console.doubles.kube_selectors import BadSelector, Selector, parse_selector
from console.doubles.kube_store import Expired, Key, Page, Store, watch_line
from console.doubles.kube_watch import INITIAL_EVENTS_END, WatchRequest, bookmark_line
from console.doubles.server import Reply

__all__ = ["Refused", "begin_watch", "list_objects"]

WATCH_DEFAULT_S: Final = 1_800.0

_INCONSISTENT: Final = -1  # the version in a continue token that asks for the rest as it is now


class Refused(Exception):
    """The request gets this Status instead."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(status["message"])
        self.status = status


class _Continue(msgspec.Struct):
    v: str
    rv: int
    start: str


def list_objects(store: Store, target: Target, query: Mapping[str, str]) -> Reply:
    """A list or a page of one. Raises Refused."""
    selector = _selector(target, query)
    limit = _limit(target, query)
    token = query.get("continue", "")
    if token:
        page = _continued(store, target, selector, limit, token)
    else:
        page = _first_page(store, target, selector, limit, query)
    return Reply(200, _encode_list(target, page, selector))


def begin_watch(store: Store, target: Target, query: Mapping[str, str]) -> tuple[WatchRequest, list[bytes]]:
    """What is watched and the lines it begins with. Raises Refused; Expired if the history is compacted away."""
    initial_wanted = query.get("sendInitialEvents", "")
    if initial_wanted and query.get("resourceVersionMatch") != "NotOlderThan":
        problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise Refused(refusals.invalid_watch_options("resourceVersionMatch", problem))
    if not initial_wanted and query.get("resourceVersionMatch"):
        problem = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise Refused(refusals.invalid_watch_options("resourceVersionMatch", problem))
    version = _version(query)
    selector = _selector(target, query)
    bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
    # Without a version a watch begins with what there is, whether or not initial events were named.
    from_state = initial_wanted in ("true", "1") or (version == 0 and not initial_wanted)
    if from_state:
        page = store.page(target.resource, target.namespace, selector)
        lines = [watch_line("ADDED", stored) for stored in page.items]
        if initial_wanted and bookmarks:
            lines.append(bookmark_line(target.resource, page.version, INITIAL_EVENTS_END))
        start = page.version
    else:
        start, lines = version or store.version, []
    timeout_s = float(query.get("timeoutSeconds") or 0) or WATCH_DEFAULT_S
    return WatchRequest(target.resource, target.namespace, selector, bookmarks, timeout_s, start), lines


def _first_page(store: Store, target: Target, selector: Selector, limit: int, query: Mapping[str, str]) -> Page:
    try:
        version = _version(query)
    except Refused as refused:  # a list says it in another way than a watch
        raise Refused(refusals.bad_request(f"invalid resource version: {refused}")) from refused
    if version > store.version:
        raise Refused(refusals.too_new(version, store.version))
    # A version with a limit, or with `Exact`, is a snapshot; otherwise it is only «not older than».
    exact = query.get("resourceVersionMatch") == "Exact" or (limit > 0 and not query.get("resourceVersionMatch"))
    try:
        return store.page(
            target.resource, target.namespace, selector, limit=limit, version=version if version and exact else None
        )
    except Expired as expired:
        raise Refused(refusals.too_old(target.resource, version, expired.oldest)) from expired


def _continued(store: Store, target: Target, selector: Selector, limit: int, token: str) -> Page:
    try:
        # The token comes without its padding; too much of it does no harm.
        read = msgspec.json.decode(base64.urlsafe_b64decode(token + "=="), type=_Continue)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise Refused(refusals.bad_request(f"continue key is not valid: {error}")) from error
    after = _key_of(read.start, target)
    version = None if read.rv == _INCONSISTENT else read.rv
    try:
        return store.page(target.resource, target.namespace, selector, limit=limit, after=after, version=version)
    except Expired as expired:
        status = refusals.status(410, refusals.CONTINUE_EXPIRED, "Expired")
        status["metadata"] = {"continue": _token(_INCONSISTENT, read.start)}
        raise Refused(status) from expired


def _encode_list(target: Target, page: Page, selector: Selector) -> bytes:
    metadata: dict[str, object] = {"resourceVersion": str(page.version)}
    if page.left:
        last = page.items[-1]
        start = last.name if target.namespace or not target.resource.namespaced else f"{last.namespace}/{last.name}"
        metadata["continue"] = _token(page.version, f"/{start}\0")
        if not selector:  # with a selector the server cannot know how many will match
            metadata["remainingItemCount"] = page.left
    head = f'{{"kind":"{target.resource.kind}List","apiVersion":"{target.resource.api_version}","metadata":'
    items = b",".join(stored.bare for stored in page.items)
    return head.encode() + msgspec.json.encode(metadata) + b',"items":[' + items + b"]}"


def _token(version: int, start: str) -> str:
    text = msgspec.json.encode(_Continue("meta.k8s.io/v1", version, start))
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _key_of(start: str, target: Target) -> Key:
    path = start.strip("/\0")
    if target.resource.namespaced and not target.namespace:
        namespace, _, name = path.partition("/")
        return namespace, name
    return target.namespace, path


def _selector(target: Target, query: Mapping[str, str]) -> Selector:
    try:
        return parse_selector(
            query.get("labelSelector", ""), query.get("fieldSelector", ""), frozenset(target.resource.fields)
        )
    except BadSelector as error:
        raise Refused(refusals.bad_request(str(error))) from error


def _version(query: Mapping[str, str]) -> int:
    text = query.get("resourceVersion", "")
    if text and not (text.isascii() and text.isdigit()):
        raise Refused(refusals.invalid_version(text))
    return int(text or 0)


def _limit(target: Target, query: Mapping[str, str]) -> int:
    # Version 0 means «whatever the watch cache has»: it gives everything, whatever the limit.
    from_cache = target.resource.cached and query.get("resourceVersion") == "0"
    text = query.get("limit") or "0"
    try:
        limit = int(text)
    except ValueError as error:
        raise Refused(refusals.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')) from error
    return 0 if from_cache else limit
