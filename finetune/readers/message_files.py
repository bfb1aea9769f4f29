"""Reader of message files of software: key -> text, one file per language, paired by key."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem, sentence
from finetune.readers.guards import SHOWN_CHARACTERS, opened, too_much
from finetune.readers.json_records import json_object
from finetune.readers.json_stream import not_json
from finetune.readers.numbered_lines import whole_utf8
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.translated.language_files import language_sets
from finetune.readers.translated.message_formats import (
    MAX_MESSAGES_BYTES,
    android_messages,
    apple_messages,
    java_messages,
)
from finetune.sources.files import SourceFile
from finetune.sources.zipped import uncompressed_name
from finetune.spec.card import CorpusBlock

MAX_MESSAGES = 2_000_000
"""Keys and texts of a file, which is read as a whole."""
MAX_KEY_CHARACTERS = 1000
MESSAGE_SUFFIXES = (".strings", ".properties", ".arb")
HEAD_BYTES = 4096
MAX_LOOKED_AT = 8 * 2**20
"""Bytes of a JSON file that is looked at to know it."""
MIN_TEXTS = 3
RECORD_KEYS = frozenset(
    {"text", "content", "sentence", "messages", "conversations", "instruction", "prompt"}
    | {"question", "answer", "output", "data", "translation"}
)
"""Keys of a JSON object that is one record of a corpus."""
EXTENSION = frozenset({"message", "description", "placeholders"})
"""Keys of one message of a browser extension: {"key": {"message": "text", ...}}."""
_PLURAL = re.compile(r"[._](zero|two|few|many)$")
"""End of the key of a plural form (i18next, Android, Rails)."""
_IS_IT = sentence("is it a file of messages?")


def is_messages(file: SourceFile) -> bool:
    """Return whether a file holds messages of software, by its suffix and its content."""
    suffix = PurePosixPath(uncompressed_name(file.name)).suffix.lower()
    if suffix in MESSAGE_SUFFIXES:
        return True
    if suffix == ".xml":
        with opened(file) as stream:
            return b"<resources" in stream.read(HEAD_BYTES)
    return suffix == ".json" and _is_flat_json(file)


def _is_flat_json(file: SourceFile) -> bool:
    """Return whether a file is an object of keys and texts, and not one record."""
    with opened(file) as stream:
        data = stream.read(MAX_LOOKED_AT + 1)
    try:
        content = json.loads(data) if len(data) <= MAX_LOOKED_AT else None
    except (RecursionError, ValueError):
        return False
    if not isinstance(content, dict) or RECORD_KEYS & set(content):
        return False
    waiting, texts = [content], 0
    while waiting:
        for value in waiting.pop().values():
            if isinstance(value, dict):
                waiting.append(value)
            elif not isinstance(value, str):
                return False
            texts += isinstance(value, str)
    return texts >= MIN_TEXTS


def read_messages(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Files of key -> text, one per language, whose paths differ in it alone, paired by key.

    JSON, Android XML, Apple `.strings` and Java properties, by the suffix. Objects and lists inside
    objects are read too: their keys are joined by dots, without the part that is the language's own
    (`{"ha": {"menu": {"open": ...}}}` has the key `menu.open`). A key that a language lacks gives a
    record with None there; a plural form that only one language has is paired with `other`.
    """
    for of_name in language_sets(files, corpus):
        name = PurePosixPath(next(iter(of_name.values())).name).name
        texts: dict[str, dict[str, str]] = {}
        for language, file in of_name.items():
            texts[language] = {}
            for key, found in _messages(file, without=corpus.columns[language]):
                if isinstance(found, Rejection):
                    yield found
                else:
                    texts[language][key] = found
        for key in dict.fromkeys(key for messages in texts.values() for key in messages):
            fields = {language: _text_of(messages, key) for language, messages in texts.items()}
            yield Record(Place(name, key=key), fields)


def _text_of(messages: Mapping[str, str], key: str) -> str | None:
    """Return the text of a key; of a plural form that a language lacks, its form `other`."""
    if key in messages:
        return messages[key]
    form = _PLURAL.search(key)
    return messages.get(f"{key[: form.start(1)]}other") if form else None


def _messages(file: SourceFile, *, without: str) -> Iterator[tuple[str, str | Rejection]]:
    """Yield key and text of a file; the key `without`, at any depth, is no part of a key.

    DataError for a key that stands there twice.
    """
    suffix = PurePosixPath(uncompressed_name(file.name)).suffix.lower()
    readers = {".xml": android_messages, ".strings": apple_messages, ".properties": java_messages}
    read = readers.get(suffix)
    seen = set()
    for key, found in read(file) if read else _json_messages(file, without=without):
        if key in seen:
            raise _twice(file.place(key=key))
        seen.add(key)
        yield key, found


def _json_messages(file: SourceFile, *, without: str) -> Iterator[tuple[str, str | Rejection]]:
    data = whole_utf8(file, max_bytes=MAX_MESSAGES_BYTES, too_large=_IS_IT)
    text = data.decode("utf-8-sig")
    if text.count('"') > 2 * MAX_MESSAGES:
        what = sentence("keys and texts")
        raise too_much(file.place(), what=what, limit=MAX_MESSAGES, instead=_IS_IT)
    yield from _flat(_whole_json(text, file), file=file, without=without)


def _whole_json(text: str, file: SourceFile) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            raise _twice(file.place(key=twice[0][:SHOWN_CHARACTERS]))
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:  # with its line, which json_object does not know
        raise not_json(file.place(error.lineno), error) from None
    except DataError:
        raise
    except (RecursionError, ValueError) as error:
        raise not_json(file.place(), error) from None
    return json_object(text, file.place())


def _twice(at: Place) -> DataError:
    return DataError(problem("key-twice", "stands there twice; keep one", at=at))


def _flat(
    messages: Mapping[str, Any], *, file: SourceFile, without: str
) -> Iterator[tuple[str, str | Rejection]]:
    # a stack and no recursion: a file nests as deep as it likes
    waiting: list[tuple[str, Any]] = [("", messages)]
    while waiting:
        key, value = waiting.pop()
        if len(key) > MAX_KEY_CHARACTERS:
            short = key[:SHOWN_CHARACTERS]
            what = sentence("characters in the key {key!r}", key=short)
            raise too_much(file.place(), what=what, limit=MAX_KEY_CHARACTERS, instead=_IS_IT)
        if isinstance(value, Mapping) and "message" in value and set(value) <= EXTENSION:
            value = value["message"]
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping):
            waiting += reversed(list(_inside(value, key, without=without)))
        elif isinstance(value, list):
            waiting += [(f"{key}.{at}", one) for at, one in reversed(list(enumerate(value)))]
        else:
            shown = json.dumps(value)[:SHOWN_CHARACTERS]
            yield key, Rejection(file.place(key=key), "no-message-text", shown)


def _inside(messages: Mapping[str, Any], path: str, *, without: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of an object; `@name` describes `name` (ARB) and is none."""
    for name, value in messages.items():
        about = name.startswith("@@") or (name[:1] == "@" and name[1:] in messages)
        if not about:
            own = name == without and isinstance(value, Mapping)
            yield path if own else f"{path}.{name}" if path else name, value
