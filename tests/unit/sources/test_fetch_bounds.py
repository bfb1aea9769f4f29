"""Limits of a web source: bytes, time, and hosts."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError, InputError, StoreError
from finetune.messages import Place
from finetune.output.console import Console
from finetune.sources import hosts, web
from finetune.sources.fetch import fetch_url
from finetune.spec.sections.source import UrlFile
from tests.support.problems import raises
from tests.support.surroundings import Variables

TEXT = b"Ina kwana lafiya.\n" * 20_000
SUM = hashlib.sha256(TEXT).hexdigest()
Handler = Callable[[socket.socket, str], None]


def head(more: str = "", *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}Connection: close\r\n\r\n".encode()


class Server:
    """Answers requests with functions that may do anything to the connection."""

    def __init__(self, handler: Handler, *, context: ssl.SSLContext | None = None) -> None:
        self.handler, self.context = handler, context
        self.requests: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                asked = connection.recv(65536).decode("latin-1")
                self.requests.append(asked)
                self.handler(connection, asked)
        except OSError:  # the other side hung up, which is what most of these tests wait for
            return


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(handler: Handler, **more: Any) -> Server:
        made.append(Server(handler, **more))
        return made[-1]

    yield start
    for server in made:
        server.socket.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def bounds(monkeypatch: pytest.MonkeyPatch, **changes: float) -> None:
    small: dict[str, Any] = {"answer_seconds": 20.0, "silence_seconds": 20.0, "window_seconds": 0.5}
    monkeypatch.setattr(web, "BOUNDS", web.Bounds(**small | changes))


def fetch(tmp_path: Path, url: str, *, sha256: str = SUM) -> str:
    """Fetch a file; return what the console said. A file is there only if it is whole."""
    file = UrlFile(url=url, path="w/f.txt", sha256=sha256)
    out = io.StringIO()
    try:
        fetch_url(file, tmp_path, card="c", console=Console(out=out))
    except BaseException:
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        raise
    assert hashlib.sha256((tmp_path / "w/f.txt").read_bytes()).hexdigest() == sha256
    return out.getvalue()


def endless(connection: socket.socket, asked: str) -> None:
    connection.sendall(head())
    while True:
        connection.sendall(b"x" * 65536)


def dripping(pieces: bytes, *, seconds: float, start: bytes = b"") -> Handler:
    def answer(connection: socket.socket, asked: str) -> None:
        connection.sendall(start)
        for byte in pieces:
            connection.sendall(bytes((byte,)))
            time.sleep(seconds)

    return answer


def test_a_body_without_end_is_ended(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: Variables
) -> None:
    """It may be as large as is set, and nothing of it stays."""
    variables(FINETUNE_FETCH_GIB="0.01")
    bounds(monkeypatch)
    with raises(InputError, code="large-download"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(endless).port}/x")


def test_a_size_that_does_not_fit_is_refused_before_it_is_sent(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size that a server announces is held against the bound and what is free on the disk."""
    bounds(monkeypatch)

    def huge(connection: socket.socket, asked: str) -> None:
        connection.sendall(head(f"Content-Length: {10**15}\r\n"))

    with raises(InputError, code="large-download"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(huge).port}/x")
    bounds(monkeypatch, margin_bytes=shutil.disk_usage(tmp_path).total)

    def small(connection: socket.socket, asked: str) -> None:
        connection.sendall(head(f"Content-Length: {len(TEXT)}\r\n") + TEXT)

    with raises(InputError, code="large-download"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(small).port}/x")


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", "1e99"])
def test_a_bound_that_is_no_number_is_a_sentence(
    serve: Any, tmp_path: Path, variables: Variables, text: str
) -> None:
    """FINETUNE_FETCH_GIB is checked."""
    variables(FINETUNE_FETCH_GIB=text)
    with raises(InputError, code="bad-variable"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(endless).port}/x")


CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "handler",
    [
        dripping(b"x" * 500, seconds=0.02, start=head("Content-Length: 100000\r\n")),
        dripping(b"x" * 500, seconds=0.02, start=head()),
        dripping(b"1\r\nx\r\n" * 100, seconds=0.02, start=head(CHUNKED)),
    ],
    ids=["announced", "unannounced", "chunks"],
)
def test_a_byte_now_and_then_ends_with_a_sentence(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: Handler
) -> None:
    """A server that sends hardly anything is not waited for until the end of days."""
    bounds(monkeypatch)
    start = time.monotonic()
    with raises(StoreError, code="slow-server"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(handler).port}/x")
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    "handler",
    [
        dripping(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000, seconds=0.05),
        dripping(b"1;" + b"e" * 1000, seconds=0.05, start=head(CHUNKED)),
        dripping(
            b"\x1f\x8b\x08\x08" + b"\0" * 5 + b"n" * 1000,
            seconds=0.05,
            start=head("Content-Encoding: gzip\r\n"),
        ),
    ],
    ids=["headers", "extension of a chunk", "name in gzip"],
)
def test_what_is_no_body_yet_ends_too(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: Handler
) -> None:
    """Headers, and bytes of which nothing comes out, are watched like the body."""
    bounds(monkeypatch, answer_seconds=1.0, silence_seconds=5.0)
    start = time.monotonic()
    with raises(StoreError, code="slow-server"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(handler).port}/x")
    assert time.monotonic() - start < 60


