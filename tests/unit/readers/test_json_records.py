"""JSON records in the shapes that people bring: lines, arrays, objects, lists in objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.messages import Sentence
from finetune.readers import json_stream
from finetune.readers.content import texts_of
from finetune.readers.json_records import json_columns
from finetune.readers.numbered_lines import decoded_blocks
from finetune.readers.record import Record, Rejection
from finetune.readers.units import units_of
from finetune.sources.files import SourceFile, resolve_files
from tests.support.prepare_job import make_card
from tests.support.surroundings import Constants

RECORDS = [{"body": f"Ina kwana {n}", "n": n} for n in range(40)]
TEXTS = [record["body"] for record in RECORDS]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)
CHAT: dict[str, Any] = {"kind": "chat", "columns": {"messages": "m"}}
ALPACA: dict[str, Any] = {
    "kind": "chat",
    "columns": {"instruction": "instruction", "input": "input", "answer": "output"},
}


def units(folder: Path, content: str | bytes, **corpus: Any) -> list[Record | Rejection]:
    facts = {"format": "json", "columns": {"text": "body"}} | corpus
    card = make_card(folder, "corpus", content, **facts)
    return list(units_of(card, resolve_files(card, inputs={})))


def texts(found: list[Record | Rejection]) -> list[str]:
    return [unit.fields["text"] for unit in found if isinstance(unit, Record)]


SHAPES: dict[str, str | bytes] = {
    "lines": LINES,
    "array": json.dumps(RECORDS),
    "pretty array": json.dumps(RECORDS, indent=2),
    "array with a byte order mark": b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(),
    "array with a comma at its end": json.dumps(RECORDS)[:-1] + ",\n]\n",
    "objects over several lines": "\n".join(json.dumps(record, indent=1) for record in RECORDS),
    "list in an object": json.dumps({"version": "1.1", "data": RECORDS}),
    "pretty list in an object": json.dumps({"data": RECORDS, "count": 40}, indent=4),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_the_same_records(tmp_path: Path, shape: str) -> None:
    """The content decides, under either name of the format."""
    for name in ("json", "jsonl"):
        assert texts(units(tmp_path, SHAPES[shape], format=name)) == TEXTS


def test_a_record_of_an_array_has_its_line_and_number(tmp_path: Path) -> None:
    found = units(tmp_path, '[\n {"body": "a"},\n {\n  "body": "b"}\n]')
    assert [unit.where for unit in found] == ["corpus.json:2: record 1", "corpus.json:3: record 2"]
    [_, second] = units(tmp_path, json.dumps({"data": RECORDS[:2]}))
    assert second.where == "corpus.json:1: data[1]"


def test_utf_16_arrays_are_read(tmp_path: Path) -> None:
    data = json.dumps(RECORDS, ensure_ascii=False).encode("utf-16")
    assert texts(units(tmp_path, data, encoding="utf-16")) == TEXTS


def test_texts_alone_have_the_column_text(tmp_path: Path) -> None:
    """An array of texts is read without a table around it; a card with other columns refuses it."""
    content = json.dumps(TEXTS, ensure_ascii=False)
    assert texts(units(tmp_path, content, columns={"text": "text"})) == TEXTS
    (tmp_path / "a.json").write_text(content)
    assert json_columns(SourceFile(tmp_path / "a.json", "a.json")) == ["text"]
    with pytest.raises(DataError):
        units(tmp_path, content)


GOOD = ", ".join(json.dumps(record) for record in RECORDS)
BAD: list[tuple[str, str]] = [
    ('{"body": "a",}', "trailing-comma"),
    ('{"body": }', "not-json"),
    ('{"body": "say "no" now"}', "not-json"),
    ('{"body": 3}', "field-without-text"),
    ('{"body": Infinity}', "field-without-text"),
    ('{"body": ["a"]}', "field-without-text"),
    ('{"text": "a"}', "no-column"),
    ('{"body": "a", "n": 1, "body": "b"}', "doubled-key"),
    ('{"body": "\\ud800"}', "lone-surrogate"),
    ('"a"', "no-object"),
    ("['a']", "not-json"),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_a_bad_record_is_counted_and_the_others_are_read(
    tmp_path: Path, bad: str, code: str
) -> None:
    """In lines and in arrays, over one line or several, with its place."""
    pretty = ",\n".join(json.dumps(record, indent=1) for record in RECORDS)
    for content in (
        f"{LINES}{bad}\n{LINES}",
        f"[{GOOD}, {bad}, {GOOD}]",
        f"[{pretty},\n{bad},\n{pretty}]",
    ):
        found = units(tmp_path, content)
        assert texts(found) == TEXTS * 2
        [rejected] = [unit for unit in found if isinstance(unit, Rejection)]
        assert rejected.problem
        assert rejected.problem.code == code
        assert rejected.place.line == content[: content.index(bad)].count("\n") + 1


def test_a_key_that_stands_twice_is_refused_with_both_positions(tmp_path: Path) -> None:
    [one] = units(tmp_path, '{"body": "a", "n": 1, "body": "b"}\n')
    assert isinstance(one, Rejection)
    assert one.problem
    assert (one.problem.facts["first"], one.problem.facts["second"]) == ("1:2", "1:23")
    [other] = units(tmp_path, '{"body": "a", "n": 1, "n": 2}\n')  # no one reads it
    assert texts([other]) == ["a"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('[{"body": "a"}, {"body": "b', "cut-json"),
        ('[{"body": "a"}, {"body": "b"}', "cut-array"),
        ('[{"body": "a"}]\n[{"body": "b"}]\n', "after-array"),
        ('{"train": [{"body": "a"}], "test": [{"body": "b"}]}', "several-lists"),
    ],
)
def test_what_hides_records_is_refused(tmp_path: Path, content: str, code: str) -> None:
    """A file that was cut off, or with several lists, is not read in part."""
    with pytest.raises(DataError) as caught:
        units(tmp_path, content)
    assert caught.value.codes == (code,)


@pytest.mark.parametrize(
    ("line", "code"),
    [('{"body": "a"},', "comma-behind"), ("{'body': 'a'}", "single-quotes")],
)
def test_lines_with_the_faults_of_other_programs_are_named(
    tmp_path: Path, line: str, code: str
) -> None:
    with pytest.raises(DataError) as caught:
        units(tmp_path, f"{line}\n" * 5)
    assert caught.value.codes == ("too-many-malformed", *[code] * 5)


def test_a_missing_value_is_no_text_and_no_fault(tmp_path: Path) -> None:
    """null and NaN, which tables write for nothing, are empty; so is a missing optional key."""
    lines = (
        '{"instruction": "a", "input": NaN, "output": "b"}\n{"instruction": "a", "output": "b"}\n'
    )
    one, two = units(tmp_path, lines, **ALPACA)
    assert isinstance(one, Record)
    assert isinstance(two, Record)
    card = make_card(tmp_path, "c", "", format="json", **ALPACA)
    assert texts_of(one, card.corpus) == texts_of(two, card.corpus)


TURNS = [("user", "Sannu"), ("assistant", "Yauwa")]
SPELLINGS: list[Any] = [
    [{"role": "user", "content": "Sannu"}, {"role": "assistant", "content": "Yauwa"}],
    [{"from": "human", "value": "Sannu"}, {"from": "gpt", "value": "Yauwa"}],
    [{"from": "user", "value": "Sannu"}, {"from": "assistant", "value": "Yauwa"}],
    [{"from": "Human", "value": "Sannu"}, {"from": "chatgpt", "value": "Yauwa"}],
    [{"role": "user", "text": "Sannu"}, {"role": "bot", "text": "Yauwa"}],
    [
        {"role": "user", "content": [{"type": "text", "text": "Sannu"}]},
        {"role": "assistant", "content": ["Yauwa"], "tool_calls": None},
    ],
]


def chat(folder: Path, fields: dict[str, Any], **corpus: Any) -> Any:
    card = make_card(folder, "c", json.dumps(fields) + "\n", format="json", **corpus)
    [unit] = units_of(card, resolve_files(card, inputs={}))
    if isinstance(unit, Rejection):
        return unit.problem.code if unit.problem else unit.reason
    found = texts_of(unit, card.corpus)
    assert not isinstance(found, Rejection)
    return [(text.role, text.text) for text in found.values()]


@pytest.mark.parametrize("turns", SPELLINGS)
def test_conversations_are_read_in_every_spelling(tmp_path: Path, turns: Any) -> None:
    assert chat(tmp_path, {"m": turns}, **CHAT) == TURNS


def test_system_and_history_come_before_the_question(tmp_path: Path) -> None:
    """The fields of LLaMA-Factory's records, and prompts that are turns themselves."""
    columns = {"instruction": "q", "answer": "a", "system": "s", "history": "h"}
    fields = {"q": "Me?", "a": "I", "s": "Hausa", "h": [["Sannu", "Yauwa"]]}
    wanted = [("system", "Hausa"), *TURNS, ("user", "Me?"), ("assistant", "I")]
    assert chat(tmp_path, fields, kind="chat", columns=columns) == wanted
    turns = {"q": [{"role": "user", "content": "Sannu"}], "a": [{"content": "Yauwa"}]}
    assert chat(tmp_path, turns, kind="chat", columns={"instruction": "q", "answer": "a"}) == TURNS


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ([{"role": "tool", "content": "3"}], "unsupported-role"),
        ([{"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}], "unsupported-role"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "non-text-part"),
        ([{"role": "narrator", "content": "a"}], "unknown-role"),
        ([{"role": "user"}], "no-conversation"),
        ([{"role": "user", "content": 3}], "field-without-text"),
        ("Sannu", "not-json"),
        (3, "no-conversation"),
    ],
)
def test_other_conversations_are_rejected_with_their_reason(
    tmp_path: Path, turns: Any, code: str
) -> None:
    assert chat(tmp_path, {"m": turns}, **CHAT) == code


def test_a_role_that_may_be_a_name_is_shown_nowhere(tmp_path: Path) -> None:
    """Turns that name their speakers are malformed; neither problem nor text quotes the names."""
    turns = [{"role": "Zulai Danladi", "name": "Zulai Danladi", "content": "Sannu"}]
    content = json.dumps({"m": turns}) + "\n"
    [unit] = units(tmp_path, content, format="jsonl", **CHAT)
    assert isinstance(unit, Rejection)
    assert unit.problem
    assert "zulai" not in f"{unit.problem} {unit.problem.facts}".lower()
    assert (unit.text, unit.problem.facts["characters"]) == ("Sannu", 13)


@pytest.mark.parametrize(
    "value",
    ["Sannu", "[" * 100_000, "[" + "9" * 5000 + "]", '["\\u00zz"]', '{"a" 1}', '["a', "[1] 2"],
)
def test_what_is_no_json_is_said_in_our_own_words(tmp_path: Path, value: str) -> None:
    """No message of Python's parser is shown: it is English and speaks of Python."""
    [unit] = units(tmp_path, json.dumps({"m": value}) + "\n", format="jsonl", **CHAT)
    assert isinstance(unit, Rejection)
    assert unit.problem
    assert isinstance(unit.problem.facts["why"], Sentence)


def test_blocks_are_the_text_that_was_written(tmp_path: Path) -> None:
    """However small the blocks, letters are whole; a wrong byte has its line."""
    (tmp_path / "f").write_bytes("ɗan\nƙofa 🙂".encode())
    file = SourceFile(tmp_path / "f", "f")
    assert "".join(decoded_blocks(file, encoding="utf-8", block_bytes=1)) == "ɗan\nƙofa 🙂"
    (tmp_path / "f").write_bytes("ɗan\nƙ".encode() + b"\xff")
    with pytest.raises(DataError) as caught:
        list(decoded_blocks(file, encoding="utf-8", block_bytes=2))
    [problem] = caught.value.problems
    assert problem.place
    assert (problem.place.line, problem.facts["offset"]) == (2, 7)


def test_the_keys_of_the_first_records_are_offered(tmp_path: Path) -> None:
    """Also those that the first record lacks; of a list in an object those of its records."""
    for content in (
        '[{"a": 1}, {"b": 2}]',
        '{"a": 1}\n{"b": 2}\n',
        '{"data": [{"a": 1}, {"b": 2}]}',
    ):
        (tmp_path / "f").write_text(content, encoding="utf-8")
        assert json_columns(SourceFile(tmp_path / "f", "f")) == ["a", "b"]


def test_an_array_on_one_long_line_is_read_as_a_stream(tmp_path: Path) -> None:
    """A line of more than 16 MiB is too long for lines, and not for an array."""
    records = [{"body": f"{n} " + "ƙ" * 100_000} for n in range(90)]
    assert len(texts(units(tmp_path, json.dumps(records, ensure_ascii=False)))) == 90


FAULTS = {
    "a comment": ("// of the radio\n[{}]", "json-comment"),
    "a hash": ("# of the radio\n{}\n", "json-comment"),
    "numbers and no records": ("[1, 2]", "no-object"),
    "Telegram": (
        '{"name": "g", "messages": [{"type": "message", "date": "2024"}]}',
        "telegram-export",
    ),
    "all of Telegram": ('{"chats": {"list": [{"messages": [{"from": "A"}]}]}}', "telegram-export"),
}


@pytest.mark.parametrize(("content", "code"), FAULTS.values(), ids=FAULTS)
def test_a_file_without_records_is_refused_with_what_it_is(
    tmp_path: Path, content: str, code: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError) as raised:
        json_columns(SourceFile(tmp_path / "a.json", "a.json"))
    assert raised.value.codes == (code,)


def test_paths_to_texts_are_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "translation": {"en": "a", "ha": "b"}, "m": {}}')
    columns = json_columns(SourceFile(tmp_path / "a.jsonl", "a.jsonl"))
    assert columns == ["id", "translation.en", "translation.ha", "m"]


