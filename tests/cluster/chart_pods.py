"""Containers of a rendered release as processes: their arguments, environment, Secrets and files, without a kubelet.

What differs from a pod: paths of volumes lie in a folder, Valkey's name is a port of this machine, the service account
comes as a kubeconfig, and the network is the machine's.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.cluster.api import KubeApi
from tests.cluster.chart_rig import account_token
from tests.cluster.harness import ROOT, Program
from tests.cluster.objects import Object
from tests.cluster.pki import write_kubeconfig
from tests.servers import free_port

__all__ = ["Pods"]

VALKEY_PORT: Final = 6379


class Pods:
    """`async with Pods(kube, namespace, objects, folder) as pods:` starts containers of `objects` and ends them."""

    def __init__(self, kube: KubeApi, namespace: str, objects: Sequence[Object], folder: Path) -> None:
        self._kube = kube
        self._namespace = namespace
        self._specs = {spec["containers"][0]["name"]: spec for spec in map(_pod_spec, objects) if spec}
        self._configs = {made["metadata"]["name"]: made["data"] for made in objects if made["kind"] == "ConfigMap"}
        folder.mkdir()
        self._folder = folder
        self._valkey = f"127.0.0.1:{free_port()}"
        self._started: list[Program] = []
        self._environs: dict[str, dict[str, str]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for program in self._started:
            await program.kill()

    async def start(self, name: str) -> Program:
        """The container of that name, started."""
        spec = self._specs[name]
        home = self._folder / name
        home.mkdir()
        probe = f"127.0.0.1:{free_port()}"
        environ = await self._environ(spec, home) | {"CODER_LOGSTREAM_PROBE_ADDR": probe}
        self._environs[name] = environ
        log = home / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "console", *spec["containers"][0]["args"],
                cwd=ROOT, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._started.append(Program(process, log, probe))
        return self._started[-1]

    async def ask(self, name: str, *words: str) -> str:
        """What `coder-logstream WORDS` says in the container of that name, which was started: `kubectl exec`."""
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "console", *words, cwd=ROOT, env=self._environs[name],
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asked.communicate()
        return said.decode()

    async def _environ(self, spec: Object, home: Path) -> dict[str, str]:
        (container,) = spec["containers"]
        mounts = {mount["mountPath"]: home / mount["name"] for mount in container["volumeMounts"]}
        for folder in mounts.values():
            folder.mkdir()
        for volume in spec["volumes"]:
            await self._fill(volume, home / volume["name"])
        environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
        for each in container["env"]:
            value = each.get("value") or await self._secret(each.get("valueFrom"))
            value = re.sub(r"\$\((\w+)\)", lambda found: environ[found[1]], value)
            environ[each["name"]] = self._moved(value, mounts)
        if spec["automountServiceAccountToken"]:
            token = await account_token(self._kube, self._namespace, spec["serviceAccountName"])
            kubeconfig = write_kubeconfig(home / "kubeconfig", self._kube.server, self._kube.authority(), token)
            environ["KUBECONFIG"] = str(kubeconfig)
        return environ | {"CODER_LOGSTREAM_VALKEY_PORT": self._valkey.rpartition(":")[2]}

    def _moved(self, value: str, mounts: Mapping[str, Path]) -> str:
        for path, folder in mounts.items():
            if value.startswith(f"{path}/"):
                return value.replace(path, str(folder), 1)
            if value == path:
                return str(folder)
        return re.sub(rf"@[^@/]+\.svc:{VALKEY_PORT}", f"@{self._valkey}", value)

    async def _fill(self, volume: Object, folder: Path) -> None:
        if "secret" in volume:
            data = (await self._kube.get("secrets", self._namespace, volume["secret"]["secretName"]))["data"]
            for item in volume["secret"]["items"]:
                (folder / item["path"]).write_bytes(base64.b64decode(data[item["key"]]))
        elif "configMap" in volume:
            for name, text in self._configs[volume["configMap"]["name"]].items():
                (folder / name).write_text(text)

    async def _secret(self, source: Object | None) -> str:
        if source is None:
            return ""
        wanted = source["secretKeyRef"]
        data = (await self._kube.get("secrets", self._namespace, wanted["name"]))["data"]
        return base64.b64decode(data[wanted["key"]]).decode()


def _pod_spec(made: Object) -> Object:
    if made["kind"] == "Pod":
        return dict(made["spec"])
    return dict(made["spec"]["template"]["spec"]) if made["kind"] in ("Deployment", "StatefulSet") else {}
