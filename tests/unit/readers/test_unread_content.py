"""Files that are not what their names say: recognised in any encoding, or refused in words."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from finetune.cards.brought_files import SAVED_AS, columns_of, recognised_format
from finetune.readers.json_records import json_columns
from finetune.sources.files import SourceFile
from finetune.spec.formats import find_format, format_of_suffix
from tests.support.reading import problem_of, texts_of

WORDS = ("Na\u00efa", "nga", "d\u00ebf")
CONLLU = "# sent_id = 1\n# text = a b\n" + "".join(
    f"{n}\t{word}\t{word}\tNOUN\t_\t_\t0\troot\t_\t_\n" for n, word in enumerate(WORDS * 4, 1)
)
OTHER = {
    "RTF": "{\\rtf1\\ansi Nanga def?\\par }",
    "XML": '\ufeff<?xml version="1.0"?>\n<document>\n<item>Nanga</item>\n</document>\n',
    "CoNLL-U": CONLLU,
    "(CoNLL)": "-DOCSTART- O\n\n" + "".join(f"{word} O\n" for word in WORDS * 5) + "Dakar B-LOC\n",
    "database": "SQLite format 3\0",
}


@pytest.mark.parametrize("kind", OTHER)
def test_what_is_no_plain_text_is_refused(kind: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, OTHER[kind], format="text")
    assert problem.code == "unread-content"
    assert kind in str(problem)


def test_lines_that_end_in_a_capital_letter_are_texts(tmp_path: Path) -> None:
    lines = [f"Def na ko ci diggante {number} ak O" for number in range(5)] + ["Waaw."] * 10
    assert len(texts_of(tmp_path, "\n".join(lines), format="text")) == len(lines)


@pytest.mark.parametrize("packed", [True, False])
def test_a_tar_archive_is_refused_whatever_its_name(packed: bool, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"Nanga\n"))
    data = gzip.compress(out.getvalue()) if packed else out.getvalue()
    assert problem_of(tmp_path, data, format="text").code == "tar-archive"


SUBTITLE = "1\n00:00:01,000 --> 00:00:02,000\nd\u00ebf\n\n"
CALLED_TEXT = {
    "toolbox": "\\lx d\u00ebf\n\\ps v\n\\ge do\n\n" * 3,
    "jsonl": '{"text": "d\u00ebf"}\n',
    "csv": "1;d\u00ebf\n" * 3,
    "tsv": "a\td\u00ebf\n" * 3,
    "subtitles": SUBTITLE * 3,
}


@pytest.mark.parametrize("form", CALLED_TEXT)
def test_formats_are_recognised_in_any_encoding(form: str, tmp_path: Path) -> None:
    """The signs of a format are ASCII, and old files are rarely UTF-8."""
    path = tmp_path / "a.txt"
    path.write_bytes(CALLED_TEXT[form].encode("cp1252"))
    found = recognised_format(SourceFile(path, path.name))
    assert found is not None
    assert found.name == form


@pytest.mark.parametrize(("form", "name"), [("jsonl", "text"), ("toolbox", "lx")])
def test_columns_are_read_in_the_stated_encoding(form: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(CALLED_TEXT[form].encode("cp1252"))
    there = columns_of(path, form=find_format(form), keys={"encoding": "windows-1252"})
    assert name in there


def test_a_bad_first_record_hides_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": oops}\n["a"]\n{"text": "Nanga def?"}\n', encoding="utf-8")
    assert json_columns(SourceFile(path, path.name)) == ["text"]


def test_marks_of_joined_files_are_no_text(tmp_path: Path) -> None:
    """`cat a.csv b.csv` leaves the second mark before a quoted cell, or an object."""
    rows = 'text,n\n"a, b",1\n\ufeff"c, d",2\n'
    card = {"format": "csv", "columns": {"text": "text"}}
    assert texts_of(tmp_path / "c", rows, **card) == [("a, b",), ("c, d",)]
    lines = '{"text": "a"}\n\ufeff{"text": "b"}\n'
    card = {"format": "jsonl", "columns": {"text": "text"}}
    assert texts_of(tmp_path / "j", lines, **card) == [("a",), ("b",)]


def test_what_files_are_to_be_saved_as_is_read() -> None:
    for suffix, (_, other) in SAVED_AS.items():
        assert format_of_suffix(other) is not None, suffix
        assert format_of_suffix(suffix) is None, suffix
