"""No token is in anything that a person or a scraper can read, nor in Redis, whatever goes wrong. Guarantee 6.

The commands that look at it all are asked, too.
"""

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from console.doubles import coder_control, kube_control
from console.doubles.faults import Answer, Drop, Injection
from console.doubles.kube_control import CutWatches, Put, SendLine
from tests.integration.console.commands import (
    Cluster,
    Coder,
    clean_environ,
    coder_lines,
    command,
    double,
    probed,
    until,
)
from tests.servers import RedisServer, free_port

pytestmark = pytest.mark.timeout(180)

VARIABLE = "CODER_AGENT_TOKEN"


def pod(name: str, env: Any, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "coder", "uid": str(uuid.uuid4())},
        "spec": {"containers": [{"name": "dev", "env": env}], **spec},
        "status": {"phase": "Pending"},
    }


def value(token: str) -> list[dict[str, Any]]:
    return [{"name": VARIABLE, "value": token}]


def from_secret(name: str) -> list[dict[str, Any]]:
    return [{"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}]


def secret(name: str, data: str) -> Put:
    return Put("secrets", {"metadata": {"name": name, "namespace": "coder"}, "data": {"token": data}})


def misshapen(tokens: Iterator[str]) -> Iterator[str]:
    """Watch lines that hold a token and do not fit, each in another way."""

    def line(thing: object) -> str:
        return json.dumps({"type": "ADDED", "object": thing})

    fits = pod("bad", value(next(tokens)))
    yield line({**fits, "spec": f"{VARIABLE}={next(tokens)}"})
    yield line({**fits, "spec": {"containers": {"env": value(next(tokens))}}})
    yield line(pod("bad", [f"{VARIABLE}={next(tokens)}"]))
    yield line(pod("bad", [{"name": VARIABLE, "value": [next(tokens)]}]))
    yield line({**pod("bad", value(next(tokens))), "metadata": {"name": ["bad"], "uid": 7, "annotations": 3}})
    yield line(pod("bad", value(next(tokens))))[:-20]
    yield line([value(next(tokens))])
    yield json.dumps({"type": "ERROR", "object": {"message": f"{VARIABLE}={next(tokens)}", "code": 500}})


def everything_in(server: str) -> Iterator[bytes]:
    """All keys of a Redis, and all that is in them. A key that goes meanwhile holds nothing."""
    with redis.Redis.from_url(server) as client:
        readers = {
            b"string": client.get, b"hash": client.hgetall, b"set": client.smembers, b"stream": client.xrange,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True), b"none": lambda _: None,
        }  # fmt: skip
        for key in client.scan_iter():
            yield key
            yield from pieces(readers[client.type(key)](key))


def pieces(thing: Any) -> Iterator[bytes]:
    match thing:
        case bytes():
            yield thing
        case dict():
            for pair in thing.items():
                yield from pieces(pair)
        case list() | tuple() | set():
            for part in thing:
                yield from pieces(part)


def forms(token: str) -> list[bytes]:
    """How a token can be written down, but for encryption."""
    bare = uuid.UUID(token)
    return [
        token.encode(), token.upper().encode(), bare.hex.encode(), bare.bytes,
        base64.b64encode(token.encode()), base64.b64encode(bare.bytes),
    ]  # fmt: skip


QUESTIONS = (
    ("doctor", "--output", "json"),
    ("status",),
    *(("status", name) for name in ("listed", "hidden", "no-uuid", "coder/listed-bad")),
)


def asked(words: tuple[str, ...], flags: list[str], coder_url: str) -> bytes:
    """All that a command of an operator prints, with the flags of the `run` that it looks at."""
    done = subprocess.run(
        command(words[0], *flags, *words[1:]), env=clean_environ({"CODER_URL": coder_url}), stdin=subprocess.DEVNULL,
        capture_output=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_no_token_is_in_logs_metrics_probes_or_redis(own_redis: RedisServer, tmp_path: Path) -> None:
    given: list[str] = []

    def tokens() -> Iterator[str]:
        while True:
            given.append(str(uuid.uuid4()))
            yield given[-1]

    fresh = tokens()
    plain, hidden, late, wrong, refused = (next(fresh) for _ in range(5))
    kubeconfig, port = tmp_path / "kubeconfig", free_port()
    address = f"http://127.0.0.1:{port}"
    flags = [
        "run", "-k", str(kubeconfig), "--data-dir", str(tmp_path / "data"), "--redis-url", own_redis.url,
        "--metrics-addr", f"127.0.0.1:{port}", "--log-level", "debug", "--processes", "2",
    ]  # fmt: skip
    seen: list[tuple[int, str]] = []

    with double("coder", "--auto-agents") as coder_url, double("kube", "--write-kubeconfig", str(kubeconfig)) as kube:
        coder, cluster = Coder(coder_url), Cluster(kube)
        until(kubeconfig.exists, "the double has written its kubeconfig")
        cluster.apply(
            secret("good", base64.b64encode(hidden.encode()).decode()),
            secret("no-base64", f"!{wrong}"),
            secret("no-uuid", base64.b64encode(f"x{wrong}".encode()).decode()),
            Put("pods", pod("listed", value(plain))),
            Put("pods", pod("refused", value(refused))),
            Put("pods", pod("hidden", from_secret("good"))),
            Put("pods", pod("no-base64", from_secret("no-base64"))),
            Put("pods", pod("no-uuid", from_secret("no-uuid"))),
            Put("pods", pod("padded", value(f"x{wrong}"))),
            Put("pods", pod("listed-bad", value(next(fresh)), nodeName=[next(fresh)])),
        )
        complaint = json.dumps({"message": f"agent {plain} is unwell", "detail": f"{VARIABLE}={hidden}"})
        coder.apply(
            coder_control.Inject(Injection(Answer(400, complaint), 100, {"token": refused, "endpoint": "logs"}))
        )
        for fault in (Answer(500, complaint), Answer(403, f"<p>{plain}"), Drop()):
            for endpoint in ("logs", "log_source"):
                coder.apply(coder_control.Inject(Injection(fault, 1, {"endpoint": endpoint})))
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            process = subprocess.Popen(
                command(*flags), env=clean_environ({"CODER_URL": coder_url}), stdin=subprocess.DEVNULL,
                stdout=out, stderr=err,
            )  # fmt: skip
        try:
            until(lambda: cluster.watches() >= 3, "the watcher watches")
            cluster.apply(*(SendLine(line, "pods") for line in misshapen(fresh)))
            refusal = json.dumps({"kind": "Status", "message": f"{VARIABLE}={plain}", "reason": "x", "code": 500})
            for verb in ("list", "watch", "get"):
                cluster.apply(kube_control.Inject(Injection(Answer(500, refusal), 2, {"verb": verb})))
            cluster.apply(CutWatches())
            until(lambda: cluster.watches() >= 3, "the watcher watches again")
            cluster.start_workspace("late", late)

            def look() -> bool:
                seen.extend(probed(f"{address}/{page}") for page in ("metrics", "readyz", "livez"))
                answered = coder.answers()
                return (
                    all(coder_lines(coder_url, token) for token in (plain, hidden, late))
                    and answered.get("logs 400", 0) > 0
                    and answered.get("logs 500", 0) + answered.get("log_source 500", 0) > 0
                )

            until(look, "lines of all three agents are in Coder in spite of everything")
            stored = list(everything_in(own_redis.url))
            told = b"".join(asked(words, flags[1:], coder_url) for words in QUESTIONS)
        finally:
            process.terminate()
            assert process.wait(30) == 0

    read = told + b"".join((tmp_path / name).read_bytes() for name in ("out", "err"))
    shown = told.decode()
    assert all(word in shown for word in ("Kubernetes", "Pod coder/no-uuid", "coder/listed", "coder/late")), shown
    assert b'"level": "debug"' in read
    assert len([1 for status, body in seen if status == 200 and "coder_logstream_" in body]) > 0
    assert len(given) > 10
    assert len(stored) > 10
    pages = "".join(body for _, body in seen).encode()
    leaks = {
        (where, token)
        for token in given
        for form in forms(token)
        for where, content in (("output", read), ("pages", pages), ("Redis", b"\n".join(stored)))
        if form in content
    }
    assert leaks == set(), "\n".join(
        line for line in read.decode(errors="replace").splitlines() if any(token in line for token in given)
    )
