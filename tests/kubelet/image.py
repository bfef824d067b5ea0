"""A container image of one static busybox, as a registry serves it. Pure, but for reading the program.

The same image runs the workspaces and holds a pod's sandbox: nothing has to be built, and no registry is reachable.
"""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

FOLDERS: Final = ("bin", "etc", "tmp", "proc", "sys", "dev")
USERS: Final = b"root:x:0:0:root:/:/bin/sh\n"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names of what `uname -m` says; others are the same."""


class Image(msgspec.Struct, frozen=True):
    manifest: bytes
    blobs: Mapping[str, bytes]
    """Configuration and layer, by digest."""


def busybox_image(busybox: Path, machine: str) -> Image:
    """`machine`: what `uname -m` says of those that can run it."""
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    layer = _layer(busybox.read_bytes(), [name for name in listed if name != "busybox"])
    configuration = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "WorkingDir": "/", "Cmd": ["sleep", "infinity"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
    }
    parts = {"config.v1+json": json.dumps(configuration).encode(), "layer.v1.tar+gzip": gzip.compress(layer, mtime=0)}
    described = [_descriptor(kind, data) for kind, data in parts.items()]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": described[0],
        "layers": described[1:],
    }
    return Image(json.dumps(manifest).encode(), {digest_of(data): data for data in parts.values()})


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest_of(data), "size": len(data)}


def _layer(busybox: bytes, commands: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for path, data, mode in (("etc/passwd", USERS, 0o644), ("bin/busybox", busybox, 0o755)):
            file = tarfile.TarInfo(path)
            file.size, file.mode = len(data), mode
            tar.addfile(file, io.BytesIO(data))
        for name in commands:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()