def test_silence_ends(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that states nothing more."""
    bounds(monkeypatch, silence_seconds=0.5)

    def silent(connection: socket.socket, asked: str) -> None:
        connection.sendall(head("Content-Length: 100\r\n") + b"x")
        time.sleep(5)

    with raises(StoreError, code="no-network"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(silent).port}/x")


def test_a_slow_link_that_lives_goes_on(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the least of every window is enough, however long the file."""
    bounds(monkeypatch, window_seconds=0.2, window_bytes=100)
    text = TEXT[:12_000]

    def slow(connection: socket.socket, asked: str) -> None:
        connection.sendall(head(f"Content-Length: {len(text)}\r\n"))
        for at in range(0, len(text), 200):
            connection.sendall(text[at : at + 200])
            time.sleep(0.02)

    fetch(
        tmp_path, f"http://127.0.0.1:{serve(slow).port}/x", sha256=hashlib.sha256(text).hexdigest()
    )


def test_a_long_time_ends(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole download has a bound as well."""
    bounds(monkeypatch, most_seconds=0.3)
    with raises(StoreError, code="slow-server"):
        fetch(tmp_path, f"http://127.0.0.1:{serve(endless).port}/x")


def test_the_real_bounds_let_a_link_of_five_kilobytes_a_second_pass() -> None:
    """And stop one byte per second."""
    least = web.Bounds().window_bytes / web.Bounds().window_seconds
    assert 1 < least < 5 * 1024 / 5


def test_progress_is_shown_with_the_time_that_is_left(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is counted in MiB; a small one needs no lines."""
    text = b"0123456789abcdef" * 400_000

    def large(connection: socket.socket, asked: str) -> None:
        connection.sendall(head(f"Content-Length: {len(text)}\r\n") + text)

    url = f"http://127.0.0.1:{serve(large).port}/x"
    said = fetch(tmp_path, url, sha256=hashlib.sha256(text).hexdigest())
    assert "w/f.txt 6/6 MiB  0 s left" in said


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_what_a_server_packs_unasked_is_unpacked_within_the_bound(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: Variables, encoding: str
) -> None:
    """The bytes are those of the file; a bomb is stopped by its unpacked size."""
    bounds(monkeypatch)
    packed, bomb = gzip.compress(TEXT), gzip.compress(b"\0" * 20_000_000)
    more = f"Content-Encoding: {encoding}\r\nContent-Length: "

    def answer(connection: socket.socket, asked: str) -> None:
        body = packed if "/f" in asked else bomb
        connection.sendall(head(f"{more}{len(body)}\r\n") + body)

    port = serve(answer).port
    fetch(tmp_path, f"http://127.0.0.1:{port}/f")
    shutil.rmtree(tmp_path / "w")
    variables(FINETUNE_FETCH_GIB="0.01")
    with raises(InputError, code="large-download"):
        fetch(tmp_path, f"http://127.0.0.1:{port}/bomb")


def test_damaged_and_unknown_packing_is_reported(serve: Any, tmp_path: Path) -> None:
    """Neither is written as if it were the file."""

    def answer(connection: socket.socket, asked: str) -> None:
        how = "gzip" if "/damaged" in asked else "br\x1b"
        connection.sendall(head(f"Content-Encoding: {how}\r\n") + b"xyz" * 100)

    port = serve(answer).port
    with raises(DataError, code="damaged-answer"):
        fetch(tmp_path, f"http://127.0.0.1:{port}/damaged")
    with raises(InputError, StoreError, code=("unknown-compression", "no-network")):
        fetch(tmp_path, f"http://127.0.0.1:{port}/unknown")


def redirect(location: str) -> Handler:
    def answer(connection: socket.socket, asked: str) -> None:
        if asked.startswith("GET /f "):
            connection.sendall(head(f"Content-Length: {len(TEXT)}\r\n") + TEXT)
        else:
            connection.sendall(head(f"Location: {location}\r\n", status="302 Found"))

    return answer


def test_a_redirect_on_the_same_host_is_followed(serve: Any, tmp_path: Path) -> None:
    """A path, and a whole address of the same service."""
    fetch(tmp_path, f"http://127.0.0.1:{serve(redirect('/f')).port}/x")


def test_a_redirect_to_another_service_of_this_machine_is_refused(
    serve: Any, tmp_path: Path
) -> None:
    """Another port, another spelling of the loopback, an address inside: nothing is asked there."""
    inner = serve(redirect("/f"))
    for there in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.0.0.2"):
        outer = serve(redirect(f"http://{there}:{inner.port}/f"))
        with raises(InputError, code="private-network"):
            fetch(tmp_path, f"http://127.0.0.1:{outer.port}/x")
    assert inner.requests == []


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:x", "data:,x", "http://", "//"),
        *("http://me:pw@127.0.0.1/f", "http://[::1/f", "http://127.0.0.1:99999/f", "http:///f"),
        *("http://169.254.169.254/latest", "http://2130706433:80/f", "http://0x7f.1/f"),
        "http://a\udcff.internal/f",
    ],
)
def test_a_redirect_to_what_is_no_public_page_is_refused(
    serve: Any, tmp_path: Path, location: str
) -> None:
    """Other schemes, logins, broken addresses, the metadata of clouds, numbers as hosts."""

    def answer(connection: socket.socket, asked: str) -> None:
        lines = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(lines.encode("utf-8", "surrogateescape"))

    with pytest.raises((InputError, StoreError)) as caught:
        fetch(tmp_path, f"http://127.0.0.1:{serve(answer).port}/x")
    assert "card 'c'" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_circle_of_redirects_ends(serve: Any, tmp_path: Path) -> None:
    """After ten."""
    server = serve(redirect("/again"))
    with raises(InputError, code="many-redirects"):
        fetch(tmp_path, f"http://127.0.0.1:{server.port}/x")
    assert len(server.requests) == 11


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """A DNS of our own: name -> what it answers, one list per look-up; the last one stays.

    An empty list: the name is unknown.
    """
    table: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *more: Any, **kwargs: Any) -> Any:
        if host not in table:
            return real(host, port, *more, **kwargs)
        answers = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answers]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fe80::1"])
def test_a_public_name_that_leads_inside_is_refused(
    names: dict[str, list[list[str]]], tmp_path: Path, ip: str
) -> None:
    """The owner of a domain can point it anywhere; the person here says whether that is meant."""
    names["files.example.org"] = [[ip]]
    with raises(InputError, code="private-network"):
        fetch(tmp_path, "https://files.example.org/x")


