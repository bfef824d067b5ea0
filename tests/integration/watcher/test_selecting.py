"""Namespaces that are chosen by their labels: they come, go and come back while watchers run, share and restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.ids import Unit, WatcherId
from console.doubles.kube import KubeDouble, kubeconfig
from console.doubles.kube_control import AnswerGoneOverHttp, Compact, CutWatches, Delete, Forbid, Put
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod
from watcher.shares import share_of

SELECTOR = "logs=on"
FLAGS = ("--namespace-selector", SELECTOR)
TEAMS = [f"team-{number}" for number in range(12)]


def label(rig: Rig, namespace: str, **labels: str) -> None:
    """Make a namespace, or give it other labels."""
    rig.kube.apply(Put("namespaces", {"metadata": {"name": namespace, "labels": labels}}))


def end(rig: Rig, namespace: str) -> None:
    """Delete a namespace with all in it, as its controller does."""
    rig.kube.apply(Delete("namespaces", namespace))


async def holders(rig: Rig) -> dict[str, str]:
    """Who reads which namespace."""
    return await _texts(rig, rig.keys.holders)


async def _texts(rig: Rig, key: str) -> dict[str, str]:
    raw: Any = await rig.client.hgetall(key)
    return {name.decode(): value.decode() for name, value in raw.items()}


async def held_are(rig: Rig, *namespaces: str) -> None:
    """Until just these are read by somebody."""

    async def there() -> bool:
        return (await holders(rig)).keys() == set(namespaces)

    await until(there)


async def known_are(rig: Rig, namespace: str, *uids: str) -> None:
    """Until just these pods of `namespace` are remembered in Redis."""

    async def there() -> bool:
        kept: Any = await rig.client.hkeys(rig.keys.objects("pods", Unit(namespace)))
        return {uid.decode() for uid in kept} == set(uids)

    await until(there)


async def test_a_namespace_that_comes_or_gets_the_label_is_taken_up_and_others_are_not(rig: Rig) -> None:
    label(rig, "first", logs="on")
    label(rig, "off", logs="off")
    async with rig.watcher(*FLAGS):
        await held_are(rig, "first")
        label(rig, "second", logs="on")
        label(rig, "off", logs="on")
        await held_are(rig, "first", "second", "off")
        rig.put("pods", pod("theirs", namespace="unselected", env=agent_env(OTHER_TOKEN)))
        for namespace in ("first", "second", "off"):
            rig.put("pods", pod(f"pod-{namespace}", namespace=namespace))
            rig.put("events", event(f"ev-{namespace}", about=f"pod-{namespace}", namespace=namespace))

        async def all_told() -> bool:
            return sorted(await rig.said(TOKEN)) == ["Pod Created"] * 3 + ["Pod Scheduled x1"] * 3

        async def all_watched() -> bool:
            return rig.kube.totals().open_watches == 1 + 3 * 3

        await until(all_told)
        await until(all_watched)  # each namespace by itself, and one for the namespaces
        assert await rig.said(OTHER_TOKEN) == []


async def test_in_a_namespace_that_is_met_later_those_who_wait_are_told_and_no_history(rig: Rig) -> None:
    async with rig.watcher(*FLAGS):
        await rig.watching(1)
        rig.put("pods", pod("ready", namespace="late", phase="Running", ready=True, started=True))
        rig.put("events", event("ev-old", about="ready", namespace="late"))
        rig.put("pods", pod("waits", namespace="late", env=agent_env(OTHER_TOKEN)))
        label(rig, "late", logs="on")
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        rig.put("events", event("ev-new", about="ready", namespace="late", reason="Killing"))
        await rig.until_said(TOKEN, "Pod Killing x1")


async def test_a_namespace_that_loses_the_label_is_given_up_without_a_delete_and_goes_on_when_it_has_it_again(
    rig: Rig,
) -> None:
    label(rig, "team", logs="on")
    async with rig.watcher(*FLAGS):
        await held_are(rig, "team")
        for uid in ("stays", "goes"):
            rig.put("pods", pod(uid, namespace="team"))
        rig.put("events", event("ev-1", about="stays", namespace="team"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Created", "Pod Scheduled x1")
        label(rig, "team")
        await held_are(rig)
        await rig.watching(1)
        await known_are(rig, "team", "stays", "goes")
        rig.delete("pods", "goes", "team")
        rig.put("events", event("ev-2", about="stays", namespace="team", reason="Meanwhile"))
        rig.kube.apply(Compact())  # hours later: the position that was saved is too old
        label(rig, "team", logs="on")
        await held_are(rig, "team")

        async def told() -> bool:
            return len(await rig.said(TOKEN)) == 5

        await until(told)
        deleted = [record.object.uid for record in await rig.records(TOKEN) if record.reason == "Deleted"]
        assert deleted == ["goes"], "of what is remembered only that is told as deleted which is"
        assert (await rig.said(TOKEN)).count("Pod Meanwhile x1") == 1


async def test_a_deleted_namespace_gives_the_deletes_of_its_pods(rig: Rig) -> None:
    label(rig, "team", logs="on")
    async with rig.watcher(*FLAGS):
        await held_are(rig, "team")
        rig.put("pods", pod(namespace="team"))
        await rig.until_said(TOKEN, "Pod Created")
        end(rig, "team")
        await rig.until_said(TOKEN, "Pod Created", "Pod Deleted")
        await held_are(rig)


async def test_deletes_that_the_watch_of_pods_missed_are_asked_for(rig: Rig) -> None:
    """The watch of pods cannot be opened again before the namespace is gone."""
    label(rig, "team", logs="on")
    async with rig.watcher(*FLAGS) as watcher:
        await held_are(rig, "team")
        rig.put("pods", pod(namespace="team"))
        await rig.until_said(TOKEN, "Pod Created")
        rig.kube.apply(Forbid(verb="watch", resource="pods"))
        rig.kube.apply(CutWatches("pods"))
        await watcher.said("permission denied", "pods")
        end(rig, "team")
        await rig.until_said(TOKEN, "Pod Created", "Pod Deleted")


async def test_a_namespace_that_lost_the_label_unseen_has_no_delete_invented(rig: Rig) -> None:
    label(rig, "team", logs="on")
    label(rig, "other", logs="on")
    async with rig.watcher(*FLAGS) as watcher:
        await held_are(rig, "team", "other")
        rig.put("pods", pod(namespace="team"))
        await rig.until_said(TOKEN, "Pod Created")
        rig.kube.apply(Forbid(resource="namespaces"))
        rig.kube.apply(CutWatches("namespaces"))
        await watcher.said("permission denied", "namespaces")
        label(rig, "team")
        rig.kube.apply(Compact())
        rig.kube.apply(AnswerGoneOverHttp(True))
        rig.kube.apply(Forbid(resource="namespaces", allowed=True))
        await watcher.said("a namespace is not selected any more", "team")
        await held_are(rig, "other")
        assert await rig.said(TOKEN) == ["Pod Created"]


async def test_a_namespace_that_is_deleted_while_nobody_watches_gives_its_deletes_and_is_forgotten(rig: Rig) -> None:
    label(rig, "gone", logs="on")
    label(rig, "unlabelled", logs="on")
    async with rig.watcher(*FLAGS) as watcher:
        await held_are(rig, "gone", "unlabelled")
        rig.put("pods", pod(namespace="gone"))
        rig.put("pods", pod("other", namespace="unlabelled", env=agent_env(OTHER_TOKEN)))
        await rig.until_said(TOKEN, "Pod Created")
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        await watcher.stop()
    end(rig, "gone")
    label(rig, "unlabelled")
    rig.kube.apply(Compact())
    async with rig.watcher(*FLAGS) as watcher:
        await rig.until_said(TOKEN, "Pod Created", "Pod Deleted")
        await known_are(rig, "gone")
        await watcher.stop()
    async with rig.watcher(*FLAGS):

        async def forgotten() -> bool:
            return (await _texts(rig, rig.keys.floors("pods"))).keys() == {"unlabelled"}

        await until(forgotten)
        await known_are(rig, "unlabelled", "other")
        assert await rig.said(OTHER_TOKEN) == ["Pod Created"]


async def test_namespaces_that_may_not_be_listed_are_said_with_the_remedy_and_taken_up_when_granted(rig: Rig) -> None:
    label(rig, "team", logs="on")
    rig.kube.apply(Forbid(resource="namespaces"))
    page = Page()
    async with rig.watcher(*FLAGS, "--metrics-addr", page.addr) as watcher:
        await watcher.said("permission denied", "get, list and watch on namespaces", "ClusterRole bound cluster-wide")
        await until(lambda: _says(page, "namespaces: namespaces is forbidden"))
        rig.put("pods", pod(namespace="team"))
        rig.kube.apply(Forbid(resource="namespaces", allowed=True))
        await rig.until_said(TOKEN, "Pod Created")
        await page.until_ready()


@pytest.fixture
async def users(rig: Rig, tmp_path: Path) -> AsyncIterator[list[Path]]:
    """The rig on a cluster with two users, and a kubeconfig for each."""
    async with KubeDouble(tokens={"token-1": "one", "token-2": "two"}, bookmark_every_s=0.2) as kube:
        rig.kube = kube
        paths = [tmp_path / name for name in ("one", "two")]
        for number, path in enumerate(paths, 1):
            path.write_text(kubeconfig(kube.url, f"token-{number}"))
        yield paths


async def test_a_watcher_that_does_not_know_the_namespaces_leaves_them_to_the_others(
    rig: Rig, users: list[Path]
) -> None:
    """It is not counted among those who live: what fell to it would be read by nobody."""
    rig.kube.apply(Forbid(user="two", resource="namespaces"))
    for namespace in TEAMS:
        label(rig, namespace, logs="on")

    async def refused_twice() -> bool:
        return rig.kube.totals().requests.get("list namespaces 403", 0) >= 2

    async with rig.watcher(*FLAGS, KUBECONFIG=str(users[0])) as first:
        await held_are(rig, *TEAMS)
        async with rig.watcher(*FLAGS, KUBECONFIG=str(users[1])) as second:
            await until(refused_twice)  # a second or more apart: a round of sharing would have begun
            assert "permission denied" in second.log()
            label(rig, "late", logs="on")
            await held_are(rig, *TEAMS, "late")
            assert await _are_shared(rig, 1, len(TEAMS) + 1)
            (group,) = await rig.client.keys(rig.keys.watchers("*"))
            assert await rig.client.zcard(group) == 1
            rig.kube.apply(Forbid(user="two", resource="namespaces", allowed=True))
            await until(lambda: _are_shared(rig, 2, len(TEAMS) + 1))
            await first.stop()
            await until(lambda: _are_shared(rig, 1, len(TEAMS) + 1))


async def test_a_watcher_that_lags_behind_with_the_namespaces_fights_over_none(rig: Rig, users: list[Path]) -> None:
    for namespace in TEAMS:
        label(rig, namespace, logs="on")
    async with (
        rig.watcher(*FLAGS, KUBECONFIG=str(users[0])),
        rig.watcher(*FLAGS, KUBECONFIG=str(users[1])) as lagging,
    ):
        await until(lambda: _are_shared(rig, 2, len(TEAMS)))
        rig.kube.apply(Forbid(user="two", resource="namespaces"))
        rig.kube.apply(CutWatches("namespaces"))
        await lagging.said("permission denied", "namespaces")
        alive = sorted(WatcherId(name) for name in set((await holders(rig)).values()))
        ahead = next(name for name in alive if f"/{lagging.process.pid}/" not in name)
        epochs = await _texts(rig, rig.keys.reigns)
        gone, came = TEAMS[:6], [f"new-{number}" for number in range(12)]
        for namespace in gone:
            label(rig, namespace)
        for namespace in came:
            label(rig, namespace, logs="on")
        units = [Unit(name) for name in (*TEAMS, *came)]
        shares = {name: share_of(name, units, alive) for name in alive}
        # Who knows takes and gives its own; who does not goes on as before.
        wanted = {unit for name in alive for unit in shares[name] if unit not in (gone if name == ahead else came)}
        await held_are(rig, *wanted)
        for unit, holder in (await holders(rig)).items():
            assert unit in shares[WatcherId(holder)]
        rig.kube.apply(Forbid(user="two", resource="namespaces", allowed=True))
        await held_are(rig, *TEAMS[6:], *came)
        later = await _texts(rig, rig.keys.reigns)
        assert {unit: later[unit] for unit in TEAMS} == {unit: epochs[unit] for unit in TEAMS}, "nothing changed hands"


async def _are_shared(rig: Rig, watchers: int, namespaces: int) -> bool:
    held = await holders(rig)
    return len(held) == namespaces and len(set(held.values())) == watchers


async def _says(page: Page, words: str) -> bool:
    return words in await page.get("/readyz")
