"""The whole of it where it is meant to be: the image and the chart in a real cluster with a real node, with real
workspaces, and lines in a Coder (the double). In the order in which an operator meets it.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from console.doubles.coder import CoderDouble
from console.doubles.faults import Answer, Injection
from tests.chart.helm import Helm, helm_binary
from tests.cluster.api import KubeApi
from tests.cluster.chart_rig import RESTRICTED
from tests.cluster.cluster import built_binary
from tests.cluster.conftest import Say, say, uncaptured
from tests.cluster.harness import eventually
from tests.cluster.namespaces import make_namespace
from tests.cluster.objects import container, pod
from tests.image.release import COMPONENTS, HOME, NAME, Release
from tests.image.site import Site, dns_binary, running_site
from tests.image.talk import Talk
from tests.kubelet.node import SANDBOX_IMAGE
from tests.kubelet.play import act, new_log
from tests.kubelet.scenarios import RUN, SCENARIOS
from tests.kubelet.story import story, voices

__all__ = ["say"]

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

EXPECTED: Final = Path(__file__).parents[1] / "kubelet" / "expected"
PLAYED: Final = [scenario for scenario in SCENARIOS if scenario.name in ("normal", "wrong-image", "out-of-memory")]
VALKEY: Final = f"{NAME}-valkey-0"
KEYS: Final = f"{NAME}-keys"


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with uncaptured(request):
        binary, dns = built_binary(), dns_binary()
    with running_site(binary, dns, archive, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(site: Site) -> AsyncIterator[KubeApi]:
    async with KubeApi(site.admin) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def coder(site: Site) -> AsyncIterator[CoderDouble]:
    async with CoderDouble(f"{site.address}:0") as double:
        yield double


@asynccontextmanager
async def talking(api: KubeApi, coder: CoderDouble) -> AsyncIterator[Talk]:
    """About a workspace of its own."""
    namespace = f"coder-talk-{uuid.uuid4().hex[:8]}"
    await make_namespace(api, namespace)
    async with Talk(api, new_log(coder), namespace) as talk:
        yield talk


async def backlog(api: KubeApi) -> int:
    """How many records wait in Valkey, as its pod says when it is asked."""
    code, said = await api.run(HOME, VALKEY, "coder-logstream", "status", "--output", "json")
    return int(msgspec.json.decode(said)["waiting_records"]) if code == 0 else 0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def release(
    site: Site, api: KubeApi, coder: CoderDouble, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Release]:
    """Installed with the chart's defaults, and ready."""
    release = Release(api, Helm(helm_binary(), tmp_path_factory.mktemp("helm"), site.admin))
    # It enforces the restricted Pod Security Standard.
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": HOME, "labels": RESTRICTED}})
    try:
        await release.install("--set", f"url={coder.url}")
        await release.rolled_out()
        yield release
    finally:
        print(await release.diary())  # noqa: T201 — pytest shows it if the installation failed


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _diary(release: Release) -> AsyncIterator[None]:
    yield
    print(await release.diary())  # noqa: T201 — pytest shows it if the test failed


LOOK: Final = """
import os
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
print(*(status[name].split()[0] for name in ("Uid", "Gid", "CapEff", "NoNewPrivs", "Seccomp")))
print(os.statvfs("/").f_flag & os.ST_RDONLY)
"""


async def test_all_start_confined_and_without_a_restart(release: Release, api: KubeApi) -> None:
    for component in ("watcher", "shipper", "valkey"):
        for name, each in (await release.pods(component)).items():
            assert await api.run(HOME, name, "python", "-c", LOOK) == (0, "65532 65532 0000000000000000 1 2\n1\n"), name
            assert [status["restartCount"] for status in each["status"]["containerStatuses"]] == [0], name


async def test_starts_and_failures_are_read_as_from_programs_on_this_machine(
    release: Release, api: KubeApi, coder: CoderDouble
) -> None:
    logs = [new_log(coder) for _ in PLAYED]
    await asyncio.gather(*(act(api, scenario, log) for scenario, log in zip(PLAYED, logs, strict=True)))
    for scenario, log in zip(PLAYED, logs, strict=True):
        expected = (EXPECTED / f"{scenario.name}.lines").read_text().splitlines()
        assert voices(story(log.lines())) == voices(expected)


async def test_helms_test_finds_nothing_wrong(release: Release) -> None:
    assert "· 0 ✗" in await release.helm("test", NAME, "--logs")


async def test_status_in_valkeys_pod_names_all_that_work(release: Release, api: KubeApi) -> None:
    code, said = await api.run(HOME, VALKEY, "coder-logstream", "status")
    assert code == 0, said
    for component in ("watcher", "shipper"):
        assert all(name in said for name in await release.pods(component)), said