def test_a_private_name_and_one_that_a_person_lists_are_fetched(
    names: dict[str, list[list[str]]],
    serve: Any,
    tmp_path: Path,
    variables: Variables,
) -> None:
    """And the connection goes to the address that was looked at, not to what DNS says next."""
    server = serve(redirect("/f"))
    names["files.internal"] = [["127.0.0.1"], ["203.0.113.9"]]
    fetch(tmp_path, f"http://files.internal:{server.port}/f")
    assert f"Host: files.internal:{server.port}" in server.requests[0]
    names["files.example.org"] = [["127.0.0.1"]]
    there = hosts.target_of
    with pytest.raises(InputError):
        there("https://files.example.org/x", named="https://files.example.org/x", at=Place("c"))
    variables(FINETUNE_PRIVATE_HOSTS="other.example, Files.Example.ORG")
    found = there("https://files.example.org/x", named="https://files.example.org/x", at=Place("c"))
    assert found.addresses == ("127.0.0.1",)
    names["files.example.org"] = [["169.254.169.254"]]
    with pytest.raises(InputError):
        there("https://files.example.org/x", named="https://files.example.org/x", at=Place("c"))


def test_the_endpoint_names_its_host(variables: Variables) -> None:
    """A hub of one's own network serves files too."""
    variables(HF_ENDPOINT="http://10.0.0.5:8000")
    found = hosts.target_of("http://10.0.0.5:8000/x", named="https://example.org/x", at=Place("c"))
    assert found.addresses == ("10.0.0.5",)
    with pytest.raises(InputError):
        hosts.target_of("http://10.0.0.5:8001/x", named="https://example.org/x", at=Place("c"))
    variables(HF_ENDPOINT="https://[::1")
    with pytest.raises(InputError):
        hosts.target_of("http://10.0.0.5:8000/x", named="https://example.org/x", at=Place("c"))


def test_with_a_proxy_names_are_its_business_and_addresses_ours(
    variables: Variables,
) -> None:
    """A proxy resolves names; what is private by its own words is still refused."""
    variables(https_proxy="proxy.internal:3128")
    public = "https://files.example.org/x"
    found = hosts.target_of(public, named=public, at=Place("c"))
    assert (found.addresses, found.proxy) == ((), "http://proxy.internal:3128")
    for inside in (
        *("https://10.0.0.5/x", "https://localhost/x", "https://nas.local/x", "https://0x7f.1/x"),
        *("https://169.254.169.254/x", "https://[::1]/x", "https://2130706433/x"),
    ):
        with raises(InputError, code="private-network"):
            hosts.target_of(inside, named=public, at=Place("c"))
    variables(no_proxy="10.0.0.5")
    own = "https://10.0.0.5/x"
    assert hosts.target_of(own, named=own, at=Place("c")).proxy is None


def test_none_knows_the_host(names: dict[str, list[list[str]]], tmp_path: Path) -> None:
    """A sentence about the network, not a traceback."""
    names["unknown.example"] = [[]]
    with raises(StoreError, code="no-network"):
        fetch(tmp_path, "https://unknown.example/x")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_the_name_of_the_host_is_what_tls_checks(
    names: dict[str, list[list[str]]],
    serve: Any,
    tmp_path: Path,
    variables: Variables,
) -> None:
    """The connection goes to an IP address, the certificate has to be the name's."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=files.internal", "-addext", "subjectAltName=DNS:files.internal"]
    made = [*command.split(), "-keyout", str(key), "-out", str(certificate), *subject]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    variables(SSL_CERT_FILE=str(certificate))
    server = serve(redirect("/f"), context=context)
    names["files.internal"] = names["other.internal"] = [["127.0.0.1"]]
    target = tmp_path / "workspace"
    fetch(target, f"https://files.internal:{server.port}/x")
    shutil.rmtree(target)
    with raises(StoreError, code="no-network"):
        fetch(target, f"https://other.internal:{server.port}/x")
    # never back to plain http
    plain = serve(redirect(f"http://files.internal:{server.port}/f"), context=context)
    with raises(InputError, code="bad-redirect"):
        fetch(target, f"https://files.internal:{plain.port}/x")
