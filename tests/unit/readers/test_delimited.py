"""Tables as people bring them: read as they were written, or refused in words."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.readers.called_text import is_separated
from finetune.readers.encodings import proposal
from finetune.readers.record import Record, Rejection
from finetune.readers.tabular import table_rows
from finetune.readers.tabular.tables_read import (
    csv_columns,
    csv_keys,
    csv_understood,
    tsv_keys,
)
from finetune.sources.files import SourceFile
from finetune.spec.formats import reader
from tests.support.brought_files import xlsx
from tests.support.reading import block_of, problem_of, read, rejections, texts_of
from tests.support.surroundings import Constants

CSV: dict[str, Any] = {"format": "csv", "columns": {"text": "text"}}
TSV: dict[str, Any] = {"format": "tsv", "columns": {"text": "text"}}
PAIR: dict[str, Any] = {
    "kind": "parallel",
    "format": "csv",
    "languages": ["eng_Latn", "yor_Latn"],
    "columns": {"eng_Latn": "English", "yor_Latn": "Yor\u00f9b\u00e1"},
}


def texts(folder: Path, content: Any, **corpus: Any) -> list[str]:
    return [fields["text"] for _, fields in read(folder, content, **corpus)]


READ: list[tuple[str, Any, dict[str, Any], list[str]]] = [
    ("semicolons", "id;text\n1;Nanga def\n2;Ndox mi sedd\n", CSV, ["Nanga def", "Ndox mi sedd"]),
    ("semicolons, commas inside", "id;text\n1;Waaw, waaw\n2;b\n", CSV, ["Waaw, waaw", "b"]),
    ("bars", "id|text\n1|a\n2|b, c\n", CSV, ["a", "b, c"]),
    ("bars with empty cells", "id|a|b|text\n1|||x\n2|||y\n3|c|d|z\n", CSV, ["x", "y", "z"]),
    ("tabs in .csv", "id\ttext\n1\ta, b\n2\tc\n", CSV, ["a, b", "c"]),
    ("commas in .tsv", "id,text\n1,a\n2,b\n", TSV, ["a", "b"]),
    ("Excel's first line", "sep=;\nid;text\n1;a,b\n", CSV, ["a,b"]),
    ("title rows", "Contes,\n,\nid,text\n1,a\n", CSV, ["a"]),
    ("name with space and case", "\ufeffID, Text\u00a0\n1,a\n", CSV, ["a"]),
    ("decomposed name", "English,Yoru\u0300ba\u0301\nOpen,Si\n", PAIR, []),
    ("CR line ends", "id,text\r1,a\r2,b\r", CSV, ["a", "b"]),
    ("mixed line ends", "id,text\r\n1,a\n2,b\r3,c\r\n", CSV, ["a", "b", "c"]),
    ("NEL, LS, VT in a cell", "text\na\u0085b\u2028c\x0bd\n", CSV, ["a\u0085b\u2028c\x0bd"]),
    ("trailing separators", "id,text,,\n1,a,,\n,,,\n2,b,,\n", CSV, ["a", "b"]),
    (
        "Excel's Unicode text",
        'text\tn\n"a ""b"" c"\t1\n"d\ne"\t2\n'.encode("utf-16"),
        TSV,
        ['a "b" c', "d\ne"],
    ),
    ("Excel's quotes at commas", 'text\tn\n"a, b"\t1\nc\t2\n', TSV, ["a, b", "c"]),
    ("quotes as characters", 'text\tn\n"a," ya ce\t1\n"b"\t2\n', TSV, ['"a," ya ce', '"b"']),
    ("quotes as characters in .csv", 'n,text\n1,"a" ya ce\n2,b\n', CSV, ['"a" ya ce', "b"]),
    (
        "no header",
        "1;a\n2;b\n",
        CSV | {"columns": {"text": "2"}, "header": "none", "separator": ";"},
        ["a", "b"],
    ),
    ("header line", "x,text\nid,text\n1,a\n", CSV | {"header": 2}, ["a"]),
    ("stated separator", "text:a\nb:1\n", CSV | {"separator": ":"}, ["b"]),
    ("one column", "text\na, b\nc\n", CSV | {"separator": "none"}, ["a, b", "c"]),
    (
        "UTF-16 without mark",
        "id,text\n1,\u0928\u092e\u0938\u094d\u0924\u0947\n".encode("utf-16-le"),
        CSV,
        ["\u0928\u092e\u0938\u094d\u0924\u0947"],
    ),
    (
        "Windows-1252",
        "text\nd\u00e9j\u00e0\u2026\n".encode("cp1252"),
        CSV | {"encoding": "windows-1252"},
        ["d\u00e9j\u00e0\u2026"],
    ),
    ("several lines", 'id,text\n1,"a\nb, c, d"\n2,e\n', CSV, ["a\nb, c, d", "e"]),
    ("verses with commas", 'id,text\n1,"a\nb, c"\n2,e\n', CSV, ["a\nb, c", "e"]),
    ("empty", "", CSV, []),
]


@pytest.mark.parametrize(("name", "content", "corpus", "expected"), READ, ids=[r[0] for r in READ])
def test_a_table_is_read_as_it_was_meant(
    tmp_path: Path, name: str, content: Any, corpus: dict[str, Any], expected: list[str]
) -> None:
    if corpus is PAIR:
        assert read(tmp_path, content, **corpus) == [
            ("corpus.csv:2", {"eng_Latn": "Open", "yor_Latn": "Si"})
        ]
    else:
        assert texts(tmp_path, content, **corpus) == expected, name


REFUSED: list[tuple[str, Any, dict[str, Any], str, dict[str, Any]]] = [
    ("twice", "text,n,text\na,1,b\n", CSV, "column-twice", {"places": ("1", "3")}),
    (
        "whole header",
        "id;text\n1;a\n",
        CSV | {"columns": {"text": "id;text"}},
        "separator-unclear",
        {},
    ),
    ("an Excel file", xlsx({"a": [["text"], ["a"]]}), CSV, "other-format", {"format": "xlsx"}),
    ("a web page", "<html><table><tr><td>a</table>", CSV, "no-table", {}),
    ("an old office file", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", CSV, "no-table", {}),
    (
        "a stray mark",
        'id,text\n1,a\n2,"b\n3,c\n4,d"\n5,e\n',
        CSV,
        "joined-rows",
        {"first": 3, "last": 5},
    ),
    (
        "marks in doubt",
        '"a"\tb\n"c"\td\n',
        TSV | {"columns": {"text": "1"}, "header": "none"},
        "quotes-unclear",
        {},
    ),
    ("half and half", b"caf\xc3\xa9\ncaf\xe9\n", {}, "wrong-encoding", {}),
]


@pytest.mark.parametrize(
    ("name", "content", "corpus", "code", "facts"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_what_is_in_doubt_is_refused(
    tmp_path: Path, name: str, content: Any, corpus: dict[str, Any], code: str, facts: Any
) -> None:
    problem = problem_of(tmp_path, content, **corpus)
    assert problem.code == code, name
    assert {key: problem.facts[key] for key in facts} == facts


def test_the_two_ways_to_read_a_stray_mark_can_be_stated(tmp_path: Path) -> None:
    content = 'id,text\n1,a\n2,"b\n3,c"\n'
    assert texts(tmp_path, content, **CSV, quotes="quoted") == ["a", "b\n3,c"]
    assert texts(tmp_path, content, **CSV, quotes="literal") == ["a", '"b', 'c"']


def test_bytes_of_another_encoding_are_answered_with_a_proposal(tmp_path: Path) -> None:
    for codec, text in {
        "windows-1252": "J\u00ebr\u00ebj\u00ebf \u2013 lool, d\u00e9j\u00e0",
        "windows-1251": "\u0421\u04d9\u043b\u0430\u043c \u0434\u0443\u0441".replace(
            "\u04d9", "\u0430"
        ),
        "windows-1256": "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645",
    }.items():
        problem = problem_of(tmp_path / codec, f"{text}\nnaka\n".encode(codec))
        assert f"`encoding: {codec}`" in str(problem.facts["instead"])


def test_an_encoding_is_proposed_for_a_table_without_spaces(tmp_path: Path) -> None:
    rows = "Cymraeg;Français;No\nCorëeg;Coréen;1\nFfrangeg;Français (%(x)s);2\n"
    problem = problem_of(tmp_path, rows.encode("windows-1252"), **CSV)
    assert "`encoding: windows-1252`" in str(problem.facts["instead"])


def test_a_word_without_an_end_is_cut_in_a_proposal(tmp_path: Path) -> None:
    """A sample shows the letter that tells, and not the thousands around it."""
    (tmp_path / "a.csv").write_bytes(b"text\n" + b"a" * 5000 + b"\xe9" + b"a" * 5000 + b"\n")
    file = SourceFile(tmp_path / "a.csv", "a.csv")
    looks = str(proposal(file, codec="utf-8"))
    assert "aé" in looks
    assert len(looks) < 500


def test_cells_that_stand_for_no_text_are_counted(tmp_path: Path) -> None:
    rows = ["nan", "#NAME?", "N/A", "Nan gida", "nan", "nan", "gida"]
    content = "text,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(rows))
    assert texts(tmp_path, content, **CSV) == ["Nan gida", "gida"]
    assert [reason for reason, _ in rejections(tmp_path / "r", content, **CSV)] == [
        *("missing-value", "error-cell", "missing-value", "missing-value", "missing-value")
    ]


def test_one_word_that_looks_like_a_marker_is_a_word(tmp_path: Path) -> None:
    content = "text,n\nnan,1\nNan,2\nNone,3\nwasu,4\n"
    assert texts(tmp_path, content, **CSV) == ["nan", "Nan", "None", "wasu"]


def test_rows_above_the_header_are_counted(tmp_path: Path) -> None:
    content = "Contes de Thi\u00e8s,\nid,text\n1,a\n"
    assert rejections(tmp_path, content, **CSV) == [("above-header", "Contes de Thi\u00e8s,")]


def test_a_broken_row_ends_no_file(tmp_path: Path) -> None:
    content = "id,text\n" + "".join(f"{n},a\n" for n in range(50)) + '51,"b\n52,c\n53,d,e\n'
    found = rejections(tmp_path, content, **CSV)
    assert found == [("malformed", '51,"b'), ("malformed", "53,d,e")]
    assert len(texts_of(tmp_path / "t", content, **CSV)) == 51


FAULTS = [
    ('2,"b\n', "none closes it"),
    ('2,"b" c\n', "not followed by the separator"),
    ('2,"b\0" c\n', "not followed by the separator"),
    (f'2,"{"b" * 200}"\n', "too long"),
]


@pytest.mark.parametrize(("row", "said"), FAULTS)
def test_faults_of_quotation_marks_are_said_in_our_own_words(
    tmp_path: Path, row: str, said: str, constants: Constants
) -> None:
    """The message has the line and a sentence that is translated, no text of Python's parser."""
    constants(table_rows, MAX_CELL_CHARACTERS=100)
    found = problem_of(tmp_path, "id,text\n1,a\n" + row, quotes="quoted", **CSV)
    assert found.code == "bad-quotes"
    assert found.place
    assert found.place.line == 3
    assert said in str(found)
    assert str(found) != found.in_language("fr")
    assert str(found.facts["why"]) not in found.in_language("fr")


