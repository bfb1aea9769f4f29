"""Reader of JSON records: one per line, an array, objects over several lines, a list in an object.

The content decides between them, not the name of the file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.first_of_list import FIRST
from finetune.readers.guards import listed
from finetune.readers.json_stream import Value, loads, streamed, value_of
from finetune.readers.numbered_lines import decoded_blocks, numbered_lines
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import ABOUT, record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.spec.values.table_keys import Encoding

SHOWN_RECORDS = 20
"""First records whose keys `cards new` offers."""
SHOWN_TEXT = 600
TEXT = "text"
"""Column of texts that stand alone: `["...", "..."]`."""
OPTIONAL = frozenset({"input", "system", "history", *ABOUT})
"""Roles that a record may lack."""


def read_json(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """One record per JSON object; a column may be a path (`translation.ha`), or end with `[0]`."""
    wanted = {column.removesuffix(FIRST) for column in wanted_columns(corpus)}
    for file in files:
        for found in _records(file, corpus.encoding, wanted):
            try:
                if found.error is not None:
                    raise found.error
                _refuse_doubled(found, wanted)
                yield record_of(found.at, _record(found, wanted), corpus, optional=OPTIONAL)
            except DataError as error:
                [first, *_] = error.problems
                yield Rejection(found.at, MALFORMED, found.text[:SHOWN_TEXT], first)


def json_columns(file: SourceFile, *, encoding: Encoding = "utf-8") -> list[str]:
    """Return the keys of the first records; DataError if none of them can be read."""
    names: dict[str, None] = {}
    first: DataError | None = None
    for found in islice(_records(file, encoding, set()), SHOWN_RECORDS):
        try:
            if found.error is not None:
                raise found.error
            names |= dict.fromkeys(_paths(_record(found, {TEXT})))
        except DataError as error:
            first = first or error
    if first is not None and not names:
        raise first
    return list(names)


def _paths(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of a record; of an object of texts, the paths to them (`translation.ha`)."""
    for key, value in record.items():
        if isinstance(value, dict) and value and all(isinstance(x, str) for x in value.values()):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _records(file: SourceFile, encoding: Encoding, wanted: set[str]) -> Iterator[Value]:
    """Yield the values of a file that are to be records, those of a list in an object too."""
    values = _values(file, encoding)
    first = next(values, None)
    if first is None:
        return
    _refuse_exported_chat(first)
    key = _list_key(first, wanted)
    second = next(values, None) if key else None
    if key is None or second is not None:
        yield first
        yield from chain([second] if second else [], values)
        return
    for number, value in enumerate(first.value[key]):
        at = replace(first.at, key=f"{key}[{number}]")
        yield Value(at, json.dumps(value, ensure_ascii=False), value)


def _list_key(found: Value, wanted: set[str]) -> str | None:
    """Return the key of the only list of objects in an object without a wanted column.

    Raises DataError if there are several lists.
    """
    if not isinstance(found.value, dict):
        return None
    if any(name in found.value or name.partition(".")[0] in found.value for name in wanted):
        return None
    lists: list[str] = [
        key
        for key, value in found.value.items()
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    ]
    if len(lists) > 1:
        raise DataError(
            problem(
                "several-lists",
                "holds several lists of records: {names}; make a file of each",
                at=replace(found.at, line=None),
                names=listed(lists),
            )
        )
    if not lists or (not wanted and _is_chat(found.value)):
        return None
    return lists[0]


def _refuse_exported_chat(found: Value) -> None:
    """Raise DataError for a chat exported from Telegram: it names its senders."""
    whole = found.value if isinstance(found.value, dict) else {}
    chats = whole.get("chats", whole)
    turns = chats.get("list" if "chats" in whole else "messages") if isinstance(chats, dict) else 0
    chat = turns[0] if isinstance(turns, list) and turns and isinstance(turns[0], dict) else {}
    if {"date", "type"} <= set(chat) or (
        "chats" in whole and isinstance(chat.get("messages"), list)
    ):
        raise DataError(
            problem(
                "telegram-export",
                "is a chat exported from Telegram, which names its senders and is not read as it "
                "is; ask them, and make a table with a column of the texts without the names",
                at=replace(found.at, line=None),
            )
        )


def _is_chat(record: Mapping[str, Any]) -> bool:
    """Return whether an object looks like a conversation with other keys beside it."""
    turns = next(value for value in record.values() if isinstance(value, list) and value)
    return bool({"role", "from"} & set(turns[0]))


def _values(file: SourceFile, encoding: Encoding) -> Iterator[Value]:
    beginning = _beginning(file, encoding)
    if beginning == "[":
        yield from streamed(file, encoding, closing="]")
    elif beginning == "{":
        yield from streamed(file, encoding, closing="")
    else:
        for number, line in numbered_lines(file, encoding=encoding):
            if line and not line.isspace():
                yield value_of(line, file.place(number))


def _beginning(file: SourceFile, encoding: Encoding) -> str:
    """Return `[` for an array, `{` for an object over several lines, or nothing for lines."""
    blocks = (block.lstrip() for block in decoded_blocks(file, encoding=encoding))
    begun = next(filter(None, blocks), "")
    if not begun.startswith("{"):
        return "[" if begun.startswith("[") else ""
    line, end, _ = begun.partition("\n")
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return "{" if end and error.pos >= len(line.rstrip()) else ""
    except (RecursionError, ValueError):
        return ""
    return ""


def json_object(text: str, at: Place) -> dict[str, Any]:
    """Return a JSON object; DataError for any other text, and for half of a character."""
    return _object(Value(at, text, loads(text, at)))


def _record(found: Value, wanted: set[str]) -> dict[str, Any]:
    """Return a record; a text alone has the column `text`."""
    alone = isinstance(found.value, str) and wanted == {TEXT}
    return {TEXT: found.value} if alone else _object(found)


def _object(found: Value) -> dict[str, Any]:
    if not isinstance(found.value, dict):
        raise DataError(
            problem(
                "no-object",
                "a JSON {kind}, but a record must be an object ({example})",
                at=found.at,
                kind=type(found.value).__name__,
                example='{"column": "text"}',
            )
        )
    return found.value


def _refuse_doubled(found: Value, wanted: set[str]) -> None:
    """Raise DataError if a wanted key stands twice in the record: one text would be lost."""
    names = {part for column in wanted for part in (column, *column.split("."))}
    names = {name for name in names if found.text.count(f'"{name}"') > 1}
    if not names:
        return
    doubled: set[str] = set()

    def noticed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            doubled.update(key for key, count in counts.items() if count > 1)
        return made

    json.loads(found.text, object_pairs_hook=noticed)
    for name in sorted(doubled & names):
        places = [
            _position(found, match.start())
            for match in re.finditer(rf'"{re.escape(name)}"\s*:', found.text)
        ]
        raise DataError(
            problem(
                "doubled-key",
                "the key {name!r} stands twice in one record (line:column {first} and {second}); "
                "remove one",
                at=found.at,
                name=name,
                first=places[0],
                second=places[1],
            )
        )


def _position(found: Value, at: int) -> str:
    line = (found.at.line or 1) + found.text.count("\n", 0, at)
    return f"{line}:{at - found.text.rfind(chr(10), 0, at)}"