class Counting:
    """A JSON decoder that counts the characters that it is given."""

    def __init__(self) -> None:
        self.characters = 0

    def raw_decode(self, text: str, at: int) -> tuple[Any, int]:
        self.characters += len(text) - at
        return json.JSONDecoder().raw_decode(text, at)


def test_a_long_value_is_decoded_in_proportion_to_its_length(
    tmp_path: Path, constants: Constants
) -> None:
    """A record of many blocks is not decoded again for each of them."""
    counting = Counting()
    constants(json_stream, _DECODER=counting)
    size = 12 * 2**20
    content = json.dumps([{"body": "a" * size}, {"body": "b"}], indent=1)
    assert [len(text) for text in texts(units(tmp_path, content))] == [size, 1]
    assert counting.characters < 4 * size


def test_a_long_damaged_value_is_skipped_in_proportion_to_its_length(
    tmp_path: Path, constants: Constants
) -> None:
    """The search for its closing bracket does not begin anew with each block."""
    looked: list[int] = []
    search = json_stream._brackets

    def counted(text: str, at: int) -> Iterator[re.Match[str]]:
        looked.append(len(text) - at)
        return search(text, at)

    constants(json_stream, _brackets=counted)
    size = 12 * 2**20
    damaged = f'{{"body" 1, "a": "{"a" * size}"}}'
    content = "[" + ",\n".join([damaged, *(json.dumps(record) for record in RECORDS)])
    found = units(tmp_path, f"{content}]")
    assert sum(looked) < 4 * size
    assert isinstance(found[0], Rejection)


