from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.readers import numbered_lines as lines
from finetune.readers.tables import read_messages
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec import formats as registry
from tests.support.prepare_job import make_card

JSONL: dict[str, Any] = {"format": "jsonl", "columns": {"text": "body"}}
CSV: dict[str, Any] = {"format": "csv", "columns": {"text": "body"}}
TSV: dict[str, Any] = {"format": "tsv", "columns": {"text": "body"}}
MESSAGES: dict[str, Any] = {
    "kind": "parallel",
    "format": "messages",
    "languages": ["eng_Latn", "hau_Latn"],
    "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
}


def read(folder: Path, content: Any, **corpus: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return (where, fields) of every record that a card's reader finds."""
    card = make_card(folder, "corpus", content, **corpus)
    reader = registry.reader(card.corpus.format)
    files = resolve_files(card, inputs={})
    return [(r.where, dict(r.fields)) for r in reader(files, corpus=card.corpus)]


def test_a_text_file_has_a_document_a_line(tmp_path: Path) -> None:
    """Lines are documents with their numbers; BOM, CRLF and blank lines are no text."""
    found = read(tmp_path, b"\xef\xbb\xbfIna kwana\r\n\r\n  \nLafiya")
    assert found == [
        ("corpus.text:1", {"text": "Ina kwana"}),
        ("corpus.text:4", {"text": "Lafiya"}),
    ]


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(tmp_path: Path, order: str) -> None:
    """UTF-16 works in both orders, also where half of a character looks like a line end."""
    data = "\ufeffĊ\u0a41\u0100\u0a41\nki\u010aă".encode(order)
    found = read(tmp_path, data, encoding="utf-16")
    assert [fields["text"] for _, fields in found] == ["Ċ\u0a41\u0100\u0a41", "ki\u010aă"]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
    block=st.integers(1, 40),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_are_what_was_written(
    tmp_path: Path, texts: list[str], encoding: Any, block: int
) -> None:
    """However the file falls into blocks, the lines read are the lines written."""
    (tmp_path / "f").write_bytes(
        ("\ufeff" + "\n".join(texts)).encode("utf-16-be" if encoding == "utf-16" else "utf-8")
    )
    file = SourceFile(tmp_path / "f", "f")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block)
        found = [line for _, line in lines.numbered_lines(file, encoding=encoding)]
    wanted = texts if texts and texts[-1] else texts[:-1]
    assert found == wanted


def test_jsonl_csv_tsv_and_parquet_agree(tmp_path: Path) -> None:
    """The same records come out of every format, quoting and line ends in fields included."""
    import pyarrow as arrow
    from pyarrow import parquet

    texts = ["Ina kwana", 'ya ce, "na gode"', "ƙofa da\ɗaki"]
    rows = "".join(json.dumps({"body": t, "x": 1}) + "\n" for t in texts)
    quoted = "".join('1,"' + t.replace('"', '""') + '"\n' for t in texts)
    tabbed = "".join(f"{t}\t1\n" for t in texts)
    parquet.write_table(arrow.table({"body": texts, "x": [1, 2, 3]}), tmp_path / "t.parquet")
    table = (tmp_path / "t.parquet").read_bytes()
    for content, corpus in (
        (rows, JSONL),
        ("x,body\n" + quoted, CSV),
        ("body\tx\n" + tabbed, TSV),
        (table, JSONL | {"format": "parquet"}),
    ):
        assert [fields["text"] for _, fields in read(tmp_path, content, **corpus)] == texts


def test_a_column_may_be_a_path(tmp_path: Path) -> None:
    """`translation.ha` reads inside objects, as Hub datasets of pairs need it."""
    found = read(
        tmp_path,
        '{"translation": {"en": "Hi", "ha": "Sannu"}}\n',
        kind="parallel",
        format="jsonl",
        languages=["eng_Latn", "hau_Latn"],
        columns={"eng_Latn": "translation.en", "hau_Latn": "translation.ha"},
    )
    assert found[0][1] == {"eng_Latn": "Hi", "hau_Latn": "Sannu"}


