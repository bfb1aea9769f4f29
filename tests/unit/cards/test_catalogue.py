"""The page of all cards: offline, escaped, right in every script, and tried in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finetune.cards.catalogue import LABELS, write_catalogue
from finetune.cli import main
from finetune.spec.withdrawn import add_withdrawn
from tests.support.browser import measured, needs_browser
from tests.support.good_card import TODAY, write

HOSTILE = '</p><script>document.title="hacked"</script><img src=x onerror=alert(1)>'


@pytest.fixture
def cards(tmp_path: Path) -> list[Path]:
    """Four cards: Wolof, Urdu (right to left), one with hostile words, one withdrawn."""
    found = []
    for name, texts, edits in (
        ("wolof", "Nanga def?\nBuñu dem.\n", []),
        ("urdu", "آپ کیسے ہیں؟\nشکریہ\n", [("wol_Latn", "urd_Arab"), ("[wo]", "[ur]")]),
        (
            "hostile",
            f"{HOSTILE}\n",
            [
                ("Radio stories\n", f"{HOSTILE!r}\n"),
                (
                    "license: cc-by-4.0",
                    "license: other\nlicense_name: x\nlicense_link: javascript:a",
                ),
                ("contact: the station", f"contact: {HOSTILE!r}"),
            ],
        ),
        ("gone", "benn\nñaar\n", []),
    ):
        folder = tmp_path / name
        folder.mkdir()
        path = write(folder, *edits, texts=texts)
        found.append(path.rename(folder / f"{name}.md"))
    add_withdrawn(found[-1], ["all"], day=TODAY)
    return found


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "form", "label", "input"),
    *("select", "option", "span", "main", "article", "bdi", "div", "ul", "li", "small", "a", "i"),
    *("blockquote", "dl", "dt", "dd", "script"),
}


class Tags(HTMLParser):
    """Collects the tags of a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its links."""
        self.names.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def page_of(cards: list[Path], out: Path) -> str:
    """Return the catalogue of cards."""
    return write_catalogue(cards, out, lang="en")[0].read_text(encoding="utf-8")


def test_the_page_stands_alone_and_escapes_all(cards: list[Path], tmp_path: Path) -> None:
    """It loads nothing; what owners wrote is text and never a tag, a script or a link that runs."""
    page = page_of(cards, tmp_path / "out")
    assert page.count("<script") == 1
    assert "<img" not in page
    assert "&lt;script&gt;document.title" in page
    assert not re.search(r"url\(|@import", page)
    tags = Tags()
    tags.feed(page)
    assert tags.names <= ALLOWED
    assert tags.links == []


def test_samples_say_their_language_and_direction(cards: list[Path], tmp_path: Path) -> None:
    """Urdu is marked right to left, Wolof left to right, each with its tag."""
    page = page_of(cards, tmp_path / "out")
    assert '<p lang="ur-Arab" dir="rtl">آپ کیسے ہیں؟</p>' in page
    assert '<p lang="wo-Latn" dir="ltr">Nanga def?</p>' in page


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("access: {kind: ask}", "kept"),
        ("permitted_uses: [train-models]", "kept"),
        ("personal_data: present", "personal"),
        ("status: withdrawn", "withdrawn"),
    ],
)
def test_texts_that_owners_keep_are_not_shown(tmp_path: Path, line: str, label: str) -> None:
    """Gated, unshared, personal and withdrawn texts are described and not quoted."""
    stated = ("  personal_data: none-known\n", "")
    path = write(tmp_path, stated, ("  contact", f"  {line}\n  contact"))
    page = page_of([path], tmp_path / "out")
    assert "Nanga def" not in page
    assert str(LABELS[label]).replace("'", "&#39;") in page


def test_a_card_that_cannot_be_read_is_named(
    cards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is made of the others, and page and command name the broken one."""
    (cards[0].parent / "broken.md").write_text("nothing", encoding="utf-8")
    folder, out = cards[0].parent, tmp_path / "out"
    assert main(["cards", "catalogue", str(out), "--cards", str(folder), "--lang", "fr"]) == 0
    assert "finetune cards check broken" in capsys.readouterr().out
    broken = LABELS["broken"].in_language("fr")
    assert f"{broken} broken" in (out / "index.html").read_text("utf-8")


def test_another_page_is_not_overwritten(
    cards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A catalogue is renewed; a page of other origin stays as it is."""
    folder = str(cards[0].parent)
    (tmp_path / "index.html").write_text("mine")
    assert main(["cards", "catalogue", str(tmp_path), "--cards", folder]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "mine"
    for _ in range(2):
        assert main(["cards", "catalogue", str(tmp_path / "out"), "--cards", folder]) == 0


SCRIPT = """{
  shown: [...page.querySelectorAll("article")].filter(a => a.offsetParent !== null)
    .map(a => a.querySelector(".name").textContent.split(" ")[0]),
  count: page.getElementById("count").textContent,
  columns: new Set([...page.querySelectorAll("article")].filter(a => a.offsetParent !== null)
    .map(a => a.getBoundingClientRect().left)).size,
  aligned: page.defaultView.getComputedStyle(page.querySelector("p[dir=rtl]")).textAlign,
  bars: [...page.querySelectorAll(".bar")].map(b => b.getBoundingClientRect().width > 0),
}"""


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "hash_", "shown", "columns"),
    [
        (1200, "", ["wolof", "urdu", "hostile", "gone"], 3),
        (400, "", ["wolof", "urdu", "hostile", "gone"], 1),
        (400, "#language=urd_Arab", ["urdu"], 1),
        (1200, "#licence=x", ["hostile"], 1),
        (1200, "#q=bunu+DEM", ["wolof"], 1),
        (1200, "#q=unknown", [], 0),
    ],
)
def test_a_real_browser_shows_and_filters_it(
    cards: list[Path], tmp_path: Path, width: int, hash_: str, shown: list[str], columns: int
) -> None:
    """At the width of a screen and of a phone nothing runs over the edge, the choice in the address
    shows its cards (accents and capitals do not count), and no hostile text runs."""
    write_catalogue(cards, tmp_path / "out", lang="en")
    found = measured(tmp_path, f"out/index.html{hash_}", width=width, script=SCRIPT)
    assert found["title"] == "Data cards"
    assert found["overflow"] <= 0
    assert (found["shown"], found["count"]) == (shown, str(len(shown)))
    assert found["columns"] == columns
    assert found["aligned"] == "right"
    assert all(found["bars"]) or shown != ["wolof", "urdu", "hostile", "gone"]
