"""What the containers of compose.yaml need, made before they start: `python -m console.prepare`.

Keys and passwords are made once and kept where only this service looks. Each program gets a folder, a volume of its
own, with what it needs of them, so no container has another's credentials. The kubeconfig is copied to where the
watcher, without rights, can read it, its current context only. What a container could not reach or use ends the start
here, with the setting that mends it, where a program would try for ever.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from common.loopback import is_loopback
from common.settings.flags import EXIT_USAGE
from common.settings.load import SettingsError, load
from common.settings.shipper import CoderSettings
from console.given_kubeconfig import Kubeconfig, KubeconfigUnusable, read_kubeconfig
from console.valkey import TOKEN_KEY_FILE, DataDir, write_private

__all__ = ["SETTINGS", "NotPrepared", "main", "prepare"]

SETTINGS: Final = Path("/settings")
"""Holds a folder for each program, which has the same path there; and one for what is kept."""
_KEPT: Final = "keys"
_REDIS: Final = "redis"
_GIVEN: Final = Path("/given/kubeconfig")
_USER: Final = 65532
"""Whom the programs in the image run as."""
_PRIVATE_DIR: Final = 0o700
_WATCHER: Final = "watcher"
_SHIPPER: Final = "shipper"
_USERS: Final = {_WATCHER: "logstream-watcher", _SHIPPER: "logstream-shipper"}
"""Who each program is to Redis: common/store/redis-users.acl."""
_KUBECONFIG: Final = "kubeconfig"
_DEMO_CLUSTER: Final = "http://kubernetes:8080"
_DOUBLE: Final = "+double"
_ANSWERS_WITHIN_S: Final = 3.0
_START_DEMO: Final = "docker compose --profile demo up"
_HOST: Final = (
    "put COMPOSE_FILE=compose.yaml:compose.host.yaml into .env (Linux), or name this machine as host.docker.internal "
    "(Docker Desktop)"
)


class NotPrepared(SettingsError):
    """The containers cannot start so. The text is one line with the remedy."""


def prepare(environ: Mapping[str, str], given: Path, settings: Path) -> None:
    """Check what is given and fill the folders below `settings`. Raises SettingsError."""
    try:
        kubeconfig = read_kubeconfig(given)
    except KubeconfigUnusable as error:
        raise NotPrepared(f"LOGSTREAM_KUBECONFIG: {error}") from error
    coder_url = _coder_url(environ, kubeconfig)
    if environ["LOGSTREAM_NETWORK"] != "host":
        _refuse_loopback("CODER_URL", coder_url)
        _refuse_loopback("LOGSTREAM_KUBECONFIG: the cluster's address", kubeconfig.server)
    with DataDir(settings / _KEPT) as kept:
        kept.token_keys()
        token_key = (kept.path / TOKEN_KEY_FILE).read_text(encoding="utf-8")
        passwords = {name: _password(kept.path / f"{name}-password") for name in (_REDIS, *_USERS)}
    _fill(settings / _REDIS, {f"{name}-password": password for name, password in passwords.items()})
    _fill(settings / _WATCHER, {_KUBECONFIG: kubeconfig.text})
    own = {_WATCHER: {"kubeconfig": str(settings / _WATCHER / _KUBECONFIG)}, _SHIPPER: {"coder_url": coder_url}}
    for program, user in _USERS.items():
        folder = settings / program
        said = {
            "redis_url": f"redis://{user}:{passwords[program]}@{environ['LOGSTREAM_REDIS_ADDRESS']}/0",
            "token_key_file": str(folder / TOKEN_KEY_FILE),
            **own[program],
        }
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items())
        _fill(folder, {TOKEN_KEY_FILE: token_key, f"{program}.toml": text})


def _coder_url(environ: Mapping[str, str], kubeconfig: Kubeconfig) -> str:
    """Where Coder is: the one that is set, or the demo's if that runs and nothing is set."""
    demo_url = environ["LOGSTREAM_DEMO_CODER"]
    demo_runs, has_demo_cluster = _is_double(demo_url), kubeconfig.server == _DEMO_CLUSTER
    if not environ.get("CODER_URL"):
        if not demo_runs:
            raise NotPrepared(
                "CODER_URL is not set; write it and LOGSTREAM_KUBECONFIG into .env (cp .env.example .env), or see "
                f"the demo, which needs neither: {_START_DEMO}"
            )
        if not has_demo_cluster:
            raise NotPrepared(f"the demo has a cluster of its own; take LOGSTREAM_KUBECONFIG out, then {_START_DEMO}")
        return demo_url
    if demo_runs:
        raise NotPrepared(
            "the demo runs, and CODER_URL is set; which of the two? Apart from your installation the demo is started "
            "by: docker compose -p logstream-demo --env-file compose/demo.env --profile demo up"
        )
    if has_demo_cluster:
        raise NotPrepared("LOGSTREAM_KUBECONFIG is not set; example: LOGSTREAM_KUBECONFIG=~/.kube/config in .env")
    return load(CoderSettings, flags={}, environ={"CODER_URL": environ["CODER_URL"]}).coder_url


def _is_double(url: str) -> bool:
    """Whether the demo's Coder answers there, and not a real one that has the same name in this network."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/buildinfo", timeout=_ANSWERS_WITHIN_S) as answer:  # noqa: S310 - http
            return str(json.load(answer).get("version", "")).endswith(_DOUBLE)
    except (OSError, ValueError):  # nobody of that name: the demo is not wanted
        return False


def _refuse_loopback(what: str, url: str) -> None:
    if is_loopback(url):
        raise NotPrepared(f"{what}: {url} is the loopback of the container itself, not of this machine; {_HOST}")


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text(encoding="ascii")


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    """Write `files`, by name, into a folder that is private."""
    folder.mkdir(exist_ok=True)
    folder.chmod(_PRIVATE_DIR)
    for name, text in files.items():
        write_private(folder / name, text.encode())


def _hand_over(settings: Path) -> None:
    """Make each program's folder the programs'; what is kept stays root's."""
    for name in (_REDIS, *_USERS):
        for path in (settings / name, *(settings / name).iterdir()):
            os.chown(path, _USER, _USER)


def main() -> int:
    """Prepare; the exit code."""
    try:
        prepare(os.environ, _GIVEN, SETTINGS)
    except SettingsError as error:
        sys.stderr.write(f"prepare: {error}\n")
        return EXIT_USAGE
    _hand_over(SETTINGS)
    sys.stderr.write("prepare: keys, passwords and the cluster's configuration are in place\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
