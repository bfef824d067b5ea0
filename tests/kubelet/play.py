"""Plays scenarios side by side: the real programs, a real control plane and node, Coder's double."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from console.doubles.coder import CoderDouble
from tests.cluster.api import KubeApi, path_of
from tests.cluster.harness import Line, Programs, WorkspaceLog, eventually
from tests.cluster.namespaces import enforce_quota, make_namespace
from tests.kubelet.scenarios import Scenario

PREFIX: Final = "CODER_LOGSTREAM_REDIS_PREFIX"
WITHIN_S: Final = 90.0
"""What a scenario waits for comes within this."""


class Played(msgspec.Struct, frozen=True):
    lines: list[Line]
    """All that the workspace's log holds after watcher and shipper have ended."""
    stood_still: str
    """What did not come; empty if all did."""


class _Pair(msgspec.Struct, frozen=True):
    """A watcher and a shipper, and what they are to see."""

    scenarios: Sequence[Scenario]
    settings: Mapping[str, str]
    folder: Path

    @property
    def flags(self) -> list[str]:
        namespaces = ",".join(each.namespace for each in self.scenarios)
        return ["--namespaces", namespaces, "--crash-log-lines", str(self.scenarios[0].crash_log_lines)]


def play(scenarios: Sequence[Scenario], settings: Mapping[str, str], folder: Path) -> dict[str, Played]:
    """What became of each, by name. `settings`: environment variables of watchers and shippers, without Coder's."""
    alike: defaultdict[int, list[Scenario]] = defaultdict(list)
    for scenario in scenarios:
        alike[scenario.crash_log_lines].append(scenario)
    pairs = []
    for lines, together in alike.items():
        prefix = {PREFIX: f"{settings[PREFIX]}-{lines}"}
        pairs.append(_Pair(together, {**settings, **prefix}, folder / f"crash-log-lines-{lines}"))
        pairs[-1].folder.mkdir()
    return asyncio.run(_play_all(pairs, Path(settings["KUBECONFIG"])))


async def _play_all(pairs: Sequence[_Pair], admin: Path) -> dict[str, Played]:
    async with CoderDouble() as coder, KubeApi(admin) as api:
        played = await asyncio.gather(*(_play_together(api, coder, pair) for pair in pairs))
    return {name: each for together in played for name, each in together.items()}


async def _play_together(api: KubeApi, coder: CoderDouble, pair: _Pair) -> dict[str, Played]:
    logs = [new_log(coder) for _ in pair.scenarios]
    async with Programs(pair.folder, {**pair.settings, "CODER_URL": coder.url}) as programs:
        shipper, watcher = await programs.shipper(), await programs.watcher(*pair.flags)
        await asyncio.gather(shipper.ready(), watcher.ready())
        ends = await asyncio.gather(*map(partial(act, api), pair.scenarios, logs), return_exceptions=True)
        # A watcher that is asked to stop tells what it holds, and a shipper what waits.
        assert (await watcher.stop(), await shipper.stop()) == (0, 0)
    return {
        scenario.name: Played(log.lines(), stood_still=str(end or ""))
        for scenario, log, end in zip(pair.scenarios, logs, ends, strict=True)
    }


def new_log(coder: CoderDouble) -> WorkspaceLog:
    """That of an agent which Coder knows."""
    token = str(uuid.uuid4())
    coder.state.add_agent(token)
    return WorkspaceLog(coder, token)


async def act(api: KubeApi, scenario: Scenario, log: WorkspaceLog) -> None:
    """Start the scenario's workspace, stop it when its log says what is waited for, and see its end told."""
    await make_namespace(api, scenario.namespace)
    if scenario.quota:
        await enforce_quota(api, scenario.namespace, **scenario.quota)
    for kind, there in scenario.before:
        await api.create(kind, scenario.namespace, there)
    resource, made = scenario.workload(log.token)
    await api.create(resource, scenario.namespace, made)
    for words in scenario.until:
        await log.gets(words, within_s=WITHIN_S)
    await api.call("DELETE", path_of(resource, scenario.namespace, "dev"))

    async def over() -> list[str]:
        """Pods and ReplicaSets whose end is not in the log yet."""
        texts = [line.text for line in log.lines()]
        came = [text.rpartition(": ")[2] for text in texts if text.startswith("🐳")]
        return [name for name in came if not any(text.startswith("🗑️") and text.endswith(name) for text in texts)]

    await eventually(over, lambda left: not left, why=f"the end of {scenario.name}")
