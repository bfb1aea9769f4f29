"""Readers of user files: their texts, and errors for damaged and hostile files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.messages import Place
from finetune.readers import guards
from finetune.readers.record import Rejection
from finetune.readers.translated.po import read_po
from finetune.sources.files import SourceFile
from finetune.spec.formats import find_format
from finetune.spec.tables.extras import pip_line
from tests.support.brought_files import (
    DOCX,
    ELAN,
    HOSTILE,
    PDF,
    PO,
    TMX,
    TOOLBOX,
    XLIFF,
    XLSX,
    Expected,
    docx,
    eaf,
    pdf,
    tmx,
    xlsx,
)
from tests.support.problems import raises
from tests.support.reading import problem_of, read, rejections, units
from tests.support.surroundings import Constants


def test_rows_of_excel_sheets(tmp_path: Path) -> None:
    """Rows below the columns of every sheet that has them; numbers and empty rows are no text."""
    data = xlsx(
        {
            "Un": [["id", "texte", "qui"], [1, "Nanga def?", "Amina"], [None] * 3, [2, 7, None]],
            "Notes": [["about", "this"], ["x", "y"]],
            "Deux": [["texte", "qui"], ["Waaw ñaar", "Musa"]],
        }
    )
    found = read(tmp_path, data, **XLSX)
    assert found == [
        ("corpus.xlsx: Un!2", {"text": "Nanga def?"}),
        ("corpus.xlsx: Deux!2", {"text": "Waaw ñaar"}),
    ]


def test_paragraphs_of_word_files(tmp_path: Path) -> None:
    """Each filled paragraph is a document, and so is each cell of a table, in order."""
    data = docx(["Benn.", "  ", "Ñaar\nñett."], table=[["a", "b"], ["c", "d"]])
    texts = [fields["text"] for _, fields in read(tmp_path, data, **DOCX)]
    assert texts == ["Benn.", "Ñaar ñett.", "a", "b", "c", "d"]


def test_pages_of_pdf_files(tmp_path: Path) -> None:
    """Each page with a text layer is a document; a blank page is none."""
    found = read(tmp_path, pdf("Nanga def?", "", "Waaw."), **PDF)
    assert found == [
        ("corpus.pdf: page 1", {"text": "Nanga def?"}),
        ("corpus.pdf: page 3", {"text": "Waaw."}),
    ]


def test_units_of_translation_memories(tmp_path: Path) -> None:
    """Codes match by case and by their beginning; inline markup is removed and its words kept."""
    units = (
        '<tu><tuv xml:lang="FR-fr"><seg>Ouvre <ph>&lt;b&gt;</ph><hi>la</hi> porte</seg></tuv>'
        '<tuv xml:lang="wo"><seg>Ubbil bunt bi</seg></tuv></tu>'
        '<tu><tuv xml:lang="fr"><seg>Oui</seg></tuv></tu>'
    )
    dtd = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
    assert read(tmp_path, tmx(units, head=dtd), **TMX) == [
        ("corpus.tmx: unit 1", {"fra_Latn": "Ouvre la porte", "wol_Latn": "Ubbil bunt bi"}),
        ("corpus.tmx: unit 2", {"fra_Latn": "Oui", "wol_Latn": None}),
    ]


def test_entries_of_po_files(tmp_path: Path) -> None:
    """Fuzzy and obsolete entries are rejected with a reason, plural forms are entries."""
    text = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "porte"
msgstr "bunt"

#, fuzzy
msgid "clé"
msgstr "caabi?"

msgid "un jour"
msgid_plural "%d jours"
msgstr[0] "benn bis"
msgstr[1] "%d fan"

#~ msgid "vieux"
#~ msgstr "màgget"
"""
    found = [fields for _, fields in read(tmp_path, text, **PO)]
    assert found == [
        {"fra_Latn": "porte", "wol_Latn": "bunt"},
        {"fra_Latn": "un jour", "wol_Latn": "benn bis"},
        {"fra_Latn": "%d jours", "wol_Latn": "%d fan"},
    ]
    assert rejections(tmp_path, text, **PO) == [
        ("unreviewed", "clé\ncaabi?"),
        ("obsolete", "vieux\nmàgget"),
    ]


@pytest.mark.parametrize(
    ("version", "unit"),
    [
        ("1.2", "<trans-unit id='1'>{}</trans-unit>"),
        ("2.0", "<unit id='1'><segment>{}</segment></unit>"),
    ],
)
def test_units_of_xliff_files(tmp_path: Path, version: str, unit: str) -> None:
    """Both versions of the standard, without their markup."""
    sides = "<source>Ouvre <bx id='1'/>la <g id='2'>porte</g></source><target>Ubbil</target>"
    text = f"<xliff version='{version}'><file>{unit.format(sides)}</file></xliff>"
    [(where, fields)] = read(tmp_path, text, **XLIFF)
    assert where == "corpus.xliff: unit 1"
    assert fields == {"fra_Latn": "Ouvre la porte", "wol_Latn": "Ubbil"}


