"""What a watcher shows of itself over HTTP."""

from __future__ import annotations

from console.doubles.faults import Answer, Injection
from console.doubles.kube_control import Compact, CutWatches, Forbid, Inject, SendLine
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import TOKEN, event, pod
from watcher.kube_errors import REASONS
from watcher.lines import LINE_MAX_BYTES
from watcher.objects import Verb
from watcher.sought import NoToken

RESOURCES = ("pods", "replicasets", "events")
OUTCOMES = (
    "accepted", "duplicate", "over_budget", "ended", "unknown_agent", "folded", "fold_overflow",
    "parked_expired", "parked_overflow", "malformed", "neighbours_overflow",
)  # fmt: skip


async def test_every_series_of_a_bounded_label_begins_at_zero(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--metrics-addr", page.addr):
        await page.until_ready()
        series = await page.series()
    expected = {
        *(f'events_seen{{resource="{each}",type="{verb}"}}' for each in RESOURCES for verb in Verb),
        *(
            f'watch_restarts{{reason="{reason}",resource="{each}"}}'
            for each in RESOURCES
            for reason in ("closed", "expired", *REASONS)
        ),
        *(f'relists{{reason="continue_expired",resource="{each}"}}' for each in RESOURCES),
        *(f'malformed_objects{{resource="{each}"}}' for each in RESOURCES),
        *(f'records{{outcome="{outcome}"}}' for outcome in OUTCOMES),
        *(f'agents_without_token{{reason="{why}"}}' for why in NoToken),
    }
    assert {each: series.get(each) for each in expected} == dict.fromkeys(expected, 0.0)


async def test_what_waits_what_is_known_and_how_long_appends_take_is_told(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--metrics-addr", page.addr):
        await rig.watching()
        rig.put("events", event())
        await page.until_sampled("parked_events", 1)
        assert await page.sample('known_objects{kind="Pod"}') == 0
        rig.put("pods", pod())
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await page.until_sampled("parked_events", 0)
        await page.until_sampled('known_objects{kind="Pod"}', 1)
        await page.until_counted('records{outcome="accepted"}', 2)
        assert await page.sample("append_lag_seconds_count") == 2
        appends = await page.sample("append_seconds_count")
        assert appends is not None
        assert 1 <= appends <= 2  # what comes together goes together
        series = await page.series()
        assert series['events_seen{resource="events",type="ADDED"}'] == 1
        assert series['events_seen{resource="pods",type="ADDED"}'] == 1
        rig.put("events", event(version="99", reason="Odd", own_namespace="elsewhere"))  # of an object not its own
        await page.until_counted('records{outcome="malformed"}', 1)


async def test_events_whose_object_does_not_come_are_kept_within_bounds_and_counted(rig: Rig) -> None:
    page = Page()
    bounds = "--parked-max", "2", "--parked-s", "3"
    async with rig.watcher("--metrics-addr", page.addr, *bounds):
        await rig.watching()
        for number in range(3):
            rig.put("events", event(f"e{number}", about=f"nobody-{number}"))
        await page.until_counted('records{outcome="parked_overflow"}', 1)
        await page.until_counted('records{outcome="parked_expired"}', 2)
        await page.until_sampled("parked_events", 0)


async def test_what_is_read_again_is_counted_as_a_duplicate_and_the_watch_as_restarted(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--metrics-addr", page.addr):
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        rig.kube.apply(CutWatches("events"))
        rig.kube.apply(Compact())
        await page.until_counted('watch_restarts{reason="expired",resource="events"}', 1)
        await page.until_counted('relists{reason="paged",resource="events"}', 2)
        await page.until_counted('records{outcome="duplicate"}', 1)
        assert await rig.said(TOKEN) == ["Pod Created", "Pod Scheduled x1"]


async def test_who_shares_and_how_much_is_told(rig: Rig) -> None:
    one, other = Page(), Page()
    named = "-n", "a,b,c"
    async with rig.watcher("--metrics-addr", one.addr, *named):
        await one.until_sampled("units_held", 3)
        assert await one.sample("units") == 3
        assert await one.sample("watchers_alive") == 1
        async with rig.watcher("--metrics-addr", other.addr, *named) as leaves:
            await one.until_sampled("watchers_alive", 2)
            await other.until_sampled("watchers_alive", 2)

            async def all_held() -> bool:
                held = [await page.sample("units_held") or 0 for page in (one, other)]
                return sum(held) == 3

            await until(all_held)
            await leaves.stop()
        await one.until_sampled("watchers_alive", 1)
        await one.until_sampled("units_held", 3)


async def test_what_cannot_be_read_is_gauged_until_it_can(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--metrics-addr", page.addr):
        await page.until_sampled('redis_up{program="watcher"}', 1)
        rig.kube.apply(Forbid(resource="events"))
        rig.kube.apply(CutWatches("events"))
        await page.until_sampled('watches_failing{resource="events"}', 1)
        assert await page.sample('watches_failing{resource="pods"}') == 0
        rig.kube.apply(Forbid(resource="events", allowed=True))
        await page.until_sampled('watches_failing{resource="events"}', 0)


async def test_an_optional_right_that_is_lacking_is_said_once_and_gauged_as_no_failure(rig: Rig) -> None:
    """Events of nodes lie in `default`. Any other reason not to read them is a failure like that of a needed watch."""
    page = Page()
    rig.kube.apply(Forbid(resource="events", namespace="default"))
    async with rig.watcher("--node-events", "-n", "ns", "--metrics-addr", page.addr) as watcher:
        await watcher.said("warning", "permission denied; the rest goes on", "leave --node-events out", "'default'")
        await page.until_ready()

        async def asked_again() -> bool:
            return rig.kube.totals().requests["list events 403"] >= 2

        await until(asked_again)
        assert await page.sample('watches_failing{resource="events"}') == 0
        assert watcher.log().count("permission denied") == 1
        where = {"resource": "events", "namespace": "default"}
        rig.kube.apply(Inject(Injection(Answer(500), times=5, where=where)))
        await page.until_sampled('watches_failing{resource="events"}', 1)
        await page.until_sampled('watches_failing{resource="events"}', 0)  # forbidden again


async def test_pods_without_a_token_are_counted_and_not_logged(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--metrics-addr", page.addr) as watcher:
        await rig.watching()
        for name in ("one", "two", "one"):
            rig.put("pods", pod(name, env=[]))
        rig.put("pods", pod())
        await rig.until_said(TOKEN, "Pod Created")
        await page.until_counted('agents_without_token{reason="none"}', 2)
        await watcher.stop()
        assert "without an agent token" not in watcher.log()


async def test_a_line_beyond_all_bounds_is_counted_and_said_and_the_next_one_read(rig: Rig) -> None:
    page = Page()
    size = LINE_MAX_BYTES + 1
    async with rig.watcher("--metrics-addr", page.addr) as watcher:
        await rig.watching()
        rig.kube.apply(SendLine("x" * size + "\n", "pods"))
        rig.put("pods", pod())
        await rig.until_said(TOKEN, "Pod Created")
        await watcher.said("left out", "pods/*", f"{size} bytes")
        await page.until_counted('malformed_objects{resource="pods"}', 1)


async def test_a_field_that_pods_cannot_be_selected_by_is_an_error_and_not_ready(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("-f", "spec.color=red", "--probe-addr", page.addr) as watcher:
        await watcher.said('"error"', "pods", "field label not supported: spec.color", "example: metadata.namespace!=")

        async def unready() -> bool:
            return "field label not supported: spec.color" in await page.get("/readyz")

        await until(unready)

        async def asked_often() -> bool:
            return rig.kube.totals().requests.get("list pods 400", 0) >= 3

        await until(asked_often)
        await watcher.stop()
    assert watcher.log().count("field label not supported") == 1


async def test_an_api_server_that_goes_away_makes_unready_until_it_is_back(rig: Rig) -> None:
    page = Page()
    async with rig.watcher("--probe-addr", page.addr):
        await page.until_ready()
        await rig.kube.stop()

        async def unready() -> bool:
            return "the cluster" in await page.get("/readyz")

        await until(unready)
        await rig.kube.start()
        await page.until_ready()
