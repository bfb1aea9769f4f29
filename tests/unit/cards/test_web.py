"""`cards new --web`: the interview as a page, for one person on the same machine."""

from __future__ import annotations

import http.client
import re
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from finetune.cards.asking.asked_columns import COLUMN, PEOPLE
from finetune.cards.questions import QUESTIONS
from finetune.cards.web.form import Form
from finetune.cards.web.server import MAX_FORM_BYTES, Page, serve
from finetune.spec.load import load_card
from finetune.verbs.data.cards.new import add_arguments
from tests.support.browser import needs_browser
from tests.support.devtools import browser

ANSWERS = {"action": "write", "language": "wolof", "licence": "cc-by-4.0", "title": "ᱠᱟᱛᱷᱟ"}


@dataclass
class Served:
    """A server in another thread, and what came of it."""

    address: str = ""
    cards: list[Path] = field(default_factory=list)
    thread: threading.Thread | None = None

    def ask(
        self, fields: dict[str, Any] | None = None, *, path: str = "", **headers: str
    ) -> tuple[int, str]:
        """Send a request as a browser does; return status and page."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 0, timeout=20)
        method = "GET" if fields is None else "POST"
        form = {"Content-Type": "application/x-www-form-urlencoded"} if fields is not None else {}
        body = None if fields is None else urlencode(fields, doseq=True)
        connection.request(method, path or parts.path, body, form | headers)
        response = connection.getresponse()
        page = response.read().decode()
        connection.close()
        return response.status, page


@contextmanager
def served(answer: Any, cards: list[Path] | None = None) -> Iterator[Served]:
    found, ready = Served(cards=cards if cards is not None else []), threading.Event()

    def tell(address: str) -> None:
        found.address = address
        ready.set()

    found.thread = threading.Thread(
        target=serve, args=(answer,), kwargs={"tell": tell, "open_browser": False}, daemon=True
    )
    found.thread.start()
    assert ready.wait(20)
    yield found


@contextmanager
def interview(folder: Path, *words: str, lang: str = "en") -> Iterator[Served]:
    parser = ArgumentParser()
    add_arguments(parser)
    options: Namespace = parser.parse_args([*words, "--cards", str(folder / "data_cards")])
    cards: list[Path] = []
    with served(Form(options, lang, written=cards.append).answer, cards) as found:
        yield found


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "contes.csv"
    file.write_text("id,texte\n1,Nanga def?\n2,Maa ngi fi rekk\n", encoding="utf-8")
    return file


def test_answers_on_the_page_make_the_card(tmp_path: Path, texts: Path) -> None:
    """The same card as in a terminal; then the server stops."""
    with interview(tmp_path, str(texts)) as page:
        status, shown = page.ask()
        assert status == 200
        assert all(f'name="{question.name}"' in shown for question in QUESTIONS)
        assert all(f'name="{COLUMN}{role}"' in shown for role in PEOPLE)
        status, shown = page.ask(ANSWERS)
        assert status == 200
        assert all(f"finetune {verb}" in shown for verb in ("cards check", "advise", "run"))
        assert page.thread is not None
        page.thread.join(20)
        assert not page.thread.is_alive()
    [card] = page.cards
    written = load_card(card)
    assert (written.pretty_name, written.corpus.columns) == ("ᱠᱟᱛᱷᱟ", {"text": "texte"})


def test_a_wrong_answer_keeps_the_others_and_writes_nothing(tmp_path: Path, texts: Path) -> None:
    """The problem stands beside its question, in the language of the page."""
    with interview(tmp_path, str(texts), lang="fr") as page:
        _, shown = page.ask(ANSWERS | {"licence": "libre"})
        assert 'class="question wrong"' in shown
        assert "ᱠᱟᱛᱷᱟ" in shown
        assert "plusieurs licences" in shown.replace("&#39;", "'")
        _, shown = page.ask(ANSWERS | {"lang": "en", "action": ""})
        assert '<html lang="en">' in shown
        assert "ᱠᱟᱛᱷᱟ" in shown
    assert not list((tmp_path / "data_cards").glob("*.md"))


def test_answers_outlive_the_program(tmp_path: Path, texts: Path) -> None:
    """A page that is opened again, by the same command, has the answers of the draft."""
    with interview(tmp_path, str(texts)) as page:
        page.ask(ANSWERS | {"action": "look", "use": ["train-models", "share"]})
    with interview(tmp_path, str(texts)) as page:
        _, shown = page.ask()
        assert "ᱠᱟᱛᱷᱟ" in shown
        uses = re.findall(r'name="use" value="([a-z-]+)" checked', shown)
        assert uses == ["train-models", "share"]
        page.ask(ANSWERS)
    assert not list((tmp_path / "data_cards").glob(".*"))


def test_the_file_is_shown_as_it_was_understood(tmp_path: Path) -> None:
    """Its first records without personal data and names, or its fault, before any answer."""
    file = tmp_path / "a.csv"
    file.write_text("texte;tel;conteur\nNanga def;+221 77 123 45 67;Awa\n", encoding="utf-8")
    with interview(tmp_path, str(file)) as page:
        _, shown = page.ask()
        assert "Nanga def" in shown
        assert "123 45 67" not in shown
        assert "Awa" not in shown
        assert "N. N." in shown
    file.write_bytes(b"caf\xe9,x\ncaf\xc3\xa9,x\n")
    with interview(tmp_path, str(file)) as page:
        assert "0xe9" in page.ask()[1]


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_an_encoding_in_doubt_is_a_field_of_the_page(tmp_path: Path, name: str) -> None:
    """Each choice has a line of the file; the card is not written without an answer, and with one
    it is."""
    (tmp_path / name).write_bytes("texte\nvoilà le café\n".encode("cp1252"))
    with interview(tmp_path, str(tmp_path / name), lang="fr") as page:
        _, shown = page.ask()
        assert 'value="windows-1252"><span>windows-1252: voilà le café' in shown
        assert 'value="windows-1250"><span>windows-1250: voilŕ le café' in shown
        _, shown = page.ask(ANSWERS | {"contact": ""})
        assert shown.count('class="question wrong"') == 1
        _, shown = page.ask({"language": "wolof", "encoding": "windows-1252", "action": "look"})
        assert 'value="windows-1252" checked' in shown
        assert "<bdi>voilà le café" in shown
        assert "wolof (wol_Latn)" in shown
        page.ask(ANSWERS | {"encoding": "windows-1252"})
    [card] = page.cards
    assert load_card(card).corpus.encoding == "windows-1252"


def test_text_of_people_is_never_markup(tmp_path: Path, texts: Path) -> None:
    """Answers come back as text."""
    with interview(tmp_path, str(texts)) as page:
        _, shown = page.ask(ANSWERS | {"action": "look", "consent": "</textarea><b>x</b>"})
    assert "<b>x</b>" not in shown
    assert "&lt;b&gt;x&lt;/b&gt;" in shown


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Host": "evil.example"}, "", 421),
        ({"Origin": "http://evil.example"}, "", 403),
        ({"Origin": "null"}, "", 403),
        ({}, "/", 404),
        ({}, "/x/", 404),
        ({"Content-Type": "multipart/form-data"}, "", 400),
        ({"Content-Length": "-1"}, "", 400),
        ({"Content-Length": str(MAX_FORM_BYTES + 1)}, "", 413),
    ],
)
def test_requests_of_other_pages_are_refused(
    headers: dict[str, str], path: str, status: int
) -> None:
    """Another host, origin, address or kind of form gets no answer, and the server goes on."""
    seen: list[Any] = []

    def answer(fields: Any) -> Page:
        seen.append(fields)
        return Page("yes", is_last=True)

    with served(answer) as page:
        found, shown = page.ask({"a": "b"}, path=path, **headers)
        assert (found, shown, seen) == (status, "", [])
        assert page.ask() == (200, "yes")


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_person_fills_the_page_on_a_phone(tmp_path: Path, texts: Path, lang: str) -> None:
    """In a real browser at 390 px: nothing is cut, right-to-left and Ol Chiki answers stand as they
    should, a wrong answer is marked, and the card is written."""
    arabic = "\u062d\u0643\u0627\u064a\u0627\u062a"
    with interview(tmp_path, str(texts), lang=lang) as page, browser(tmp_path) as tab:
        tab.size(390)
        tab.open(page.address)
        assert tab.ask("document.documentElement.scrollWidth") <= 390
        assert tab.ask(
            "[...document.querySelectorAll('input:not([type]), select')].every("
            "e => e.getBoundingClientRect().height >= 40)"
        )
        for name, value in {"language": "wolof", "title": "ᱠᱟᱛᱷᱟ", "licence": "libre"}.items():
            tab.ask(f"document.getElementById('{name}').value = '{value}'")
        tab.ask(f"document.getElementById('consent').value = '{arabic}'")
        tab.press(".main")
        assert tab.ask("document.querySelectorAll('.question.wrong').length") == 1
        assert tab.ask("getComputedStyle(document.getElementById('consent')).direction") == "rtl"
        assert tab.ask("getComputedStyle(document.getElementById('title')).direction") == "ltr"
        assert tab.ask("document.documentElement.scrollWidth") <= 390
        tab.ask("document.getElementById('licence').value = 'cc-by-4.0'")
        tab.press(".main")
        assert tab.ask("document.documentElement.scrollWidth") <= 390
    [card] = page.cards
    assert load_card(card).corpus.consent.statement == arabic
