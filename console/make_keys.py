"""`coder-logstream make-keys`: see to it that a Secret holds the installation's keys, and keep those that are there.

Run again and again, by each upgrade: what the Secret holds is never changed, only what it lacks is added. So nothing
that renders a chart has to know a key, or make one.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from common.crypto import new_token_key
from common.settings.in_cluster import KeySettings
from common.settings.token_keys import parse_token_keys
from console.in_cluster import ApiRefused, ClusterApi, NoApi
from console.valkey_server import PASSWORDS

__all__ = ["make_keys"]

_TOKEN_KEY: Final = "token-key"
_PASSWORD_BYTES: Final = 24
_LABELS: Final = {"app.kubernetes.io/name": "coder-logstream", "app.kubernetes.io/managed-by": "coder-logstream"}
_TRIES: Final = 5

Object = dict[str, Any]


class _Unusable(Exception):
    """The Secret is there, and what it holds is no key. The text has the remedy."""


def make_keys(settings: KeySettings) -> int:
    """Make the keys of an installation in Kubernetes, keeping those that are there."""
    try:
        api = ClusterApi(settings.service_account_dir, os.environ)
        said, code = _see_to_it(api, settings.keys_secret, _makers(settings)), 0
    except ApiRefused as error:
        said, code = f"{error}{_remedy(error, settings)}", 1
    except (NoApi, _Unusable) as error:
        said, code = str(error), 1
    sys.stderr.write(f"coder-logstream make-keys: {said}\n")
    return code


def _makers(settings: KeySettings) -> Mapping[str, Callable[[], str]]:
    """What the Secret has to hold, and how each is made."""
    passwords = PASSWORDS.values() if settings.valkey_passwords else ()
    return {_TOKEN_KEY: new_token_key, **dict.fromkeys(passwords, _new_password)}


def _new_password() -> str:
    return secrets.token_hex(_PASSWORD_BYTES)


def _see_to_it(api: ClusterApi, name: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """What was done. Another one who does the same at the same time is met by looking again."""
    for _ in range(_TRIES - 1):
        try:
            return _once(api, name, makers)
        except ApiRefused as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
    return _once(api, name, makers)


def _once(api: ClusterApi, name: str, makers: Mapping[str, Callable[[], str]]) -> str:
    path = f"/api/v1/namespaces/{api.namespace}/secrets"
    there = _get(api, f"{path}/{name}")
    held: Mapping[str, str] = (there or {}).get("data") or {}
    made = {key: base64.b64encode(make().encode()).decode() for key, make in makers.items() if not held.get(key)}
    if there is None:
        secret = {"metadata": {"name": name, "labels": _LABELS}, "type": "Opaque", "data": made}
        api.call("POST", path, {"apiVersion": "v1", "kind": "Secret", **secret})
        return f"made the Secret {name} with {', '.join(made)}"
    if _TOKEN_KEY not in made:
        _check_token_key(name, held[_TOKEN_KEY])
    if not made:
        return f"kept the Secret {name} as it is"
    patch = {"metadata": {"resourceVersion": there["metadata"]["resourceVersion"]}, "data": made}
    api.call("PATCH", f"{path}/{name}", patch, "application/merge-patch+json")
    return f"kept the Secret {name} and added {', '.join(made)}"


def _get(api: ClusterApi, path: str) -> Object | None:
    try:
        return api.call("GET", path)
    except ApiRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def _check_token_key(name: str, encoded: str) -> None:
    try:
        parse_token_keys(base64.b64decode(encoded).decode("ascii", "replace"))
    except ValueError as error:
        raise _Unusable(
            f"{_TOKEN_KEY} in the Secret {name} {error}. Put the right key back; to begin with a new one, remove the "
            "Secret and the data that were written under it"
        ) from error


def _remedy(error: ApiRefused, settings: KeySettings) -> str:
    if error.status != HTTPStatus.FORBIDDEN:
        return ""
    return (
        "; the service account needs create on secrets, and get and patch on "
        f"{settings.keys_secret}, or the Secret has to be made by hand"
    )
