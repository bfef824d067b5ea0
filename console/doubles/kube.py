"""The Kubernetes API double: lists, watches and writes of a few resources over HTTP, as FACTS 2 and recordings tell.

In a test: `async with KubeDouble() as kube: kube.apply(Put("pods", {...}))`. In its own process
`python -m console.doubles.kube --listen 127.0.0.1:0` prints one line, its URL, and is steered over HTTP
(`console.doubles.kube_control`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, assert_never

import click
import msgspec
import uvloop
from aiohttp import web

from console.doubles import kube_control as control
from console.doubles import kube_status as refusals
from console.doubles import kube_write as writes
from console.doubles.faults import Answer, Drop, Hang
from console.doubles.kube_access import Access, review
from console.doubles.kube_log import read_log
from console.doubles.kube_player import Player
from console.doubles.kube_read import Refused, begin_watch, list_objects
from console.doubles.kube_resources import RESOURCES, Resource, Target, parse_path
from console.doubles.kube_store import Change, Expired, NoSuchObject, Store
from console.doubles.kube_watch import WatchHub, serve_error
from console.doubles.server import DoubleServer, Reply, json_reply

__all__ = ["KubeDouble", "kubeconfig", "main"]

BOOKMARK_EVERY_S: Final = 60.0  # as the real watch cache
ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
VERSION: Final = {"major": "1", "minor": "35", "gitVersion": "v1.35.4", "platform": "linux/amd64"}

_VERBS: Final = {"PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}


class KubeDouble(DoubleServer):
    """The server. Without `tokens` (bearer token -> user) everyone is let in as `admin`."""

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        *,
        tokens: Mapping[str, str] | None = None,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(listen, tls=tls)
        self._access = Access(tokens)
        self._bookmark_every_s = bookmark_every_s
        self._hub = WatchHub()
        self._player = Player(self._write)
        self._beat: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self._hub.cut()
        self._hub.let_go()
        self._player.stop()
        self.faults.clear()
        self._access.clear()
        self._store = Store(self._on_change)
        self._writes: list[control.Write] = []
        self._logs: dict[str, str] = {}
        self._requests: Counter[str] = Counter()
        self._gone_over_http = False
        for name in ("default", "kube-system"):
            self._put(RESOURCES["namespaces"], {"metadata": {"name": name}, "status": {"phase": "Active"}})

    async def start(self) -> str:
        url = await super().start()
        self._beat = asyncio.create_task(self._send_bookmarks())
        return url

    async def stop(self) -> None:
        self._player.stop()
        if self._beat is not None:
            self._beat.cancel()
        self._hub.cut()
        await super().stop()

    # -- the operator's side

    def apply(self, command: control.Command) -> None:
        """Carry out one command. Raises KeyError for an unknown resource, NoSuchObject for a delete of nothing."""
        match command:
            case control.Put() | control.Delete():
                self._write(command)
            case control.Play(steps, speed):
                self._player.play(steps, speed)
            case control.Forbid():
                self._access.add(command)
            case control.PutLog(container_id, text):
                self._logs[container_id] = text
            case control.Reset():
                self._forget()
            case _:
                self._disturb(command)

    def _disturb(self, command: control.Disturbance) -> None:
        match command:
            case control.Inject(injection):
                self.faults.add(injection)
            case control.Compact():
                self._store.compact()
            case control.AnswerGoneOverHttp(on):
                self._gone_over_http = on
            case control.CutWatches(resource):
                self._hub.cut(resource)
            case control.HoldBack(resource, on):
                hold = self._hub.hold_back if on else self._hub.let_go
                hold(resource)
            case control.SendLine(line, resource):
                self._hub.send(line.encode(), resource)
            case control.SendBookmarks():
                self._hub.bookmark(self._store.version)
            case _:
                assert_never(command)

    def writes(self) -> list[control.Write]:
        """Every change so far, in order of versions."""
        return list(self._writes)

    def totals(self) -> control.Totals:
        """Counts since the start or the last reset."""
        return control.Totals(dict(self._requests), len(self._hub), self._player.unplayed)

    def _write(self, write: control.Put | control.Delete) -> None:
        resource = RESOURCES[write.resource]
        match write:
            case control.Put(_, value):
                if resource.namespaced:
                    value["metadata"].setdefault("namespace", "default")
                    self._ensure_namespace(value["metadata"]["namespace"])
                self._put(resource, value)
            case control.Delete("namespaces", name):
                self._store.end_namespace(name, time.time())
            case control.Delete(_, name, namespace):
                self._store.delete(resource, (namespace, name))
            case _:
                assert_never(write)

    def _ensure_namespace(self, name: str) -> None:
        try:
            self._store.get(RESOURCES["namespaces"], ("", name))
        except NoSuchObject:
            self._put(RESOURCES["namespaces"], {"metadata": {"name": name}, "status": {"phase": "Active"}})

    def _put(self, resource: Resource, value: dict[str, object]) -> None:
        self._store.put(resource, value, time.time())

    def _on_change(self, change: Change) -> None:
        subject = change.subject
        self._writes.append(
            control.Write(
                unix_ns=time.time_ns(),
                kind=change.kind,
                resource=subject.resource.plural,
                namespace=subject.namespace,
                name=subject.name,
                uid=subject.uid,
                version=change.version,
            )
        )
        self._hub.publish(change)

    async def _send_bookmarks(self) -> None:
        while True:
            await asyncio.sleep(self._bookmark_every_s)
            self._hub.bookmark(self._store.version)

    # -- the client's side

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: authentication, then faults, authorisation, the resource."""
        body = await request.content.read()
        if request.path.startswith("/_double"):
            return self._operate(request, body).to_http()
        user = self._access.user_of(request.headers.get("Authorization", ""))
        if user is None:
            return refusals.reply(refusals.unauthorized()).to_http()
        target = parse_path(request.path)
        if target is None:
            return self._apart(request, user, body).to_http()
        verb = _verb(request, target)
        if verb is None:
            message = "the server does not allow this method on the requested resource"
            return refusals.reply(refusals.status(405, message, "MethodNotAllowed")).to_http()
        facts = {"verb": verb, "resource": target.right, "namespace": target.namespace}
        fault = self.faults.take(facts)
        match fault:
            case None:
                return await self._serve(request, user, verb, target, body)
            case Answer(status, text, headers):
                return self._counted(verb, target, Reply(status, text.encode(), headers))
            case Drop(handled) | Hang(handled):
                if handled and verb != "watch":
                    self._effect(request, user, verb, target, body)
                return await self.cut_or_hang(request, fault)
            case _:
                assert_never(fault)

    async def _serve(
        self, request: web.BaseRequest, user: str, verb: str, target: Target, body: bytes
    ) -> web.StreamResponse:
        if verb != "watch":
            return self._counted(verb, target, self._effect(request, user, verb, target, body))
        if not self._access.allows(user, verb, target.right, target.namespace):
            return self._counted(verb, target, refusals.reply(refusals.forbidden(user, verb, target)))
        try:
            watch, lines = begin_watch(self._store, target, request.query)
            history = self._store.since(target.resource, watch.from_version)
        except Refused as refused:
            return self._counted(verb, target, refusals.reply(refused.status))
        except Expired as expired:
            gone = refusals.too_old(target.resource, int(request.query["resourceVersion"]), expired.oldest)
            if self._gone_over_http:
                return self._counted(verb, target, refusals.reply(gone))
            self._requests[f"{verb} {target.resource.plural} 200"] += 1
            return await serve_error(request, gone)
        self._requests[f"{verb} {target.resource.plural} 200"] += 1
        return await self._hub.serve(request, watch, lines, history)

    def _effect(self, request: web.BaseRequest, user: str, verb: str, target: Target, body: bytes) -> Reply:
        query = request.query
        if not self._access.allows(user, verb, target.right, target.namespace):
            return refusals.reply(refusals.forbidden(user, verb, target))
        try:
            match verb:
                case "list":
                    return list_objects(self._store, target, query)
                case "get" if target.subresource == "log":
                    return read_log(self._store, target, query, self._logs)
                case "get":
                    return writes.get(self._store, target)
                case "create":
                    return writes.create(self._store, target, body, time.time())
                case "update":
                    return writes.update(self._store, target, body, time.time())
                case "patch":
                    return writes.patch(self._store, target, body, time.time())
                case _:
                    return writes.delete(self._store, target, time.time())
        except Refused as refused:
            return refusals.reply(refused.status)

    def _apart(self, request: web.BaseRequest, user: str, body: bytes) -> Reply:
        match request.method, request.path:
            case "GET", "/version":
                return json_reply(200, VERSION)
            case "POST", path if path == ACCESS_REVIEWS:
                return review(self._access, user, msgspec.json.decode(body))
            case _:
                return refusals.PAGE_NOT_FOUND

    def _counted(self, verb: str, target: Target, reply: Reply) -> web.Response:
        self._requests[f"{verb} {target.right} {reply.status}"] += 1
        return reply.to_http()

    def _operate(self, request: web.BaseRequest, body: bytes) -> Reply:
        match request.method, request.path:
            case "GET", "/_double/writes":
                return json_reply(200, self._writes)
            case "GET", "/_double/totals":
                return json_reply(200, self.totals())
            case "POST", "/_double":
                try:
                    for command in control.decode_commands(body):
                        self.apply(command)
                except (msgspec.DecodeError, KeyError, NoSuchObject) as error:
                    return json_reply(400, {"message": f"{type(error).__name__}: {error}"})
                return json_reply(200, None)
            case _:
                return json_reply(404, {"message": "POST /_double, GET /_double/writes or GET /_double/totals"})


