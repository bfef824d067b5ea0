"""`doctor` and `status` before a real API server: rights that one namespace lacks, and what cannot be seen there."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from common.checkup import Mark
from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeNamespace, MakeWorkspace
from tests.cluster.harness import ROOT, Programs
from tests.cluster.objects import container, pod
from tests.cluster.test_scope import grant, restricted_user
from tests.relays import Collecting, CollectingBodies, Relay


async def ask(settings: dict[str, str], *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", *words, "--output", "json", cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **settings}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out)


async def test_what_a_service_account_may_not_do_in_one_namespace_is_said_of_that_one(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs, tmp_path: Path
) -> None:
    allowed, forbidden = await new_namespace(), await new_namespace()
    kubeconfig = await restricted_user(kube, allowed, tmp_path / "restricted.kubeconfig")
    await grant(kube, allowed, home=allowed)
    workspace = new_workspace()
    await kube.create("pods", allowed, pod("dev", container(workspace.token)))
    settings = {
        **programs.settings, "KUBECONFIG": str(kubeconfig), "CODER_NAMESPACES": f"{allowed},{forbidden}",
    }  # fmt: skip

    code, report = await ask(settings, "doctor")
    assert code == 1
    of: dict[str, list[tuple[str, str]]] = {}
    for each in report["findings"]:
        of.setdefault(each["about"], []).append((each["mark"], each["said"]))
    granted, *doubts = of[f"permissions in namespace {allowed}"]
    assert granted[0] == Mark.FINE
    assert "pods: get, list, watch" in granted[1]
    assert [mark for mark, _ in doubts] == [Mark.DOUBT] * 2  # statefulsets and jobs
    failures = [said for mark, said in of[f"permissions in namespace {forbidden}"] if mark == Mark.BAD]
    assert [said.partition(":")[0] for said in failures] == [
        "may not get, list, watch pods", "may not get, list, watch replicasets", "may not list, watch events",
    ]  # fmt: skip
    assert of["cluster"][0][1].startswith(f"{kube.server} answers, version v1.")

    await grant(kube, forbidden, home=allowed)
    code, report = await ask(settings, "doctor")
    assert [each for each in report["findings"] if each["mark"] == Mark.BAD] == []
    assert ("1 of 1 pods have an agent token") in [each["said"] for each in report["findings"]]
    (watch,) = [each for each in report["findings"] if each["about"] == "watch"]
    assert watch["said"].startswith(f"one of pods in namespace {allowed} was answered after 0.")
    assert code == 0

    code, told = await ask(settings, "status", "dev")
    assert code == 0
    (story,) = told["stories"]
    assert story["title"] == f"Pod {allowed}/dev"
    assert told["notes"] == ["only the namespaces watched were looked into: listing others is forbidden"]
    assert workspace.token not in json.dumps(told) + json.dumps(report)


@pytest.mark.parametrize("has_a_pod", [True, False])
@pytest.mark.parametrize(
    ("between", "where_a_pod_is", "where_none_is"),
    [
        (Relay, "was answered after 0.", "was answered after 0."),
        (Collecting, "is answered only with its end", "is answered only with its end"),
        (CollectingBodies, "is answered at once, but tells only with its end", "was answered after 0."),
    ],
)
async def test_what_is_in_between_and_collects_answers_is_noticed_by_a_watch(
    kube: KubeApi, namespace: str, programs: Programs, tmp_path: Path,
    has_a_pod: bool, between: type[Relay], where_a_pod_is: str, where_none_is: str,
) -> None:  # fmt: skip
    if has_a_pod:
        await kube.create("pods", namespace, pod("dev", container("none")))
    await grant(kube, namespace, home=namespace)
    async with between(await restricted_user(kube, namespace, tmp_path / "restricted.kubeconfig")) as relay:
        kubeconfig = str(relay.write_kubeconfig(tmp_path / "relayed"))
        settings = {**programs.settings, "KUBECONFIG": kubeconfig, "CODER_NAMESPACES": namespace}
        code, report = await ask(settings, "doctor")
    (watch,) = [each for each in report["findings"] if each["about"] == "watch"]
    said = where_a_pod_is if has_a_pod else where_none_is
    assert watch["said"].startswith(f"one of pods in namespace {namespace} {said}")
    assert watch["mark"] == (Mark.BAD if "only" in said else Mark.FINE)
    assert code == ("only" in said)