def test_messages_are_paired_by_key(tmp_path: Path) -> None:
    """A key in one language only gives a record with None, so that it is counted."""
    content = {
        "l/en/m.json": '{"a": "Yes", "b": "No"}',
        "l/ha/m.json": '{"b": "A\'a", "a": {"message": "I"}, "c": "Uku"}',
    }
    found = read(tmp_path, content, **MESSAGES)
    assert found == [
        ("m.json: a", {"eng_Latn": "Yes", "hau_Latn": "I"}),
        ("m.json: b", {"eng_Latn": "No", "hau_Latn": "A'a"}),
        ("m.json: c", {"eng_Latn": None, "hau_Latn": "Uku"}),
    ]


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (b"one\ntwo\nth\xffree\n", {}, r"corpus\.text:3: byte 10 of the file \(0xff\) is not UTF-8"),
    (b"\xff\xfea\0", {}, r"corpus\.text:1: begins with a UTF-16 byte order mark"),
    (b"a\0", {"encoding": "utf-16"}, r"corpus\.text:1: no UTF-16 byte order mark"),
    (b"\xff\xfea\0\n\0\x00\xd8", {"encoding": "utf-16"}, r"corpus\.text:2: byte 6 of the file"),
    ('{"body": "a"}\n{"body": }\n', JSONL, r"corpus\.jsonl:2:10: not JSON"),
    ('{"body": "a"}\n["a"]\n', JSONL, r"corpus\.jsonl:2: a JSON list, but a record must be"),
    ('{"text": "a", "id": 3}\n', JSONL, r"corpus\.jsonl:1: no column 'body'.*'text', 'id'"),
    ('{"body": "\\ud800"}\n', JSONL, r"corpus\.jsonl:1: holds half of a surrogate pair"),
    ("[" * 100_000 + "\n", JSONL, r"corpus\.jsonl:1: cannot be read as JSON"),
    ("id,text\n1,a\n", CSV, r"corpus\.csv:2: no column 'body'.*'id', 'text'"),
    ("id,body\n1,a\n2,b,c\n", CSV, r"corpus\.csv:3: 3 fields, but the header names 2"),
    ('id,body\n1,a\n2,"b\nc\n', CSV, r"corpus\.csv:3: unexpected end of data"),
    (b"body\n\xc3(\n", TSV, r"corpus\.tsv:2: byte 5 of the file"),
    ("no table", JSONL | {"format": "parquet"}, r"corpus\.parquet: not a Parquet file"),
    ({"en/m": "{}", "ha/m": "{\n1}"}, MESSAGES, r"ha/m:2:1: not JSON"),
    ({"en/m": "{}", "ha/m": b'{"a":\n"\xff"}'}, MESSAGES, r"ha/m:2: byte 7 of the file"),
    ({"en/m": "{}", "ha/m": '{"a": 3}'}, MESSAGES, r"ha/m: a: int where a text belongs"),
    ({"en/m": "{}", "fr/m": "{}"}, MESSAGES, r"fr/m: its path tells 0 languages"),
    ({"en/m": "{}", "en/x/m": "{}"}, MESSAGES, r"en/x/m: eng_Latn has two files 'm'"),
    ({"en/m": "{}"}, MESSAGES, r"m: no such file for hau_Latn"),
]


def test_nested_messages_are_paired_without_the_languages_own_key(tmp_path: Path) -> None:
    """Objects inside objects pair by their joined keys, however deep, also below a language."""
    files = {
        "l/en/m.json": '{"main": {"en": {"names": {"a": "One"}}}, "b": {"c": {"message": "Two"}}}',
        "l/ha/m.json": '{"main": {"ha": {"names": {"a": "Daya"}}}, "b": {"c": "Biyu"}}',
    }
    assert read(tmp_path, files, **MESSAGES) == [
        ("m.json: main.names.a", {"eng_Latn": "One", "hau_Latn": "Daya"}),
        ("m.json: b.c", {"eng_Latn": "Two", "hau_Latn": "Biyu"}),
    ]


def test_one_key_with_two_texts_is_refused(tmp_path: Path) -> None:
    """Two texts under one key cannot be paired, so neither is quietly chosen."""
    files = {"l/en/m.json": '{"a": "One"}', "l/ha/m.json": '{"ha": {"a": "x"}, "a": "y"}'}
    with pytest.raises(DataError, match=r"m\.json: a: stands there twice"):
        read(tmp_path, files, **MESSAGES)


@pytest.mark.parametrize(("content", "corpus", "message"), BAD)
def test_wrong_input_names_file_and_line(
    tmp_path: Path, content: Any, corpus: dict[str, Any], message: str
) -> None:
    """Every kind of damaged file is a DataError that says where, what and what to do."""
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content, **corpus)
    assert str(tmp_path) not in str(caught.value).replace(str(tmp_path / "corpus.md"), "")


def test_a_parquet_column_that_is_missing_names_those_there(tmp_path: Path) -> None:
    """A Parquet file without the card's column is an error with the columns it has."""
    import pyarrow as arrow
    from pyarrow import parquet

    parquet.write_table(arrow.table({"id": [1], "txt": ["a"]}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(DataError, match="no column 'body'; the columns there are 'id', 'txt'"):
        read(tmp_path, content, **(JSONL | {"format": "parquet"}))


def test_a_huge_line_is_refused_without_loading_it(tmp_path: Path) -> None:
    """A 100 MB line is an error with its number, and memory stays below a third of it."""
    import tracemalloc

    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(b"short\n")
        file.seek(100 * 2**20)  # a hole: 100 MB of NUL without a line end
        file.write(b"a\n")
    found = lines.numbered_lines(SourceFile(path, "huge"), encoding="utf-8")
    assert next(found) == (1, "short")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"huge:2: line of more than 16 MiB"):
            next(found)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 40 * 2**20


def test_the_path_part_is_a_whole_folder_name(tmp_path: Path) -> None:
    """`en` does not match `spend/`, nor a file name that contains it."""
    card = make_card(tmp_path, "c", {"spend/ha/en.json": "{}", "en/en.json": "{}"}, **MESSAGES)
    files = resolve_files(card, inputs={})
    assert list(read_messages(files, corpus=card.corpus)) == []
