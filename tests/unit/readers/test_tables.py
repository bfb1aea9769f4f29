from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.readers import numbered_lines as lines
from finetune.readers.message_files import read_messages
from finetune.sources.files import SourceFile, resolve_files
from tests.support.prepare_job import make_card
from tests.support.reading import problem_of, read

JSONL: dict[str, Any] = {"format": "jsonl", "columns": {"text": "body"}}
CSV: dict[str, Any] = {"format": "csv", "columns": {"text": "body"}}
TSV: dict[str, Any] = {"format": "tsv", "columns": {"text": "body"}}
MESSAGES: dict[str, Any] = {
    "kind": "parallel",
    "format": "messages",
    "languages": ["eng_Latn", "hau_Latn"],
    "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
}


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
    numbered = lines.numbered_lines(file, encoding=encoding, block_bytes=block)
    found = [line for _, line in numbered]
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


BAD: list[tuple[Any, dict[str, Any], str, str, dict[str, Any]]] = [
    (b"one\ntwo\nth\xffree\n", {}, ":3", "wrong-encoding", {"offset": 10, "byte": 255}),
    (b"\xff\xfe\0\0a\0\0\0", {}, ":1", "utf-32", {}),
    (b"a", {"encoding": "utf-16"}, ":1", "no-byte-order", {}),
    (b"a\x81", {"encoding": "windows-1252"}, ":1", "wrong-encoding", {"byte": 0x81}),
    (b"a\x93", {"encoding": "iso-8859-1"}, ":1", "wrong-encoding", {"byte": 0x93}),
    (b"\xff\xfea\0\n\0\x00\xd8", {"encoding": "utf-16"}, ":2", "wrong-encoding", {"offset": 6}),
    ('{"body": "a"}\n{"body": }\n', JSONL, ":2:10", "not-json", {}),
    ('{"body": "a"}\n["a"]\n', JSONL, ":2", "no-object", {"kind": "list"}),
    ('{"text": "a", "id": 3}\n', JSONL, ":1", "no-column", {"column": "body"}),
    ('{"body": "\\ud800"}\n', JSONL, ":1", "lone-surrogate", {}),
    ("[" * 100_000 + "\n", JSONL, ":1", "cut-json", {}),
    ('{"a":' * 100_000 + "\n", JSONL, ":1", "not-json", {}),
    ("id,text\n1,a\n", CSV, ":1", "no-column", {"column": "body"}),
    ("id,body\n1,a\n2,b,c\n", CSV, ":3", "wrong-number-of-fields", {"fields": 3, "columns": 2}),
    ('id,body\n1,a\n2,"b\nc\n', CSV, ":3", "bad-quotes", {}),
    (b"body\n\xc3(\n", TSV, ":2", "wrong-encoding", {"offset": 5}),
    ("no table", JSONL | {"format": "parquet"}, "", "damaged-parquet", {}),
    ({"en/m": "{}", "ha/m": "{\n1}"}, MESSAGES, "ha/m:2:1", "not-json", {}),
    ({"en/m": "{}", "ha/m": b'{"a":\n"\xff"}'}, MESSAGES, "ha/m:2", "wrong-encoding", {}),
    ({"en/m": "{}", "ha/m": '{"a": 3, "a": 4}'}, MESSAGES, "ha/m: a", "key-twice", {}),
    ({"en/m": "{}", "fr/m": "{}"}, MESSAGES, "fr/m", "no-language-in-path", {"count": 0}),
    ({"en/m": "{}", "en/x/m": "{}"}, MESSAGES, "en/x/m", "two-files", {"name": "en/x/m"}),
    ({"en/m": "{}"}, MESSAGES, "en/m", "no-file-of-language", {"languages": ("hau_Latn",)}),
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
    problem = problem_of(tmp_path, files, **MESSAGES)
    assert (problem.code, str(problem.place)) == ("key-twice", "l/ha/m.json: a")


@pytest.mark.parametrize(("content", "corpus", "place", "code", "facts"), BAD)
def test_wrong_input_names_file_and_line(
    tmp_path: Path,
    content: Any,
    corpus: dict[str, Any],
    place: str,
    code: str,
    facts: dict[str, Any],
) -> None:
    """Every kind of damaged file has a code, a place without folders of this machine, and facts."""
    problem = problem_of(tmp_path, content, **corpus)
    one_file = "" if isinstance(content, dict) else f"corpus.{corpus.get('format', 'text')}"
    assert (problem.code, str(problem.place)) == (code, one_file + place)
    assert {name: problem.facts[name] for name in facts} == facts


def test_a_parquet_column_that_is_missing_names_those_there(tmp_path: Path) -> None:
    """A Parquet file without the card's column is an error with the columns it has."""
    import pyarrow as arrow
    from pyarrow import parquet

    parquet.write_table(arrow.table({"id": [1], "txt": ["a"]}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    problem = problem_of(tmp_path, content, **(JSONL | {"format": "parquet"}))
    assert problem.code == "no-column"
    assert str(problem.facts["columns"]) == "'id', 'txt'"


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
        with pytest.raises(DataError) as caught:
            next(found)
        [problem] = caught.value.problems
        assert (problem.code, str(problem.place)) == ("long-line", "huge:2")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 40 * 2**20


def test_the_path_part_is_a_whole_folder_name(tmp_path: Path) -> None:
    """`en` does not match `spend/`, nor a file name that contains it."""
    card = make_card(tmp_path, "c", {"spend/ha/en.json": "{}", "en/en.json": "{}"}, **MESSAGES)
    files = resolve_files(card, inputs={})
    assert list(read_messages(files, corpus=card.corpus)) == []
