"""Excel files: every row with a text in a wanted column is a record, or rejected with a reason."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.readers.office import xlsx_columns, xlsx_keys, xlsx_understood
from finetune.readers.record import Record, Rejection
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.spec.formats import reader
from tests.support.reading import problem_of, read, rejections, texts_of
from tests.support.sheets import OFFICE, RELS, book_of, generated

XLSX: dict[str, Any] = {"format": "xlsx", "columns": {"text": "texte"}}


def inline(name: str, text: str) -> str:
    return f'<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>'


def sheet(*rows: str) -> str:
    return f"<sheetData>{''.join(rows)}</sheetData>"


def row(number: int, *texts: str, attributes: str = "") -> str:
    cells = "".join(inline(f"{'ABC'[n]}{number}", text) for n, text in enumerate(texts) if text)
    return f'<row r="{number}"{attributes}>{cells}</row>'


ONE = {"A": sheet(row(1, "texte"), row(2, "Nanga def?"))}


def test_units_are_those_that_were_written(tmp_path: Path) -> None:
    """Records and rejections of eighty files are what the writer of their XML counted."""
    source = {"kind": "files", "files": [{"path": "t", "sha256": "0" * 64}]}
    block = CorpusBlock.model_validate(
        {"kind": "text", "languages": ["hau_Latn"], "source": source} | XLSX
    )
    path = tmp_path / "t"
    for seed in range(80):
        book = generated(seed)
        path.write_bytes(book.data)
        units = []
        with suppress(DataError):  # no sheet has rows, at the end
            for unit in reader("xlsx")([SourceFile(path, "t.xlsx")], corpus=block):
                units.append(unit)
        assert [u.fields["text"] for u in units if isinstance(u, Record)] == book.texts, seed
        assert Counter(u.reason for u in units if isinstance(u, Rejection)) == +book.rejected, seed


def test_a_cell_without_text_is_rejected_with_its_place(tmp_path: Path) -> None:
    rows = [
        row(1, "id", "texte"),
        '<row r="2"><c r="B2" t="b"><v>1</v></c></row>',
        row(3, "1", "a"),
    ]
    content = book_of({"List": sheet(*rows)})
    assert rejections(tmp_path, content, **XLSX) == [("not-text-cell", "TRUE")]
    assert read(tmp_path / "r", content, **XLSX) == [("corpus.xlsx: List!3", {"text": "a"})]


def test_a_formula_in_another_column_is_nothing(tmp_path: Path) -> None:
    rows = [
        row(1, "texte", "letters"),
        f'<row r="2">{inline("A2", "a")}<c r="B2"><f>1</f></c></row>',
    ]
    assert texts_of(tmp_path, book_of({"List": sheet(*rows)}), **XLSX) == [("a",)]


def test_hidden_sheets_are_read_if_they_are_named(tmp_path: Path) -> None:
    content = book_of(ONE | {"B": sheet(row(1, "texte"), row(2, "b"))}, states={"B": "veryHidden"})
    assert rejections(tmp_path, content, **XLSX) == [("hidden-row", "b")]
    assert texts_of(tmp_path / "n", content, **XLSX, sheets=["B"]) == [("b",)]
    assert problem_of(tmp_path / "m", content, **XLSX, sheets=["C"]).code == "no-sheet"


def test_comments_and_drawings_are_counted(tmp_path: Path) -> None:
    rels = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="../{kind}.xml"/>'
        for n, kind in enumerate(("comments", "drawing"))
    )
    named = f'<Relationships xmlns="{RELS}">{rels}</Relationships>'
    extra = {
        "xl/worksheets/_rels/sheet1.xml.rels": named,
        "xl/comments.xml": '<comments><commentList><comment ref="A2"><text><t>check</t></text>'
        "</comment></commentList></comments>",
        "xl/drawing.xml": "<d><txBody><p><r><t>a box</t></r></p></txBody></d>",
    }
    found = rejections(tmp_path, book_of(ONE, extra=extra), **XLSX)
    assert found == [("comment", "check"), ("drawn-text", "a box")]


def test_a_sheet_with_half_of_the_columns_is_refused(tmp_path: Path) -> None:
    pair = {
        "kind": "parallel",
        "format": "xlsx",
        "languages": ["eng_Latn", "hau_Latn"],
        "columns": {"eng_Latn": "English", "hau_Latn": "Hausa"},
    }
    content = book_of({"A": sheet(row(1, "English", "Yoruba"), row(2, "a", "b"))})
    assert problem_of(tmp_path, content, **pair).code == "no-column"


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    content = book_of({"A": sheet(row(1, "texte", "n", "texte"), row(2, "a", "1", "b"))})
    problem = problem_of(tmp_path, content, **XLSX)
    assert (problem.code, problem.facts["places"]) == ("column-twice", ("1", "3"))


def test_no_header_and_a_stated_header(tmp_path: Path) -> None:
    content = book_of({"A": sheet(row(1, "1", "a"), row(2, "2", "b"))})
    numbered = XLSX | {"columns": {"text": "2"}, "header": "none"}
    assert texts_of(tmp_path, content, **numbered) == [("a",), ("b",)]
    content = book_of({"A": sheet(row(1, "texte", "x"), row(2, "x", "texte"), row(3, "a", "b"))})
    assert texts_of(tmp_path / "h", content, **XLSX, header=2) == [("b",)]


@pytest.mark.parametrize(
    ("stored", "text"), [("a_x000D_b", "a\rb"), ("_x005F_x0041_", "_x0041_"), ("a_xb", "a_xb")]
)
def test_escapes_of_excel_are_characters(tmp_path: Path, stored: str, text: str) -> None:
    content = book_of({"A": sheet(row(1, "texte"), row(2, stored))})
    assert texts_of(tmp_path, content, **XLSX) == [(text,)]


def test_sheets_are_described_and_their_keys_found(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(book_of(ONE | {"Notes": sheet(row(1, "about"), row(2, "this"))}))
    file = SourceFile(path, "t.xlsx")
    corpus = CorpusBlock.model_construct(kind="text", **XLSX)
    assert [(str(a), str(b)) for a, b in xlsx_understood(file, corpus=corpus)] == [
        ("sheet 'A'", "header in row 1"),
        ("sheet 'Notes'", "not read; its first row: 'about'"),
    ]
    assert xlsx_columns(file) == ["texte", "about"]
    assert xlsx_keys(file) == {}
    path.write_bytes(book_of({"A": sheet(row(1, "1", "Nanga def, Awa?"), row(2, "2", "Waaw."))}))
    assert xlsx_keys(file) == {"header": "none"}
    assert xlsx_columns(file, header="none") == ["1", "2"]
