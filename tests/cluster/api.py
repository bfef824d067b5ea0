"""The few Kubernetes API calls that the tests make as cluster administrator."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import msgspec
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import load_kube_config

Object = dict[str, Any]

EXEC_PROTOCOL: Final = "v4.channel.k8s.io"
STDOUT, STDERR = 1, 2
"""The first byte of each message; any other is the end."""
LINE_MAX_BYTES: Final = 4 * 1024 * 1024

ROOTS: Final[Mapping[str, str]] = {
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "resourcequotas": "/api/v1",
    "serviceaccounts": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "persistentvolumeclaims": "/api/v1",
    "persistentvolumes": "/api/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


class ApiRefused(Exception):
    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:500].decode(errors='replace')}")
        self.status = status


def path_of(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    parts = [ROOTS[resource], f"namespaces/{namespace}" if namespace else "", resource, name, subresource]
    return "/".join(part for part in parts if part)


class KubeApi:
    """`async with KubeApi(kubeconfig) as api`. Each call raises ApiRefused unless the answer is good."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def __aenter__(self) -> Self:
        self._configuration = Configuration()
        await load_kube_config(  # type: ignore[no-untyped-call]
            str(self._kubeconfig), client_configuration=self._configuration, persist_config=False
        )
        self._rest = RESTClientObject(self._configuration)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._rest.ssl_context), timeout=aiohttp.ClientTimeout(total=30)
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()
        await self._rest.close()

    @property
    def server(self) -> str:
        return str(self._configuration.host)

    def authority(self) -> bytes:
        """The PEM text of the CA that signed the server's certificate; empty if the system's CAs do."""
        file = self._configuration.ssl_ca_cert
        return Path(file).read_bytes() if file else b""

    async def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        data = None if body is None else msgspec.json.encode(body)
        return dict(msgspec.json.decode(await self._call(method, path, data, query, content_type)))

    async def _call(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        headers = {"Content-Type": content_type} | await self._authorisation()
        async with self._session.request(
            method, self.server + path, data=data, params=query, headers=headers
        ) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise ApiRefused(answer.status, text)
            return text

    async def create(self, resource: str, namespace: str, body: Object) -> Object:
        return await self.call("POST", path_of(resource, namespace), body)

    async def get(self, resource: str, namespace: str, name: str) -> Object:
        return await self.call("GET", path_of(resource, namespace, name))

    async def items(self, resource: str, namespace: str) -> list[Object]:
        return list((await self.call("GET", path_of(resource, namespace)))["items"])

    async def delete(self, resource: str, namespace: str, name: str = "") -> None:
        """At once, without a grace period; without a name all there are."""
        await self.call("DELETE", path_of(resource, namespace, name), query={"gracePeriodSeconds": "0"})

    async def merge(self, resource: str, namespace: str, name: str, patch: Object, subresource: str = "") -> Object:
        path = path_of(resource, namespace, name, subresource)
        return await self.call("PATCH", path, patch, content_type="application/merge-patch+json")

    async def watch(
        self, path: str, *, version: str = "", query: Mapping[str, str] | None = None
    ) -> AsyncIterator[Object]:
        """The changes after `version`, or all that is there and then the changes, until the server ends the watch."""
        asked = {"watch": "1", "resourceVersion": version, **(query or {})}
        async with self._session.get(
            self.server + path,
            params=asked,
            headers=await self._authorisation(),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=LINE_MAX_BYTES,
        ) as answer:
            if answer.status >= 400:
                raise ApiRefused(answer.status, await answer.read())
            async for line in answer.content:
                yield dict(msgspec.json.decode(line))

    async def log(self, namespace: str, pod: str) -> str:
        """What the only container of a pod has written."""
        return (await self._call("GET", path_of("pods", namespace, pod, "log"))).decode(errors="replace")

    async def run(self, namespace: str, pod: str, *command: str) -> tuple[int, str]:
        """Run a command in a pod's only container, as `kubectl exec` does: exit code, and what it wrote anywhere."""
        asked = [("stdout", "1"), ("stderr", "1"), *(("command", word) for word in command)]
        path, headers = path_of("pods", namespace, pod, "exec"), await self._authorisation()
        said, end = b"", b""
        async with self._session.ws_connect(
            self.server + path, params=asked, headers=headers, protocols=[EXEC_PROTOCOL]
        ) as stream:
            async for message in stream:
                if message.data[0] in (STDOUT, STDERR):
                    said += message.data[1:]
                else:
                    end += message.data[1:]
        return _exit_code(end), said.decode(errors="replace")

    async def _authorisation(self) -> dict[str, str]:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}


def _exit_code(end: bytes) -> int:
    """Of a command, by what the API server said at its end. Raises ApiRefused if it did not run."""
    status = msgspec.json.decode(end or b"{}")
    if status.get("status") == "Success":
        return 0
    for cause in status.get("details", {}).get("causes", ()):
        if cause["reason"] == "ExitCode":
            return int(cause["message"])
    raise ApiRefused(int(status.get("code", 500)), end)