def test_a_record_without_end_is_refused_by_its_length(
    tmp_path: Path, constants: Constants
) -> None:
    """A quotation mark that is never closed does not read the file into memory."""
    constants(json_stream, MAX_RECORD_CHARACTERS=2**21)
    with pytest.raises(DataError) as caught:
        units(tmp_path, '[{"body": "' + "a" * 2**23)
    assert caught.value.codes == ("too-much",)


ANSWERS: dict[str, Any] = {
    "kind": "chat",
    "format": "jsonl",
    "columns": {"instruction": "q", "answer": "a.text[0]"},
}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (["Lagos", "Eko"], "Lagos"),
        ("['Lagos']", "Lagos"),
        ('["Òṣogbo"]', "Òṣogbo"),
        ("[\"l'eau\", 'x']", "l'eau"),
        ([], ""),
        ("[]", ""),
        (None, ""),
        (" ", ""),
    ],
)
def test_the_first_value_of_a_list_is_read(tmp_path: Path, value: Any, answer: str) -> None:
    """Of a list, of one that is written as a text; an empty one is a missing answer."""
    record = json.dumps({"q": "Where?", "a": {"text": value}})
    card = make_card(tmp_path, "squad", record + "\n", **ANSWERS)
    [unit] = units_of(card, resolve_files(card, inputs={}))
    assert isinstance(unit, Record)
    texts = texts_of(unit, card.corpus)
    assert not isinstance(texts, Rejection)
    assert texts["1"].text == answer


@pytest.mark.parametrize(
    "value", ["Lagos", "['it's']", "[open", 3, {"0": "x"}, "[" * 9000 + "]" * 9000]
)
def test_what_is_no_list_is_malformed(tmp_path: Path, value: Any) -> None:
    """With the column's name; nothing is guessed and no code is run."""
    record = json.dumps({"q": "Where?", "a": {"text": value}})
    card = make_card(tmp_path, "squad", f"{record}\n{LINES}", **ANSWERS)
    first = next(iter(units_of(card, resolve_files(card, inputs={}))))
    assert isinstance(first, Rejection)
    assert first.problem is not None
    assert first.problem.code == "no-list"
    assert first.problem.facts["column"] == "a.text[0]"
