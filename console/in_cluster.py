"""The Kubernetes API as a pod meets it: the server that its environment names, its service account's rights.

For the few short calls of a set-up command; the watcher has a client of its own.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final

__all__ = ["ApiRefused", "ClusterApi", "NoApi"]

_TIMEOUT_S: Final = 30.0
_BODY_MAX_BYTES: Final = 4 * 1024 * 1024  # a Secret has 1 MiB at most

Object = dict[str, Any]


class NoApi(Exception):
    """There is no API server to be spoken to from here. The text says why."""


class ApiRefused(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the API server answers {status}: {said}")
        self.status = status


class ClusterApi:
    """Calls with the service account in `account`, a directory. Raises NoApi if something is missing."""

    def __init__(self, account: Path, environ: Mapping[str, str]) -> None:
        host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise NoApi("KUBERNETES_SERVICE_HOST is not set: this has to run in a pod")
        try:
            self._token = (account / "token").read_text().strip()
            self.namespace = (account / "namespace").read_text().strip()
            trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except OSError as error:
            raise NoApi(f"the service account in {account} cannot be read: {error}") from error
        # Go's TLS does not know OpenSSL's strict mode (default from Python 3.13), which refuses many cluster CAs.
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._connection = HTTPSConnection(host, int(port), timeout=_TIMEOUT_S, context=trust)

    def call(
        self, method: str, path: str, body: Object | None = None, content_type: str = "application/json"
    ) -> Object:
        """The answer's object. Raises NoApi, ApiRefused."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", "Content-Type": content_type}
        try:
            self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = self._connection.getresponse()
            text = response.read(_BODY_MAX_BYTES)
        except (OSError, HTTPException) as error:
            raise NoApi(f"the API server at {self._connection.host} cannot be reached: {error}") from error
        answer = _decoded(text)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiRefused(response.status, str(answer.get("message", ""))[:500])
        return answer


def _decoded(text: bytes) -> Object:
    try:
        answer = json.loads(text)
    except ValueError:
        return {"message": text[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {}
