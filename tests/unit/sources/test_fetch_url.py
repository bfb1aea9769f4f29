"""Files of the web: fetched once, streamed, checked; every failure is explained."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from finetune.artefacts.job import Artifact, Job
from finetune.errors import DataError, FinetuneError, InputError, StoreError
from finetune.output.console import Console
from finetune.sources.fetch import run_corpus
from finetune.sources.files import resolve_files
from finetune.spec.recipe import Recipe
from tests.support.problems import raises
from tests.support.release_job import RECIPE, card

TEXT = b"en\tha\none\tdaya\n" * 100_000


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/pairs.tsv":
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEXT)))
            self.end_headers()
            self.wfile.write(TEXT)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/pairs.tsv")
            self.end_headers()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEXT)))
            self.end_headers()
            self.wfile.write(TEXT[:1000])
            self.connection.close()
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Serve the pages on this machine; give the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def job(folder: Path, url: str, *, sha256: str = hashlib.sha256(TEXT).hexdigest()) -> Job:
    """Return the job that fetches one file of the web."""
    files = [{"url": url, "path": "web/pairs.tsv", "sha256": sha256}]
    cards = {"school-hau": card(corpus={"source": {"kind": "url", "files": files}})}
    recipe = Recipe.model_validate(RECIPE)
    folder.mkdir(exist_ok=True)
    phase = recipe.training_phases[0]
    return Job(recipe, phase, cards, {}, folder, Console(out=io.StringIO()))


@pytest.mark.parametrize("page", ["pairs.tsv", "moved"])
def test_a_file_of_the_web_is_fetched_and_read(server: str, tmp_path: Path, page: str) -> None:
    """The bytes arrive under the card's path, and `prepare` finds them there."""
    made = job(tmp_path / "c", f"{server}/{page}")
    result = run_corpus(made)
    assert (tmp_path / "c/web/pairs.tsv").read_bytes() == TEXT
    fetched = {"corpus:school-hau": Artifact("corpus", "key", tmp_path / "c", result)}
    [found] = resolve_files(made.cards["school-hau"], inputs=fetched)
    assert (found.path, found.name) == (tmp_path / "c/web/pairs.tsv", "web/pairs.tsv")


@pytest.mark.parametrize(
    ("page", "sha256", "error", "code"),
    [
        ("pairs.tsv", "0" * 64, DataError, "wrong-checksum"),
        ("nothing", "0" * 64, InputError, "not-served"),
        ("cut", "0" * 64, StoreError, "no-network"),
    ],
)
def test_what_goes_wrong_names_card_and_address(
    server: str, tmp_path: Path, page: str, sha256: str, error: type[FinetuneError], code: str
) -> None:
    """Another checksum, a missing page and a broken connection have different messages."""
    with raises(error, code=code) as caught:
        run_corpus(job(tmp_path / "c", f"{server}/{page}", sha256=sha256))
    assert "card 'school-hau'" in str(caught.value)
    assert f"{server}/{page}" in str(caught.value)


def test_without_network_a_file_of_the_web_says_so(tmp_path: Path) -> None:
    """No server: the message states to run `finetune fetch` where there is a network."""
    with raises(StoreError, code="no-network"):
        run_corpus(job(tmp_path / "c", "http://127.0.0.1:1/x"))