def test_tiers_of_elan_files(tmp_path: Path) -> None:
    """A translation tier is paired by time; what has none there is rejected."""
    columns = {"wol_Latn": "wo", "fra_Latn": "fr"}
    corpus = ELAN | {"languages": ["wol_Latn", "fra_Latn"], "columns": columns}
    assert read(tmp_path, eaf(), **corpus) == [
        ("corpus.elan: 0.000 s", {"wol_Latn": "Nanga def?", "fra_Latn": "Ça va ?"}),
    ]
    [left] = [one for one in units(tmp_path, eaf(), **corpus) if isinstance(one, Rejection)]
    assert (left.reason, left.text) == ("unpaired", "Waaw.")
    assert left.where == (
        "corpus.elan: wo 1.500 s; the nearest annotation of fr begins 1.500 s away"
    )


def test_records_of_toolbox_files(tmp_path: Path) -> None:
    """The first marker begins a record, wrapped lines are joined, the header is no record."""
    text = (
        "\\_sh v3.0  400  Text\n\n"
        "\\ref 1\n\\tx Nanga\n\\ge 2SG\n\\tx def?\n\\ft Comment\nça va ?\n\n"
        "\\ref 2\n\\tx Waaw.\n\\ft Oui.\n"
    )
    assert read(tmp_path, text, **TOOLBOX) == [
        ("corpus.toolbox:3", {"wol_Latn": "Nanga def?", "fra_Latn": "Comment ça va ?"}),
        ("corpus.toolbox:10", {"wol_Latn": "Waaw.", "fra_Latn": "Oui."}),
    ]


@pytest.mark.parametrize(
    ("corpus", "make", "problem"),
    [case[1:] for case in HOSTILE],
    ids=[f"{case[1]['format']}: {case[0]}" for case in HOSTILE],
)
def test_damaged_and_hostile_files_are_errors(
    tmp_path: Path, corpus: dict[str, Any], make: Callable[[], bytes | str], problem: Expected
) -> None:
    """Bombs, entities, NULs, formulas, scans, old fonts and torn files have a code and a place."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, make(), **corpus)
    problem.check(caught.value, file=f"corpus.{corpus['format']}")


def test_no_depth_is_too_deep_for_a_translation_memory(tmp_path: Path) -> None:
    """A hundred thousand nested elements give their words and no full stack."""
    deep = "<hi>" * 100_000 + "benn" + "</hi>" * 100_000
    source = "<tuv xml:lang='fr'><seg>un</seg></tuv>"
    unit = f"<tu>{source}<tuv xml:lang='wo'><seg>{deep}</seg></tuv></tu>"
    [(_, fields)] = read(tmp_path, tmx(unit), **TMX)
    assert fields["wol_Latn"] == "benn"


def test_a_large_file_is_not_opened(tmp_path: Path, constants: Constants) -> None:
    """A file beyond the bound does not reach the library."""
    constants(guards, MAX_FILE_BYTES=10)
    assert problem_of(tmp_path, pdf("x"), **PDF).code == "large-file"


@pytest.mark.parametrize(
    ("corpus", "module"),
    [
        (XLSX, "defusedxml.ElementTree"),
        (PDF, "pypdf"),
        (TMX, "defusedxml.ElementTree"),
        (ELAN, "defusedxml.ElementTree"),
    ],
)
def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: dict[str, Any], module: str
) -> None:
    """Without the optional library the message states what to type."""

    monkeypatch.setitem(sys.modules, module, None)
    facts = {
        "package": module,
        "command": pip_line(find_format(corpus["format"]).extra),
    }
    with raises(DataError, code="package-missing", **facts):
        read(tmp_path, "x", **corpus)


@pytest.mark.parametrize("font", ["Noto Sans Devanagari", "Charis SIL", "Nirmala UI", "", None])
def test_fonts_of_today_are_fine(font: str | None) -> None:
    """Unicode fonts, also those of the same scripts, are not taken for old ones."""
    guards.refuse_legacy_font(font, at=Place("x"))


def test_the_path_of_a_po_file_is_never_taken_for_its_text(tmp_path: Path) -> None:
    """A file that does not exist is an error, and its name is not parsed as a catalogue."""
    file = SourceFile(tmp_path / "none.po", "none.po")
    with pytest.raises(DataError) as caught:
        list(read_po([file], corpus=None))  # type: ignore[arg-type]
    assert caught.value.codes == ("cannot-be-read",)
