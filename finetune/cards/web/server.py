"""A web server for one person on this machine: one form, until it is done.

It listens on the loopback address only. The address contains a random token; requests for another
host, from another page or without the token are refused, so that no web page can send answers
(DNS rebinding, cross-site request forgery). Nothing of a request is logged.
"""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
MAX_FORM_BYTES = 2**20
MAX_FIELDS = 1000
SECONDS_PER_REQUEST = 10
"""A connection that sends nothing for so long is closed, so that it does not block the next."""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends `Origin: null`
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Fields = Mapping[str, Sequence[str]]
"""Name of a field -> its values, as a browser sends them."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as the answer to a request."""

    html: str
    is_last: bool = False
    """True if the server stops after it."""


Answer = Callable[[Fields], Page]
"""Returns the page for the fields of a form; for the first request they are empty."""


def serve(
    answer: Answer, *, tell: Callable[[str], None], open_browser: bool = True, port: int = 0
) -> None:
    """Serve one form until its last page was sent; `port`: 0 for any that is free.

    `tell` is called with the address once the server listens. OSError if it cannot listen.
    """
    token = secrets.token_urlsafe(16)
    with _Server((HOST, port), token=token, answer=answer) as server:
        tell(server.address)
        if open_browser and _has_screen():
            webbrowser.open(server.address)
        while not server.is_done:
            server.handle_request()


def _has_screen() -> bool:
    """Return whether a browser can show a window; in a terminal one would hide the address."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, screens))


class _Server(HTTPServer):
    """Owns the socket; answers one request at a time."""

    def __init__(self, address: tuple[str, int], *, token: str, answer: Answer) -> None:
        self.token, self.answer, self.is_done = token, answer, False
        super().__init__(address, _Request)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Values of the header Host of requests that are meant for it."""
        return tuple(f"{name}:{self.server_port}" for name in (HOST, "localhost"))

    @property
    def address(self) -> str:
        """Address of the form."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a connection that broke; the person loads the page again."""


class _Request(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    timeout = SECONDS_PER_REQUEST

    def do_GET(self) -> None:
        """Answer with the empty form."""
        if self._is_meant():
            self._send(self.server.answer({}))

    def do_POST(self) -> None:
        """Answer a filled form."""
        if self._is_meant() and (fields := self._fields()) is not None:
            self._send(self.server.answer(fields))

    def _is_meant(self) -> bool:
        """Return whether a request comes from the page itself; refuse it otherwise."""
        path = urlsplit(self.path).path
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts:
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        if not secrets.compare_digest(path.encode(), f"/{self.server.token}/".encode()):
            return self._refuse(HTTPStatus.NOT_FOUND)
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            return self._refuse(HTTPStatus.FORBIDDEN)
        return True

    def _fields(self) -> Fields | None:
        """Return the fields of a form; None if it was refused."""
        kind = self.headers.get_content_type()
        length = self.headers.get("Content-Length", "")
        if kind != "application/x-www-form-urlencoded" or not (
            length.isascii() and length.isdigit()
        ):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        if int(length) > MAX_FORM_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        body = self.rfile.read(int(length))
        try:
            return parse_qs(
                body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_FIELDS,
            )
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None

    def _send(self, page: Page) -> None:
        body = page.html.encode()
        self.send_response(HTTPStatus.OK)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.is_done = page.is_last

    def _refuse(self, status: HTTPStatus) -> bool:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: addresses hold the token, and the terminal shows messages for a person."""

    def version_string(self) -> str:
        """Return the name of the server, without versions."""
        return "finetune"
