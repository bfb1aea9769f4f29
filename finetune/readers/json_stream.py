"""JSON values of a file, read as a stream: what is none is skipped, with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem, sentence
from finetune.readers.guards import too_much
from finetune.readers.numbered_lines import decoded_blocks
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding

MAX_RECORD_CHARACTERS = 64 * 2**20
"""Of one object over several lines."""
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\\n]++|\\.)*+("?)|[\[\]{}]')
_BRACKET = re.compile(r"[\[\]{}]")
_SPACE = re.compile(r"[ \t\r\n]*")
_CUT = 16
"""Characters before the end of what was read, where an error may be only a cut."""
_DECODER = json.JSONDecoder()
_WHY = {
    "Expecting value": sentence("a value is missing"),
    "Expecting ',' delimiter": sentence("a comma is missing"),
    "Expecting ':' delimiter": sentence("a colon is missing behind a key"),
    "Expecting property name enclosed in double quotes": sentence(
        "a key in double quotes is missing"
    ),
    "Unterminated string starting at": sentence("a text without the quotation mark that ends it"),
    "Invalid control character at": sentence("a line break or control character within a text"),
    "Invalid \\escape": sentence("a backslash that begins no escape; write two of them"),
    "Invalid \\uXXXX escape": sentence("\\u without four digits or letters from a to f behind it"),
    "Extra data": sentence("something stands behind the value"),
}
"""Messages of Python's parser, in words that are translated."""


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value of a file with its place, or why it is none."""

    at: Place
    text: str
    """Its JSON, cut for those that are none."""
    value: Any = None
    error: DataError | None = None


def value_of(text: str, at: Place) -> Value:
    """Return the value that a text is, or why it is none."""
    try:
        value = loads(text, at)
    except DataError as error:
        return Value(at, text, error=error)
    return Value(at, text, value)


@dataclass(slots=True)
class _Reading:
    """Position in a file that is read as a stream of JSON values."""

    file: SourceFile
    blocks: Iterator[str]
    text: str = ""
    at: int = 0
    line: int = 1
    end: int = 0
    """Of the next value, once it was read."""

    def more(self) -> bool:
        """Read another block; what was consumed is let go.

        As much again is read as is kept, so that a value that is looked at after each reading takes
        time in proportion to its length.
        """
        kept = self.text[self.at :]
        if len(kept) > MAX_RECORD_CHARACTERS:
            raise too_much(
                self.place,
                what=sentence("characters in one record"),
                limit=MAX_RECORD_CHARACTERS,
                instead=sentence("write one record per line"),
            )
        wanted = min(len(kept), MAX_RECORD_CHARACTERS + 1 - len(kept))
        parts, size = [kept], 0
        for block in self.blocks:
            parts.append(block)
            size += len(block)
            if size >= wanted:
                break
        self.text, self.at = "".join(parts), 0
        return size > 0

    def go(self, to: int) -> None:
        """Move on, and count the lines."""
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def sign(self) -> str:
        """Return the next character that is no space; nothing at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.go(space.end() if space else self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    @property
    def place(self) -> Place:
        """The place of the next value."""
        return self.file.place(self.line)

    def next_value(self, at: Place) -> Value:
        """Return the next value; what is none is skipped to its closing bracket."""
        error = self._read_to_its_end()
        while error is not None and _may_be_cut(error, self.text) and self.more():
            error = self._read_to_its_end()
        end = self.end if error is None else self._after()
        text = self.text[self.at : end]
        wrong = None if error is None else self._wrong(error, at)
        self.go(end)
        return value_of(text, at) if wrong is None else Value(at, text, error=wrong)

    def _read_to_its_end(self) -> Exception | None:
        """Find the end of the next value; return why there is none."""
        try:
            _, self.end = _DECODER.raw_decode(self.text, self.at)
        except (RecursionError, ValueError) as why:
            return why
        if self.end == len(self.text) and self.more():  # a number may go on
            return self._read_to_its_end()
        return None

    def _wrong(self, error: Exception, at: Place) -> DataError:
        if not isinstance(error, json.JSONDecodeError):
            return not_json(at, error)
        line = self.line + self.text.count("\n", self.at, error.pos)
        before = self.text.rfind("\n", 0, error.pos)
        column = error.pos - before if before >= 0 else 0  # its line began in an earlier block
        return not_json(replace(at, line=line), error, column=column)

    def _after(self) -> int:
        """Return where the value after this place ends; DataError if no bracket closes it."""
        while True:
            depth = 0
            for sign in _brackets(self.text, self.at):
                depth += 1 if sign[0] in "[{" else -1
                if depth == 0:
                    return sign.end()
                if depth < 0:
                    break
            if not self.more():
                raise DataError(
                    problem(
                        "cut-json",
                        "no bracket closes the record that begins here, so nothing after it can be "
                        "read; correct it, or get the file again",
                        at=self.place,
                    )
                )


def _brackets(text: str, at: int) -> Iterator[re.Match[str]]:
    """Yield the brackets outside of texts; a quotation mark without its second one begins none."""
    for found in _TEXT_OR_BRACKET.finditer(text, at):
        if found[1] is None:
            yield found
        elif not found[1]:  # to the end of the line, so no other mark in it closes a text
            yield from _BRACKET.finditer(text, found.start(), found.end())


def _may_be_cut(error: Exception, text: str) -> bool:
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _CUT


def streamed(file: SourceFile, encoding: Encoding, *, closing: str) -> Iterator[Value]:
    """Yield the values of an array, or of a file of objects over several lines."""
    reading = _Reading(file, decoded_blocks(file, encoding=encoding))
    reading.sign()
    if closing:
        reading.go(reading.at + 1)
    number = 0
    while sign := reading.sign():
        if sign == closing:
            reading.go(reading.at + 1)
            if reading.sign():
                raise DataError(
                    problem(
                        "after-array",
                        "there is more after the end of the array; write one array, or one object "
                        "per line",
                        at=reading.place,
                    )
                )
            return
        if sign == ",":
            reading.go(reading.at + 1)
            continue
        number += 1
        part = sentence("record {number:d}", number=number)
        yield reading.next_value(file.place(reading.line, part=part))
    if closing:
        raise DataError(
            problem(
                "cut-array",
                "the array has no end; the file was cut off, get it again",
                at=reading.place,
            )
        )


def loads(text: str, at: Place) -> Any:
    """Return a JSON value; DataError for any other text, and for half of a character."""
    try:
        value = json.loads(text)
        if "\\u" in text:  # only an escape can contain half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            problem(
                "lone-surrogate",
                "contains half of a surrogate pair (a lone \\ud800-\\udfff escape), which is no "
                "character; export the file again",
                at=at,
            )
        ) from None
    except (RecursionError, ValueError) as error:  # too deep, or a number of too many digits
        raise not_json(at, error) from None
    return value


