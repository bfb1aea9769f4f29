"""Tables put together from others, with empty columns, or read by what a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.readers.record import Record
from finetune.readers.tables import record_of, wanted_columns
from finetune.readers.tabular.tables_read import csv_columns, csv_keys, csv_understood
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from tests.support.brought_files import xlsx
from tests.support.problems import raises
from tests.support.reading import rejections, texts_of

PAIR: dict[str, Any] = {
    "kind": "parallel",
    "languages": ["wol_Latn", "fra_Latn"],
    "columns": {"wol_Latn": "wolof", "fra_Latn": "fran\u00e7ais"},
}
ROWS = [["Nanga def?", "\u00c7a va ?"], ["Waaw.", "Oui."]]


def file_of(folder: Path, text: str) -> SourceFile:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return SourceFile(path, "t.csv")


@pytest.mark.parametrize("form", ["csv", "tsv", "xlsx"])
def test_names_of_columns_among_the_rows_are_no_texts(form: str, tmp_path: Path) -> None:
    """Tables put together have the header again, which is no pair of translations."""
    rows = [["wolof", "fran\u00e7ais"], *ROWS, ["\ufeffwolof", "fran\u00e7ais "], ROWS[0]]
    sign = {"csv": ";", "tsv": "\t"}.get(form, "")
    lines = "".join(sign.join(row) + "\n" for row in rows)
    content = lines if sign else xlsx({"A": rows})
    card = {"format": form, **PAIR}
    assert texts_of(tmp_path / "t", content, **card) == [*map(tuple, ROWS), tuple(ROWS[0])]
    assert [reason for reason, _ in rejections(tmp_path / "r", content, **card)] == [
        "repeated-header"
    ]


def test_a_word_may_be_the_name_of_its_only_column(tmp_path: Path) -> None:
    card = {"format": "csv", "columns": {"text": "text"}, "separator": "none"}
    assert texts_of(tmp_path, "text\na\ntext\n", **card) == [("a",), ("text",)]


def test_empty_columns_leave_a_header_a_header(tmp_path: Path) -> None:
    """Excel writes separators for columns without a name and a cell."""
    rows = "".join(f"{number},Nanga def {number},,\n" for number in range(1, 6))
    file = file_of(tmp_path, f"id,text,,\n{rows},,,\n,,,\n")
    assert csv_columns(file) == ["id", "text", "", ""]
    assert csv_keys(file) == {}


NAMED = {
    "a question as header": ("start;La phrase ?\na;Nanga def?\nb;Waaw.\n", "La phrase ?", 1),
    "rows wider than the header": ("id,text\n1,a,b\n2,c,d\n3,e,f\n", "text", 1),
    "numbers of columns, without a header": ("1;a\n2;b\n3;c\n4;d\n", "2", "none"),
}


@pytest.mark.parametrize(("text", "column", "header"), NAMED.values(), ids=NAMED)
def test_a_named_column_shows_the_header(
    text: str, column: str, header: Any, tmp_path: Path
) -> None:
    """The keys of the card hold what the name of a column showed."""
    file = file_of(tmp_path, text)
    keys = csv_keys(file, wanted=(column,))
    assert keys["header"] == header
    assert column in csv_columns(file, **keys)


def test_what_weblate_marks_as_fuzzy_is_unreviewed(tmp_path: Path) -> None:
    content = "wolof,fran\u00e7ais,fuzzy\na,b,False\nc,d,True\ne,f,\n"
    card = {"format": "csv", **PAIR}
    assert texts_of(tmp_path / "t", content, **card) == [("a", "b"), ("e", "f")]
    assert rejections(tmp_path / "r", content, **card) == [("unreviewed", "c,d,True")]
    admit = {"admit": ["unreviewed"]}
    assert len(texts_of(tmp_path / "a", content, **card, **admit)) == 3


def test_rows_of_other_languages_are_named(tmp_path: Path) -> None:
    """Tatoeba and Common Voice state the language of each row; the card has one."""
    file = file_of(tmp_path, "locale,text\nwo,a\nfr-FR,b\nfr-FR,c\nwol,d\nxx1,e\n")
    facts = csv_understood(file, corpus=block({"text": "text"}))
    assert [str(words) for name, words in facts if "'locale'" in str(name)] == ["'fr-FR (2)'"]


def test_a_cell_is_the_text_that_a_spreadsheet_shows(tmp_path: Path) -> None:
    content = 'n;text\n1;="Nanga def?"\n2;"=""Waaw, ""\n3;=ma la wax\n4;=CONCAT(A1;A2)\n'
    content = content.replace('"=""Waaw, ""', '"=""Waaw, kay"""').replace("A1;A2", "A1")
    card = {"format": "csv", "columns": {"text": "text"}}
    texts = [("Nanga def?",), ("Waaw, kay",), ("=ma la wax",)]
    assert texts_of(tmp_path / "t", content, **card) == texts
    assert rejections(tmp_path / "r", content, **card) == [("formula-cell", "4;=CONCAT(A1)")]


def test_both_readings_of_a_table_in_doubt_are_named(tmp_path: Path) -> None:
    """By commas the first row has other cells than by semicolons, and neither is one column."""
    rows = "".join(f"{n},5;Nanga, def {n}\n" for n in range(5))
    with pytest.raises(DataError) as caught:
        csv_keys(file_of(tmp_path, rows), header="none")
    [doubt] = caught.value.problems
    assert (doubt.code, doubt.facts["first"], doubt.facts["second"]) == (
        "separator-unclear",
        ",",
        ";",
    )


def block(columns: dict[str, str], **keys: Any) -> CorpusBlock:
    source = {"kind": "files", "files": [{"path": "t", "sha256": "0" * 64}]}
    facts = {"kind": "text", "languages": ["wol_Latn"], "source": source, "format": "csv"}
    return CorpusBlock.model_validate(facts | keys | {"columns": columns})


def test_a_contributor_may_be_the_person_who_is_named() -> None:
    """One column for both: texts can be withdrawn by it, and the name is masked."""
    corpus = block({"text": "t", "contributor": "who", "names": "who"})
    place = SourceFile(Path("t"), "t").place(1)
    record = record_of(place, {"t": "Nanga def?", "who": "Awa"}, corpus)
    assert record == Record(place, {"text": "Nanga def?"}, "Awa", ("Awa",))


def test_one_column_is_not_two_languages() -> None:
    corpus = block(
        {"wol_Latn": "t", "fra_Latn": "t"}, kind="parallel", languages=["wol_Latn", "fra_Latn"]
    )
    facts = {"column": "t", "first": "wol_Latn", "second": "fra_Latn"}
    with raises(DataError, code="column-of-two-roles", **facts):
        wanted_columns(corpus)