async def test_status_in_a_watchers_pod_tells_workspaces_stories(
    release: Release, api: KubeApi, coder: CoderDouble
) -> None:
    """As NOTES.txt has it: of one of ours, and of one that belongs to another Coder."""
    namespace, log = f"coder-story-{uuid.uuid4().hex[:8]}", new_log(coder)
    await make_namespace(api, namespace)
    theirs = container(str(uuid.uuid4())) | {"image": SANDBOX_IMAGE, "command": ["sh", "-c", RUN]}
    theirs["env"].append({"name": "CODER_AGENT_URL", "value": "https://other.example.com"})
    ours = container(log.token) | {"image": SANDBOX_IMAGE, "command": ["sh", "-c", RUN]}
    held = f"(401); its container reports to https://other.example.com, lines go to {coder.url}"
    for name, what in (("web", ours), ("old", theirs)):
        labels = {"com.coder.user.username": "alice", "com.coder.workspace.name": name}
        await api.create("pods", namespace, pod(name, what, labels))
    await log.gets("Container started")
    for watcher in await release.pods("watcher"):

        async def told(workspace: str, watcher: str = watcher) -> str:
            return (await api.run(HOME, watcher, "coder-logstream", "status", f"alice/{workspace}"))[1]

        said = await told("web")
        assert f"✓ Kubernetes: Pod {namespace}/web: has its agent token from the value of CODER_AGENT_TOKEN" in said
        assert "✓ Coder: delivered: " in said
        await eventually(partial(told, "old"), lambda said: held in said, why="the other Coder is named")


async def test_pods_that_go_lose_and_repeat_nothing(
    release: Release, api: KubeApi, coder: CoderDouble, say: Say
) -> None:
    """Each watcher and each shipper, whoever it is that serves the workspace: one is asked to go, one made to."""
    asked: set[str] = set()
    async with talking(api, coder) as talk, release.endings() as endings:
        for component in ("watcher", "shipper"):
            for name, grace_s in zip(await release.pods(component), (None, 0), strict=True):
                await talk.goes_on()
                await release.replaced(name, grace_s)
                asked |= {name} if grace_s is None else set()
    assert await talk.heard() == talk.said
    assert {name: endings[name] for name in asked} == dict.fromkeys(asked, 0)
    say(f"{len(talk.said)} Events while each watcher and shipper was deleted: lost 0 · repeated 0")


@pytest.mark.parametrize("goes", [Release.replaced, Release.crashed], ids=["deleted", "killed"])
async def test_what_waits_outlives_valkeys_pod(
    goes: Callable[[Release, str], Awaitable[None]], release: Release, api: KubeApi, coder: CoderDouble
) -> None:
    """It is on the volume; and what happens meanwhile is not missed."""
    async with talking(api, coder) as talk:
        coder.faults.add(Injection(Answer(503), times=sys.maxsize))
        waiting = await eventually(partial(backlog, api), lambda waiting: waiting > 10, why="lines that wait")
        await goes(release, VALKEY)
        assert await backlog(api) >= waiting
        coder.faults.clear()
    assert await talk.heard() == talk.said


async def test_an_upgrade_rolls_both_programs_and_loses_nothing(
    release: Release, api: KubeApi, coder: CoderDouble
) -> None:
    before = {component: set(await release.pods(component)) for component in COMPONENTS}
    keys = (await api.get("secrets", HOME, KEYS))["data"]
    async with talking(api, coder) as talk, release.endings() as endings:
        await talk.goes_on()
        await release.upgrade("--set", "logLevel=debug")
        await release.rolled_out()
        await talk.goes_on()
    assert await talk.heard() == talk.said
    assert (await api.get("secrets", HOME, KEYS))["data"] == keys
    kept = {component: before[component] & set(await release.pods(component)) for component in COMPONENTS}
    assert kept == {"watcher": set(), "shipper": set(), "valkey": {VALKEY}}
    replaced = before["watcher"] | before["shipper"]
    assert {name: endings.get(name) for name in replaced} == dict.fromkeys(replaced, 0)


async def test_they_need_less_memory_than_the_chart_requests(release: Release, say: Say) -> None:
    for name, (used_mib, requested_mib) in (await release.memory_mib()).items():
        say(f"{name}: {used_mib:.0f} MiB, requested {requested_mib:.0f} MiB")
        assert used_mib < requested_mib, name


async def test_a_release_that_is_installed_again_goes_on_where_it_stopped(
    release: Release, api: KubeApi, coder: CoderDouble
) -> None:
    """And what uninstallation leaves is what the documentation says."""
    async with talking(api, coder) as talk:
        await talk.goes_on()
    assert await talk.heard() == talk.said
    await release.helm("uninstall", NAME)
    kept = {f"secrets/{KEYS}", f"persistentvolumeclaims/data-{VALKEY}", f"pods/{NAME}-doctor"}
    await eventually(release.left, lambda left: left == kept, why="what stays")
    for _ in range(10):
        await talk.say()
    await release.install("--set", f"url={coder.url}")
    assert await talk.heard() == talk.said