KEYS: list[tuple[str, Any, dict[str, Any]]] = [
    ("plain", "id,text\n1,a\n", {}),
    ("Leipzig", "1\tIna kwana malam.\n2\tLafiya lau.\n", {"separator": "tab", "header": "none"}),
    ("Tatoeba", "11\thau\tIna kwana.\n12\thau\tLafiya.\n", {"separator": "tab", "header": "none"}),
    (
        "Excel",
        "id;texte\n1;Nanga def, Ali\n".encode("utf-16"),
        {"encoding": "utf-16", "separator": ";"},
    ),
    ("titles", "Radio;\nfran\u00e7ais;wolof\na b c d;e f\n", {"separator": ";", "header": 2}),
]


@pytest.mark.parametrize(("name", "content", "expected"), KEYS, ids=[row[0] for row in KEYS])
def test_the_keys_that_a_table_needs_are_found(
    tmp_path: Path, name: str, content: Any, expected: dict[str, Any]
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert csv_keys(SourceFile(path, "t.csv")) == expected, name
    assert csv_columns(SourceFile(path, "t.csv"))


def test_a_first_row_that_may_be_names_or_a_record_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("Ina kwana malam\tSannu\nNa gode sosai\tYau\n", "utf-8")
    with pytest.raises(DataError) as caught:
        tsv_keys(SourceFile(path, "t.tsv"))
    assert caught.value.codes == ("header-unclear",)


SIGNS = st.sampled_from("abàŋéжقनਕ᱐ሀ𞤀 \u200c\u0301\"',;\t|\n\r.\u0085\u2028-#0")
TEXT = st.text(SIGNS, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, dict[str, Any], list[str]]:
    """Return a table by csv.writer, its card's keys, and the texts in it."""
    separator = draw(st.sampled_from(",;\t|"))
    columns = draw(st.integers(1, 3))
    wanted = draw(st.integers(0, columns - 1))
    rows = draw(st.lists(st.lists(TEXT, min_size=columns, max_size=columns), max_size=8))
    ids = draw(st.booleans())
    header = draw(st.booleans())
    names = ["text" if n == wanted else f"c{n}" for n in range(columns)]
    if ids:
        names, columns, wanted = ["n", *names], columns + 1, wanted + 1
        rows = [[str(n), *row] for n, row in enumerate(rows)]
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=separator,
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    writer.writerows([names, *rows] if header else rows)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    form = draw(st.sampled_from(["csv", "tsv"]))
    corpus: dict[str, Any] = {"format": form, "columns": {"text": "text"}}
    if not header:
        corpus |= {"header": "none", "columns": {"text": str(wanted + 1)}}
    usual = {"csv": ",", "tsv": "\t"}[form]
    if draw(st.booleans()) or (not header and separator != usual):
        corpus["separator"] = "tab" if separator == "\t" else separator
    texts = [row[wanted] for row in rows if any(cell.strip() for cell in row)]
    return out.getvalue().encode(encoding), corpus, texts


@given(tables())
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_table_is_read_exactly_or_refused(
    tmp_path: Path, table: tuple[bytes, dict[str, Any], list[str]]
) -> None:
    """A table of csv.writer comes back, or a file or row is refused: never another text."""
    content, corpus, expected = table
    path = tmp_path / "t"
    path.write_bytes(content)
    block = block_of(corpus)
    try:
        found = list(reader(block.format)([SourceFile(path, "t")], corpus=block))
    except DataError:
        return
    # CR and LF around a cell are part of the line end where csv.writer does not enclose them
    records = [unit.fields["text"].strip("\r\n") for unit in found if isinstance(unit, Record)]
    # a cell of signs alone may be read with or without its marks; no language is lost with it
    records = [text for text in records if any(map(str.isalnum, text))]
    expected = [text.strip("\r\n") for text in expected if any(map(str.isalnum, text))]
    rejected = [unit for unit in found if isinstance(unit, Rejection)]
    if not rejected:
        assert records == expected
    else:
        left = iter(expected)
        assert all(text in left for text in records), (records, expected)


def test_marks_that_are_never_closed_take_time_in_proportion(tmp_path: Path) -> None:
    """Each line opens a cell; 20,000 of them are broken rows within seconds."""
    path = tmp_path / "t.csv"
    path.write_text("id,text\n" + 'a","b\n' * 20_000, encoding="utf-8")
    begun = time.process_time()
    with contextlib.suppress(DataError):
        list(reader("csv")([SourceFile(path, "t.csv")], corpus=block_of(CSV)))
    assert time.process_time() - begun < 10


def test_what_was_understood_is_stated(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("id;text\n1;a\n".encode("utf-16"))
    found = csv_understood(SourceFile(path, "t.csv"), corpus=block_of(CSV))
    assert {str(key): str(value) for key, value in found} == {
        "encoding": "UTF-16-LE, by its byte order mark",
        "separator": "';'",
        "header": "line 1",
        "columns": "'id', 'text'",
    }


ALIGNED = 'Hello, you. ||| Sannu, kai.\nHow "are" you? ||| Yaya | kake?\n' + "Yes; sir ||| I\n" * 9


def test_aligned_sentences_are_a_table(tmp_path: Path) -> None:
    """Pairs of Moses and fast_align: `|||` parts them, whatever signs the sentences have."""
    path = tmp_path / "t.txt"
    path.write_text(ALIGNED, encoding="utf-8")
    file = SourceFile(path, "t.txt")
    assert is_separated(file)
    keys = csv_keys(file)
    assert keys == {"separator": "|||", "header": "none"}
    assert csv_columns(file, **keys) == ["1", "2"]
    pair = {"kind": "parallel", "languages": ["eng_Latn", "hau_Latn"]}
    columns = {"eng_Latn": "1", "hau_Latn": "2"}
    found = texts_of(tmp_path / "p", ALIGNED, format="csv", columns=columns, **pair, **keys)
    assert found[:2] == [("Hello, you.", "Sannu, kai."), ('How "are" you?', "Yaya | kake?")]
    wrong = ALIGNED + "no translation\na ||| b ||| c\n" + "Yes; sir ||| I\n" * 40
    lost = rejections(tmp_path / "w", wrong, format="csv", columns=columns, **pair, **keys)
    assert lost == [("malformed", "no translation"), ("malformed", "a ||| b ||| c")]
