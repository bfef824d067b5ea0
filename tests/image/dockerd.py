"""A Docker of the tests' own: a daemon with private folders and socket, and what it needs instead of a registry."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.required import missing

PARTS: Final = Path(__file__).parent / "parts"
PROGRAMS: Final = ("dockerd", "docker", "iptables", "debootstrap")
REMEDY: Final = "as root on Debian: apt-get install --no-install-recommends docker.io iptables debootstrap"
READY_S: Final = 60.0
STOP_S: Final = 30.0


class DockerFailed(Exception):
    """A docker command failed; the message holds what it said."""


class Docker(msgspec.Struct, frozen=True):
    """The client of one daemon."""

    environ: Mapping[str, str]
    folder: Path
    """For what belongs to this daemon; removed with it."""

    def __call__(
        self, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None, within_s: float = 60.0
    ) -> str:
        """Run `docker ARGUMENTS`; its stdout. Raises DockerFailed."""
        done = self.attempt(*arguments, cwd=cwd, environ=environ, within_s=within_s)
        if done.returncode:
            said = done.stdout[-4000:] + done.stderr[-4000:]
            raise DockerFailed(f"docker {' '.join(arguments)}: {done.returncode}\n{said}")
        return done.stdout

    def attempt(
        self, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None, within_s: float = 60.0
    ) -> "subprocess.CompletedProcess[str]":
        """The same for what may fail."""
        return subprocess.run(
            ["docker", *arguments], env={**self.environ, **(environ or {})}, cwd=cwd, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=within_s, check=False,
        )  # fmt: skip


def parts() -> Path:
    """The folder that `parts` makes, from the cache or now (about two minutes, once)."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking or os.geteuid() != 0:
        missing("a dockerd of the tests' own", REMEDY)
    made = subprocess.run([PARTS], capture_output=True, text=True, check=False)
    if made.returncode:
        missing("base images for a dockerd", f"{PARTS.name} failed: {made.stderr[-1500:]}")
    return Path(made.stdout.strip())


@contextlib.contextmanager
def running_docker(folder: Path, parts: Path) -> Iterator[Docker]:
    """A daemon until the block ends, with the base images of `parts`."""
    socket, log = folder / "docker.sock", folder / "dockerd.log"
    config = folder / "config"
    shutil.copytree(parts / "cli-plugins", config / "cli-plugins")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_", "CODER_"))},
        "DOCKER_HOST": f"unix://{socket}",
        "DOCKER_CONFIG": str(config),
        "DOCKER_BUILDKIT": "1",
    }
    with log.open("wb") as output, _unchanged_forwarding():
        daemon = subprocess.Popen(
            ["dockerd", "--host", f"unix://{socket}", "--data-root", str(folder / "data"),
             "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "--bridge", "none"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        docker = Docker(environ, folder)
        try:
            _wait_for(daemon, docker, log)
            docker("import", *_like_official(), str(parts / "base.tar"), "python:3.13-slim", within_s=300)
            yield docker
        finally:
            _end(daemon, docker)


def _like_official() -> Sequence[str]:
    """What an image has beside its files. The CA bundle is this machine's: its proxy may have one of its own."""
    return ("--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin", "--change", f"ENV PIP_CERT={_BUNDLE}")


_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"


def _wait_for(daemon: "subprocess.Popen[bytes]", docker: Docker, log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    while docker.attempt("info").returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline_s:
            missing("a dockerd that runs here", log.read_text(errors="replace")[-1500:])
        time.sleep(0.1)


def _end(daemon: "subprocess.Popen[bytes]", docker: Docker) -> None:
    """Stop what still runs in it, then the daemon itself."""
    for container in docker.attempt("ps", "--quiet").stdout.split():
        docker.attempt("kill", container)
    daemon.terminate()
    try:
        daemon.wait(STOP_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    for mount in docker.folder.glob("exec/netns/*"):  # it leaves that of the machine's network
        subprocess.run(["umount", mount], check=False)


@contextlib.contextmanager
def _unchanged_forwarding() -> Iterator[None]:
    """dockerd closes the FORWARD chain and leaves it closed; other tests' traffic may need it as it was."""
    before = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False).stdout
    yield
    if "-P FORWARD ACCEPT" in before:
        subprocess.run(["iptables", "-P", "FORWARD", "ACCEPT"], check=False)