def _verb(request: web.BaseRequest, target: Target) -> str | None:
    if request.method == "GET":
        if target.name:
            return "get"
        return "watch" if request.query.get("watch") in ("1", "true") else "list"
    if target.subresource == "log":
        return None
    verb = _VERBS.get(request.method)
    return verb if (verb == "create") == (not target.name) else None


def kubeconfig(url: str, token: str = "") -> str:
    """A kubeconfig for a double at `url`, as JSON, which is YAML too."""
    user = {"token": token} if token else {}
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "double", "cluster": {"server": url}}],
                "users": [{"name": "double", "user": user}],
                "contexts": [{"name": "double", "context": {"cluster": "double", "user": "double"}}],
                "current-context": "double",
            }
        )
    ).decode()


@click.command()
@click.option("--listen", default="127.0.0.1:0", show_default=True, help="Address; port 0 takes a free one.")
@click.option("--token", default="", help="Bearer token without which a request gets 401.")
@click.option("--write-kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="Write a kubeconfig there.")
def main(listen: str, token: str, write_kubeconfig: Path | None) -> None:
    """Run the Kubernetes API double until it is interrupted; prints its URL."""

    async def serve() -> None:
        async with KubeDouble(listen, tokens={token: "admin"} if token else None) as double:
            if write_kubeconfig is not None:
                write_kubeconfig.write_text(kubeconfig(double.url, token))  # noqa: ASYNC240 - before anything is served
            await double.announce()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())


if __name__ == "__main__":
    main()
