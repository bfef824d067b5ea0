"""A double of an image registry: read-only, plain HTTP, what a node asks of it and no more.

Every name has the one image under the tag 1.0, and no other tag. A name that begins with `private/` is refused without
an account; to find one that begins with `large/` takes a while.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from tests.kubelet.image import MANIFEST_TYPE, Image, digest_of

LARGE_TAKES_S: Final = 3.0
TAG: Final = "1.0"


class Registry(ThreadingHTTPServer):
    """`with Registry(image, address) as registry:` serves at `registry.url`, with a port that was free."""

    def __init__(self, image: Image, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.image = image
        self.digest = digest_of(image.manifest)
        self.url = f"http://{address}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, name="registry")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        """/v2/NAME/manifests/TAG-OR-DIGEST and /v2/NAME/blobs/DIGEST."""
        image, digest = self.server.image, self.server.digest
        name, kind, reference = self.path.partition("?")[0].removeprefix("/v2/").rsplit("/", 2)
        if name.startswith("private/"):
            self._refuse(401, "UNAUTHORIZED")
        elif kind == "manifests" and reference in (TAG, digest):
            if name.startswith("large/") and self.command == "HEAD":
                time.sleep(LARGE_TAKES_S)
            self._answer(200, MANIFEST_TYPE, image.manifest, digest)
        elif kind == "blobs" and reference in image.blobs:
            self._answer(200, "application/octet-stream", image.blobs[reference], reference)
        else:
            self._refuse(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")

    do_HEAD = do_GET  # noqa: N815 — the name that the server looks for

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, "application/json", json.dumps({"errors": [{"code": code, "message": code}]}).encode())

    def _answer(self, status: int, content_type: str, body: bytes, digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing: the node's own log says what it asked for."""