def not_json(at: Place, error: Exception, *, column: int | None = None) -> DataError:
    """Return the error for text that is no JSON, or none that can be read (too deep).

    `column`: of the fault, if it is another than in the text that was read; 0 is unknown.
    """
    if not isinstance(error, json.JSONDecodeError):
        deep = isinstance(error, RecursionError)
        why = sentence("it nests too deeply") if deep else sentence("a number has too many digits")
        return DataError(problem("not-json", "not JSON: {why}", at=at, why=why))
    at = replace(at, column=(error.colno if column is None else column) or None)
    before = error.doc[max(0, error.pos - 100) : error.pos].rstrip()
    sign = error.doc[error.pos : error.pos + 1]
    if sign == "'" and before.endswith(("{", ",")):
        return DataError(
            problem(
                "single-quotes",
                "keys and texts stand in double quotes in JSON, not in single ones; export the "
                "file as JSON",
                at=at,
            )
        )
    if (sign in ("}", "]") and before.endswith(",")) or error.msg.startswith("Illegal trailing"):
        return DataError(
            problem("trailing-comma", "a comma before the closing bracket; remove it", at=at)
        )
    if sign == "," and error.msg == "Extra data":
        return DataError(
            problem(
                "comma-behind",
                "a comma behind the object; remove it, or write an array in square brackets",
                at=at,
            )
        )
    if sign in ("/", "#") and error.msg.startswith("Expecting"):
        return DataError(
            problem("json-comment", "a comment, which JSON has not; remove it from the file", at=at)
        )
    return DataError(
        problem("not-json", "not JSON: {why}", at=at, why=_WHY.get(error.msg, error.msg))
    )
