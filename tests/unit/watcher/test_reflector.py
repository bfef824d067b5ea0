"""The reflector's I/O: what it asks, how it waits, what it says."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from random import Random
from types import MappingProxyType

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from common.telemetry.metrics import WatcherMetrics
from tests.unit.watcher.rig import ManualClock, pod
from watcher.kube_errors import REASONS, Forbidden, Gone, Invalid, KubeError, ServerFault, Throttled, Unreachable
from watcher.lines import Oversized
from watcher.objects import Pod, Verb
from watcher.reflection import Change, Changed, Completed, Found, Rejected
from watcher.reflector import Reflector, Target


class Finished(Exception):
    """The script is at its end."""


Answer = bytes | KubeError
Stream = list[list[bytes | Oversized] | KubeError | Finished]


class Script:
    """An API server that answers in the written order, then stops the test."""

    def __init__(self, lists: Sequence[Answer], watches: Sequence[Stream | KubeError]) -> None:
        self.lists = list(lists)
        self.watches = list(watches)
        self.asked: list[dict[str, str]] = []

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        self.asked.append(dict(query or {}))
        if not self.lists:
            raise Finished
        answer = self.lists.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer

    async def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        self.asked.append(dict(query))
        if not self.watches:
            raise Finished
        stream = self.watches.pop(0)
        if isinstance(stream, KubeError):
            raise stream
        yield []
        for lines in stream:
            if isinstance(lines, Exception):
                raise lines
            yield lines


class Sink:
    def __init__(self, position: str = "") -> None:
        self.position = position
        self.changes: list[Change[Pod]] = []

    async def take(self, change: Change[Pod]) -> None:
        self.changes.append(change)


def _page(*uids: str, version: str = "5", more: str = "") -> bytes:
    items = [pod(uid) for uid in uids]
    return msgspec.json.encode({"metadata": {"resourceVersion": version, "continue": more}, "items": items})


def _line(uid: str, version: str, verb: str = "ADDED") -> bytes:
    return msgspec.json.encode({"type": verb, "object": pod(uid, version=version)})


class Run:
    def __init__(
        self,
        lists: Sequence[Answer],
        watches: Sequence[Stream | KubeError],
        position: str = "",
        selectors: Mapping[str, str] = MappingProxyType({"labelSelector": "a=b"}),
        resource: str = "pods",
    ) -> None:
        self.api = Script(lists, watches)
        self.sink = Sink(position)
        self.clock = ManualClock()
        path = f"/api/v1/namespaces/ns/{resource}"
        target = Target(Pod, resource, "ns", path, selectors, lambda namespace: namespace != "theirs")
        self.registry = CollectorRegistry()
        metrics = WatcherMetrics(self.registry)
        self.reflector = Reflector(target, self.api, self.sink, metrics, self.clock, Random(1), watch_timeout_s=300)

    def counted(self, metric: str, **labels: str) -> float | None:
        """The value of a series, None if it does not exist."""
        return self.registry.get_sample_value(f"coder_logstream_{metric}_total", {"resource": "pods", **labels})

    def failing(self) -> float | None:
        return self.registry.get_sample_value("coder_logstream_watches_failing", {"resource": "pods"})

    async def to_the_end(self) -> "Run":
        with pytest.raises(Finished):
            await asyncio.wait_for(self.reflector.run(), 5)
        return self


async def test_lists_in_pages_then_watches_from_the_lists_version() -> None:
    run = await Run([_page("a", more="t"), _page("b")], [[[_line("c", "6")]]]).to_the_end()
    first, second, watch, again = run.api.asked
    assert (first["limit"], "continue" in first, first["labelSelector"]) == ("500", False, "a=b")
    assert second["continue"] == "t"
    assert (watch["resourceVersion"], watch["allowWatchBookmarks"], watch["labelSelector"]) == ("5", "true", "a=b")
    assert again["resourceVersion"] == "6"
    assert [type(change) for change in run.sink.changes if isinstance(change, Found | Completed | Changed)] == [
        Found,
        Found,
        Completed,
        Changed,
    ]


async def test_a_saved_position_is_resumed_without_a_list_of_everything() -> None:
    run = await Run([_page(version="90")], [], position="80").to_the_end()
    assert [query.get("limit") for query in run.api.asked] == ["1", None]
    assert run.api.asked[1]["resourceVersion"] == "80"


@pytest.mark.parametrize("watch", [Gone("410"), [[b'{"type":"ERROR","object":{"code":410,"reason":"Expired"}}']]])
async def test_410_both_ways_lists_again_at_once(watch: Stream | KubeError) -> None:
    run = await Run([_page("a")], [watch]).to_the_end()
    assert run.api.asked[-1] == {"labelSelector": "a=b", "limit": "500"}
    assert run.clock.slept == []


async def test_a_server_on_which_every_watch_has_expired_is_not_hammered() -> None:
    run = await Run([_page()] * 4, [Gone("410")] * 4).to_the_end()
    assert len(run.clock.slept) == 3


async def test_an_expired_continue_token_lists_in_one_piece() -> None:
    run = await Run([_page("a", more="t"), Gone("410"), _page("a", "b")], []).to_the_end()
    assert "limit" not in run.api.asked[2]


@pytest.mark.parametrize("error", [Throttled("slow", 7.0), ServerFault("HTTP 503: shutting down", 7.0)])
async def test_retry_after_is_honoured_by_lists_pages_and_watches(error: KubeError) -> None:
    run = await Run([error, _page(more="t"), error, _page()], [error, [error]]).to_the_end()
    assert len(run.clock.slept) == 4
    assert all(7.0 <= slept_s < 30.0 for slept_s in run.clock.slept)
    assert [query.get("continue") for query in run.api.asked[:4]] == [None, None, "t", "t"]
    assert [query.get("resourceVersion") for query in run.api.asked[4:]] == ["5", "5", "5"]  # no new list for that


async def test_a_server_that_asks_for_an_hour_is_asked_again_sooner() -> None:
    run = await Run([Throttled("slow", 3_600.0), _page()], []).to_the_end()
    assert run.clock.slept == [300.0]


async def test_failures_back_off_and_success_resets() -> None:
    run = await Run([*[Unreachable("no")] * 6, _page(), Unreachable("no")], [Gone("410")]).to_the_end()
    assert all(delay_s <= 0.5 * 2**number for number, delay_s in enumerate(run.clock.slept[:6]))
    assert run.clock.slept[6] <= 0.5


async def test_a_refusal_is_said_once_with_its_remedy_and_its_end() -> None:
    with capture_logs() as logs:
        await Run([*[Forbidden("pods is forbidden")] * 3, _page()], []).to_the_end()
    said = [(entry["log_level"], entry["event"]) for entry in logs]
    assert said == [
        ("error", "permission denied; asked again until it is granted"),
        ("info", "the Kubernetes API answers again"),
    ]
    assert "get, list and watch on pods" in logs[0]["remedy"]
    assert "'ns'" in logs[0]["remedy"]


async def test_a_server_that_closes_each_watch_at_once_is_not_hammered() -> None:
    run = await Run([_page()], [[], [], []]).to_the_end()
    assert len(run.clock.slept) == 3


async def test_a_broken_stream_goes_on_where_it_stopped() -> None:
    run = await Run([_page()], [[[_line("a", "8")], Unreachable("cut")]]).to_the_end()
    assert run.api.asked[-1]["resourceVersion"] == "8"


async def test_an_answer_that_is_no_list_is_a_fault_and_tried_again() -> None:
    run = await Run([b"<html>", _page()], []).to_the_end()
    assert len(run.clock.slept) == 1


async def test_a_line_too_large_to_keep_is_counted_and_handed_on_as_rejected() -> None:
    run = await Run([_page()], [[[Oversized(40_000_000), _line("a", "8")]]]).to_the_end()
    (rejected,) = (change for change in run.sink.changes if isinstance(change, Rejected))
    assert "40000000 bytes" in rejected.why
    assert run.counted("malformed_objects") == 1
    assert run.api.asked[-1]["resourceVersion"] == "8"


async def test_a_refused_request_is_an_error_said_once_with_an_example() -> None:
    refusal = Invalid("field label not supported: spec.color")
    with capture_logs() as logs:
        run = Run([refusal] * 4, [], selectors={"fieldSelector": "spec.color=red"})
        await run.to_the_end()
    (said,) = logs
    assert (said["log_level"], said["error"]) == ("error", "field label not supported: spec.color")
    assert "example: metadata.namespace!=kube-system" in said["remedy"]
    assert run.clock.slept[0] >= 1.0
    assert run.reflector.trouble is refusal


async def test_what_is_not_heard_after_the_list_is_not_in_step() -> None:
    run = await Run([_page()], [Unreachable("gone")]).to_the_end()
    assert isinstance(run.reflector.trouble, Unreachable)
    assert not run.reflector.synced


async def test_an_opened_watch_is_in_step_though_it_says_nothing() -> None:
    run = await Run([_page()], [Unreachable("gone"), [Finished()]]).to_the_end()
    assert run.reflector.trouble is None


async def test_a_failing_watch_is_gauged_until_it_is_heard_or_nobody_reads_it_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run([Unreachable("gone"), Unreachable("gone"), _page()], [[Finished()]])
    seen: list[float | None] = []

    async def note(_delay_s: float) -> None:
        seen.append(run.failing())

    monkeypatch.setattr(run.clock, "sleep", note)
    await run.to_the_end()
    assert seen == [1, 1]
    assert run.failing() == 0
    ended = await Run([Unreachable("gone")], []).to_the_end()
    assert ended.failing() == 0


async def test_lines_about_others_namespaces_move_the_position_and_are_not_decoded() -> None:
    undecodable = {**pod("a", namespace="theirs", version="8"), "spec": "no specification"}
    theirs = msgspec.json.encode({"type": "ADDED", "object": undecodable})
    ours = msgspec.json.encode({"type": "ADDED", "object": {**undecodable, "metadata": pod(version="9")["metadata"]}})
    run = await Run([_page()], [[[theirs]]]).to_the_end()
    assert run.api.asked[-1]["resourceVersion"] == "8"
    assert [run.counted("malformed_objects"), run.counted("events_seen", type="ADDED")] == [0, 0]
    run = await Run([_page()], [[[ours]]]).to_the_end()
    assert run.counted("malformed_objects") == 1


async def test_a_refused_selector_of_namespaces_is_called_by_its_own_flag() -> None:
    with capture_logs() as logs:
        await Run([Invalid("unable to parse")], [], resource="namespaces").to_the_end()
    assert logs[0]["remedy"] == "correct --namespace-selector; example: coder.com/workspaces=true"


@pytest.mark.parametrize("reason", ["closed", "expired", *REASONS])
def test_restarts_begin_at_zero(reason: str) -> None:
    assert Run([], []).counted("watch_restarts", reason=reason) == 0


def test_lists_messages_and_misfits_begin_at_zero() -> None:
    run = Run([], [])
    assert [run.counted("relists", reason=reason) for reason in ("paged", "continue_expired")] == [0, 0]
    assert [run.counted("events_seen", type=verb.value) for verb in Verb] == [0, 0, 0]
    assert run.counted("malformed_objects") == 0
