"""A server that speaks as much of Mozilla Data Collective's API as its client 0.7.0 asks for."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DATASET = "cminc35no007no707hql26lzk"
KEY = "mdc-key-of-the-tests"
FILES = {"wolof/train.tsv": b"id\tsentence\n1\tnanga def\n2\tjamm rekk\n", "wolof/README": b"x\n"}


def packed(files: dict[str, bytes]) -> bytes:
    """Return a .tar.gz that is the same each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    data = bytearray(out.getvalue())
    data[4:8] = b"\0\0\0\0"  # the time of packing
    return bytes(data)


ARCHIVE = packed(FILES)


def sha256(content: bytes) -> str:
    """Return the checksum as cards have it."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Collective:
    """State of the server."""

    url: str = ""
    archive: bytes = ARCHIVE
    status: int = 200
    """Of the answer to a request for a download."""
    details: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Authorization headers that came, by request."""
    paths: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return the details of the one data set."""
        return {
            "id": DATASET,
            "name": "Wolof sentences",
            "locale": "wo",
            "filename": "wolof.tar.gz",
            "sizeBytes": len(self.archive),
            "checksum": "abc",
            "licenseAbbreviation": "NOODL-1.0",
            "license": None,
            "organization": {"name": "Radio of the tests", "slug": "radio"},
            "restrictions": "Only for schools.",
            "forbiddenUsage": "No imitation of speakers.",
        } | self.details


@contextmanager
def collective_server() -> Iterator[Collective]:
    """Give a running server; its address goes into MDC_API_URL."""
    state = Collective()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _noted(self) -> None:
            state.paths.append(f"{self.command} {self.path}")
            state.keys.append(self.headers.get("Authorization", ""))

        def do_GET(self) -> None:
            self._noted()
            if self.path.startswith("/archive"):
                self._answer(200, state.archive, "application/gzip")
            elif self.path == f"/datasets/{DATASET}":
                self._answer(200, json.dumps(state.facts()).encode())
            else:
                self._answer(404, b'{"message": "no"}')

        def do_POST(self) -> None:
            self._noted()
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                self._answer(401, b'{"message": "bad key"}')
            elif state.status != 200:
                self._answer(state.status, b'{"message": "refused"}')
            else:
                signed = f"{state.url}/archive?X-Amz-Signature=secretsecretsecret"
                body = {"downloadUrl": signed, "sizeBytes": len(state.archive), "checksum": "abc"}
                self._answer(200, json.dumps(body).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
