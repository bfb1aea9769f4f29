"""Messages of software in Android XML, Apple `.strings` and Java properties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from finetune.errors import DataError
from finetune.messages import problem, sentence
from finetune.readers.guards import no_nul, opened
from finetune.readers.numbered_lines import whole_utf8
from finetune.readers.record import Rejection
from finetune.readers.xml_stream import elements, named
from finetune.sources.files import SourceFile

MAX_MESSAGES_BYTES = 64 * 2**20
Found = tuple[str, str | Rejection]
"""A key with its text, or with the reason that it has none."""
_IS_IT = sentence("is it a file of messages?")
_APPLE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"((?:[^"\\]|\\.)*)"\s*=\s*"((?:[^"\\]|\\.)*)"\s*;|\s+', re.DOTALL
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_SEPARATOR = re.compile(r"((?:[^\\=:\s]|\\.)*)\s*[=:]?\s*(.*)", re.DOTALL)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def android_messages(file: SourceFile) -> Iterator[Found]:
    """Yield the messages of Android resources; plural forms and lists have keys of their own."""
    for _, element in elements(file, "string", "plurals", "string-array", form="messages"):
        key = element.get("name", "")
        items = named(element, "item")
        if element.get("translatable") == "false":
            text = "\n".join(map(_android_text, items or [element]))
            yield key, Rejection(file.place(key=key), "not-for-translation", text)
        elif not items:
            yield key, _android_text(element)
        for number, item in enumerate(items if element.get("translatable") != "false" else ()):
            yield f"{key}.{item.get('quantity', number)}", _android_text(item)


def _android_text(element: Element) -> str:
    """Return the words of a message: tags go, escapes are letters, spaces fold outside quotes."""
    raw = "".join(element.itertext())
    parts = re.split(r'(?<!\\)"', raw)
    folded = (p if at % 2 else re.sub(r"\s+", " ", p) for at, p in enumerate(parts))
    return _unescaped("".join(folded).strip())


def apple_messages(file: SourceFile) -> Iterator[Found]:
    """Yield the messages of a `.strings` file. DataError for text that is none."""
    text, at = _text(file), 0
    while at < len(text):
        found = _APPLE.match(text, at)
        if found is None or found.end() == at:
            raise DataError(
                problem(
                    "no-message",
                    "is no message; write {example}",
                    at=file.place(text.count("\n", 0, at) + 1),
                    example='"key" = "text";',
                )
            )
        at = found.end()
        if found[1] is not None:
            yield _unescaped(found[1]), _unescaped(found[2])


def java_messages(file: SourceFile) -> Iterator[Found]:
    """Yield the messages of a properties file, in UTF-8 or with `\\u` escapes."""
    parts: list[str] = []
    for line in [*re.split(r"\r\n|\n|\r", _text(file)), ""]:
        bare = line.lstrip(" \t\f")
        if not any(parts) and bare.startswith(("#", "!")):
            continue
        if (len(bare) - len(bare.rstrip("\\"))) % 2:
            parts.append(bare[:-1])
            continue
        whole = "".join((*parts, bare))
        if whole.strip() and (found := _SEPARATOR.fullmatch(whole)):
            yield _unescaped(found[1]), _unescaped(found[2])
        parts = []


def _text(file: SourceFile) -> str:
    with opened(file) as stream:
        head = stream.read(2)
        if head in _UTF_16:  # as Xcode wrote them
            data = head + stream.read(MAX_MESSAGES_BYTES)
            return no_nul(data.decode("utf-16", "replace"), at=file.place())
    data = whole_utf8(file, max_bytes=MAX_MESSAGES_BYTES, too_large=_IS_IT)
    return no_nul(data.decode("utf-8-sig"), at=file.place())


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(_letter, text)
    if not any("\ud800" <= letter <= "\udfff" for letter in plain):
        return plain
    # two escapes for one character
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _letter(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _LETTERS.get(code, code)
