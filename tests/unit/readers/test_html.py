"""Web pages: their texts without mark-up, pairs by structure, and clear words for bad ones."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.readers import html
from finetune.sources.files import SourceFile
from tests.support.reading import problem_of, read, rejections
from tests.support.surroundings import Constants

HTML: dict[str, Any] = {"format": "html"}
PAIR: dict[str, Any] = HTML | {
    "kind": "parallel",
    "languages": ["fra_Latn", "wol_Latn"],
    "columns": {"fra_Latn": "fr", "wol_Latn": "wo"},
}


def texts(folder: Path, page: str | bytes) -> list[str]:
    return [fields["text"] for _, fields in read(folder, page, **HTML)]


def test_texts_of_a_page(tmp_path: Path) -> None:
    """Headings, paragraphs, items and cells are texts with their lines; programs, styles, comments
    and the title are none; inline elements and line ends stand inside a text."""
    page = """<!doctype html>
<html dir="ltr"><head><title>T</title><style>p {}</style></head><body>
<h1>A &amp; b</h1>
<p>one <b>t</b>wo
  three<script>var x = "<p>no</p>"</script> four<br>five<!-- no --></p>
<ul><li>six<li><p>seven</p></ul>
<table><tr><td>eight<td>nine</table>ten
<pre>a
b</pre></body></html>"""
    assert read(tmp_path, page, **HTML) == [
        ("corpus.html:3", {"text": "A & b"}),
        ("corpus.html:4", {"text": "one two three four\nfive"}),
        ("corpus.html:6", {"text": "six"}),
        ("corpus.html:6", {"text": "seven"}),
        ("corpus.html:7", {"text": "eight"}),
        ("corpus.html:7", {"text": "nine"}),
        ("corpus.html:7", {"text": "ten"}),
        ("corpus.html:8", {"text": "a\nb"}),
    ]


LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cn"])


@given(st.lists(st.text(LETTERS, min_size=1), min_size=1))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_letter_is_lost_or_moved(tmp_path: Path, written: list[str]) -> None:
    """Letters of any script, joiners and direction marks come out as they went in, in order."""
    page = "".join(f'<p dir="rtl">{escape(text)}</p>\n' for text in written)
    assert texts(tmp_path, page) == written


def test_entities_become_letters(tmp_path: Path) -> None:
    """Named and numbered entities are letters; a no-break space and direction marks stay."""
    page = "<p>&#x14B;&eacute;&nbsp;&rlm;&zwj;&#x1C5A;&lt;p&gt;</p>"
    assert texts(tmp_path, page) == ["ŋé\u00a0\u200f\u200d\u1c5a<p>"]


def test_translations_are_paired_by_their_structure(tmp_path: Path) -> None:
    """Equal sections pair text by text, unequal ones as a whole, and what only one has is kept
    with an empty other side so that it is counted."""
    french = """<h1>t</h1><header><h2>p</h2><p>a<p>b</header>
<article><h2>1</h2><p>c<ol><li>d<li>e</ol></article><article><p>f</article>"""
    wolof = """<h1>T</h1><header><p>A<p>B<p>B2</header>
<article><h2>I</h2><p>C<ol><li>D<li>E</ol></article><article></article>"""
    found = [fields for _, fields in read(tmp_path, {"fr/x": french, "wo/x": wolof}, **PAIR)]
    assert [(r["fra_Latn"], r["wol_Latn"]) for r in found] == [
        ("t", "T"),
        ("p", None),
        ("a\nb", "A\nB\nB2"),
        ("1", "I"),
        ("c", "C"),
        ("d", "D"),
        ("e", "E"),
        ("f", None),
    ]


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ({"fr/x": "<p>a", "wo/x": "<section><p>A</section>"}, "pages-not-parallel"),
        ({"fr/x": "<p>a", "wo/x": "<p>A", "wo/y": "<p>B"}, "unequal-pages"),
        ({"fr/x": "<p>a", "x": "<p>A"}, "no-language-in-path"),
        ({"fr/wo/x": "<p>a"}, "no-language-in-path"),
    ],
)
def test_pages_that_cannot_be_paired_are_errors(
    tmp_path: Path, pages: dict[str, str], code: str
) -> None:
    """A missing page, another structure and a path without a language have their own codes."""
    assert problem_of(tmp_path, pages, **PAIR).code == code


@pytest.mark.parametrize(
    ("page", "code", "line"),
    [
        ("<p>a\0b</p>", "nul-character", None),
        (b"<p>\n\xe9t\xe9</p>", "wrong-encoding", 2),
        ("<div>" * 100_000 + "x", "damaged-page", 1),
        ("<p>" + "a" * 12_000_000 + "<p>b", "damaged-page", 1),
        ("", "empty-file", None),
        (bytes(range(1, 256)) * 50, "wrong-encoding", 2),
    ],
)
def test_damaged_and_hostile_pages_are_errors(
    tmp_path: Path, page: str | bytes, code: str, line: int | None
) -> None:
    """A page that cannot be read to its end is refused: nothing is lost silently."""
    with pytest.raises(DataError) as caught:
        texts(tmp_path, page)
    [problem] = caught.value.problems
    assert (problem.code, problem.place.file, problem.place.line) == (code, "corpus.html", line)


def test_a_part_that_states_another_language_is_rejected(tmp_path: Path) -> None:
    """The nearest element that states one counts, but not a word in a line, nor the whole page."""
    page = (
        '<html lang="en"><body><p>Ina kwana</p><p lang="en-GB">Good morning</p>'
        '<div lang="fr"><p>Bonjour</p><p lang="ha">Sannu</p></div>'
        '<p>Na gode <span lang="en">please</span></p><p lang="und">Lafiya</p></body></html>'
    )
    assert texts(tmp_path, page) == ["Ina kwana", "Sannu", "Na gode please", "Lafiya"]
    assert rejections(tmp_path, page, format="html") == [
        ("stated-other-language", "Good morning"),
        ("stated-other-language", "Bonjour"),
    ]


def test_a_page_reaches_for_no_other_file(tmp_path: Path) -> None:
    """An entity that names a file of this machine stays the letters it is written in."""
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "{secret.as_uri()}">]><p>&x;</p>'
    assert "hidden" not in "".join(texts(tmp_path, page))


def test_a_large_page_is_not_opened(tmp_path: Path, constants: Constants) -> None:
    """A page over the limit is refused before it is read."""
    constants(html, MAX_PAGE_BYTES=10)
    path = tmp_path / "x.html"
    path.write_text("<p>long enough</p>")
    with pytest.raises(DataError) as caught:
        html.page_of(SourceFile(path, "x.html"), language="hau_Latn")
    assert caught.value.codes == ("large-file",)
