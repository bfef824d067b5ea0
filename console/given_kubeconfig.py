"""A kubeconfig that somebody mounts into a container: what of it is needed, and what of it works there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from common.small_file import read_small

__all__ = ["Kubeconfig", "KubeconfigUnusable", "read_kubeconfig"]

_MAX_BYTES: Final = 1024 * 1024
_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_PROGRAMS: Final = ("exec", "auth-provider")
_FLATTEN: Final = "make one that holds them: kubectl config view --raw --flatten --minify > kubeconfig"


class KubeconfigUnusable(ValueError):
    """It cannot be used in a container. The text says why, with the remedy."""


@dataclass(frozen=True)
class Kubeconfig:
    """What its current context names."""

    server: str
    text: str
    """The same as a kubeconfig of its own. Secret."""


def read_kubeconfig(path: Path) -> Kubeconfig:
    """The current context of the kubeconfig at `path`. Raises KubeconfigUnusable."""
    too_large = f"is no kubeconfig: it is larger than {_MAX_BYTES} bytes"
    try:
        whole = yaml.safe_load(read_small(path, _MAX_BYTES, too_large, KubeconfigUnusable))
    except yaml.YAMLError:  # its text would quote the file, secrets included
        raise KubeconfigUnusable("is not YAML") from None
    if not isinstance(whole, dict):
        raise KubeconfigUnusable("is no kubeconfig")
    name = whole.get("current-context") or ""
    context = _named(whole, "contexts", "context", name)
    if context is None:
        raise KubeconfigUnusable(
            f"has no current context ({name!r}); choose one: kubectl config use-context NAME"
            if name
            else "names no current context; choose one: kubectl config use-context NAME"
        )
    cluster = _named(whole, "clusters", "cluster", str(context.get("cluster", "")))
    user = _named(whole, "users", "user", str(context.get("user", ""))) or {}
    if cluster is None or not isinstance(cluster.get("server"), str):
        raise KubeconfigUnusable(f"has no address of the cluster that its context {name!r} names")
    try:
        urlsplit(cluster["server"])
    except ValueError as error:
        raise KubeconfigUnusable(
            f"the address of its cluster is malformed ({error}); example: https://api.example.com:6443"
        ) from error
    _refuse_what_stays_behind(cluster, user)
    return Kubeconfig(cluster["server"], _only(cluster, user))


def _named(whole: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any] | None:
    entries = whole.get(plural)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
            return dict(entry[singular])
    return None


def _refuse_what_stays_behind(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    for key in _FILES:
        file = cluster.get(key) or user.get(key)
        if file:
            raise KubeconfigUnusable(f"its {key} is another file ({file}), which a container does not see; {_FLATTEN}")
    for key in _PROGRAMS:
        if user.get(key):
            program = user[key].get("command") or user[key].get("name") if isinstance(user[key], dict) else None
            raise KubeconfigUnusable(
                f"its user gets credentials from a program ({program}), which is not in the image; make a kubeconfig "
                "with the token of a service account: docs/how-to/run-with-docker-compose.md"
            )


def _only(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    name = "given"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": dict(cluster)}],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
