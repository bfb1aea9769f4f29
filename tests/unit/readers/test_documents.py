"""Word files and PDF files: single rules, beside the generated files of test_units_in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.readers.documents.pdf_lines import heads_of, joined, words_of
from finetune.readers.record import Record
from finetune.sources.files import SourceFile
from finetune.spec.entry_points import load
from finetune.spec.formats import FORMATS
from tests.support.handbook import WRITERS, blocks_of
from tests.support.made.pages import written
from tests.support.made.word import box, packed, paragraph, run
from tests.support.prepare_job import make_card
from tests.support.reading import read, rejections, texts_of, units

PAIRS: dict[str, Any] = {
    "kind": "parallel",
    "languages": ["wol_Latn", "fra_Latn"],
    "format": "docx",
    "columns": {"wol_Latn": "Wolof", "fra_Latn": "Français"},
}


def test_a_word_file_is_read_with_its_changes_accepted(tmp_path: Path) -> None:
    """Insertions and moves are text, also of a whole paragraph; deletions are counted."""
    body = paragraph(
        run("Malami ")
        + f"<w:ins>{run('yana karatu ')}</w:ins><w:del>{run('ya tafi', tag='delText')}</w:del>"
        + run("a makaranta.")
    )
    body += f"<w:sdt><w:sdtContent>{paragraph(run('A cikin akwati.'))}</w:sdtContent></w:sdt>"
    body += paragraph(run("Kafin akwati.") + box(paragraph(run("Rubutu."))))
    texts = [text for (text,) in texts_of(tmp_path, packed(body), format="docx")]
    assert texts == [
        "Malami yana karatu a makaranta.",
        "A cikin akwati.",
        "Kafin akwati.",
        "Rubutu.",
    ]
    assert rejections(tmp_path, packed(body), format="docx") == [("deleted-text", "ya tafi")]


def test_symbols_breaks_and_fields_are_part_of_the_line(tmp_path: Path) -> None:
    """A symbol is its letter, a page break divides words, a no-break space stays one."""
    inner = (
        run("a")
        + '<w:r><w:br w:type="page"/></w:r>'
        + run("b\u00a0c")
        + '<w:r><w:sym w:font="Charis SIL" w:char="0253"/><w:noBreakHyphen/></w:r>'
        + run("d")
    )
    assert texts_of(tmp_path, packed(paragraph(inner)), format="docx") == [("a b\u00a0cɓ-d",)]


def test_an_embedded_document_is_counted(tmp_path: Path) -> None:
    """A document inside the file (altChunk) is not read, and it is a rejected unit."""
    body = paragraph(run("a")) + "<w:altChunk/>"
    assert rejections(tmp_path, packed(body), format="docx") == [("embedded-document", "")]


def test_a_table_without_the_columns_is_an_error_with_what_there_is(tmp_path: Path) -> None:
    """The cells of the first row are listed."""
    row = "".join(f"<w:tc>{paragraph(run(name))}</w:tc>" for name in ("English", "Wolof"))
    data = packed(f"<w:tbl><w:tr>{row}</w:tr></w:tbl>")
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, **PAIRS)
    assert caught.value.codes == ("no-column",)
    assert "English" in str(caught.value.problems[0])


def test_a_merged_cell_moves_the_next_column(tmp_path: Path) -> None:
    """A cell over two columns counts as two, so that a row below is read right."""
    name = {at: f"<w:tc>{paragraph(run(at))}</w:tc>" for at in ("n", "Wolof", "Français", "x", "y")}
    wide = f'<w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{paragraph(run("both"))}</w:tc>'
    rows = (name["n"] + name["Wolof"] + name["Français"], wide + name["y"])
    data = packed("<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>")
    assert texts_of(tmp_path, data, **PAIRS) == [(None, "y")]


CUT = [
    ["sun tafi makar-", "anta domin karatu.", "ya mai-", "maita"],
    ["makaranta", "mai-maita", "Ali-", "Musa", "wa-", "je"],
]


def test_cut_words_are_joined_where_the_word_is_known() -> None:
    """Without the hyphen, or with it; names in capitals and unknown words stay as they are."""
    words = words_of(CUT)
    assert joined(CUT[0], words)[0] == ["sun tafi makaranta", "domin karatu.", "ya mai-maita"]
    assert joined(CUT[1], words)[0] == CUT[1]
    assert joined(["so\u00ad", "da"], words)[0] == ["soda"]
    [first, second] = joined(CUT[0], words)[1]
    assert (first.before, first.after) == ("makar-\nanta", "makaranta")
    assert second.after == "mai-maita"


def test_an_indic_word_is_cut_at_a_sign() -> None:
    """A vowel sign before the hyphen is part of a word."""
    assert joined(["किता-", "बें"], words_of([["किताबें"]]))[0] == ["किताबें"]


@pytest.mark.parametrize(
    ("pages", "heads"),
    [
        ([["Gari", "a", "1"], ["Gari", "b", "2"], ["Gari", "c", "3"]], 6),
        ([["Gari", "a"], ["b"], ["Gari", "c"], ["d"], ["Gari", "e"], ["f"]], 3),  # odd pages only
        ([["a", "12"], ["b", "13"]], 2),
        ([["a", "12"], ["b", "20"]], 0),
        ([["same", "a"], ["same", "b"]], 0),
        ([["a 1"], ["a 2"], ["a 3"]], 0),  # pages of one line each are text
        ([["xii", "a"], ["xiii", "b"], ["xiv", "c"]], 3),
        ([[], ["a"], ["b"], ["c"]], 0),
    ],
)
def test_heads_and_numbers_of_pages(pages: list[list[str]], heads: int) -> None:
    """On most pages, or most odd or even ones; of two pages only numbers that count on."""
    known = heads_of(pages)
    assert sum(len(known.parted(at, page)[1]) for at, page in enumerate(pages)) == heads


def test_what_a_pdf_reader_did_is_shown(tmp_path: Path) -> None:
    """The guess, the first pages, and what the rules did; a joined word is a change of its text."""
    ends = ("Ina", "Haka", "Yau")
    pages = [["Gari", f"{end} makar-", f"anta {end}.", str(at)] for at, end in enumerate(ends)]
    data = written([*pages, ["Gari", "makaranta ta gari", "3"]])
    [first, *_] = [u for u in units(tmp_path, data, format="pdf") if isinstance(u, Record)]
    assert [change.key for change in first.changes] == ["cut-words"]
    card = make_card(tmp_path, "corpus", data, format="pdf")
    file = SourceFile(tmp_path / "corpus.pdf", "corpus.pdf")
    facts = dict(load(FORMATS["pdf"].understood)(file, corpus=card.corpus))
    shown = {str(name): str(words) for name, words in facts.items()}
    assert "guess" in shown["text"]
    assert shown["page 1"].startswith("Ina makaranta Ina.")
    assert shown["heads, feet and numbers of pages"].startswith("8:")


def test_a_scanned_page_among_others_is_counted(tmp_path: Path) -> None:
    """A page that is only a picture has no text, and is not lost in silence."""
    picture = b"/XObject << /I << /Subtype /Image >> >> "
    data = written([["Nanga def?"], [], ["Waaw."]])
    pages = data.split(b"/Resources << ")
    data = b"/Resources << ".join([*pages[:2], picture + pages[2], *pages[3:]])
    assert rejections(tmp_path, data, format="pdf") == [("scanned-page", "")]


PAGE = """\
# Shared store (for a group)

One store is enough: files, folders,
and leases.

- a list item \\ with a backslash
| umask | effect |
|---|---|
| `002` | used, and [removed](x.md) |

```sh
chmod 2775 nothing
```
"""


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_page_has_the_same_words_in_every_format(tmp_path: Path, form: str) -> None:
    """As Word, PDF and HTML; written twice, it is the same file."""
    data = WRITERS[form](blocks_of(PAGE))
    assert WRITERS[form](blocks_of(PAGE)) == data
    words = " ".join(text for (text,) in texts_of(tmp_path, data, format=form)).split()
    assert " ".join(words) == (
        "Shared store (for a group) One store is enough: files, folders, and leases. "
        "a list item \\ with a backslash umask: effect 002: used, and removed"
    )
