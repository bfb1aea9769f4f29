"""USFM books: a segment per verse, title and footnote text; markers, numbers and references stay.

What is inside a verse and no text of it is put back at its place: paragraphs and lines of poetry at
a space, character styles and notes at a word. Running headers, tables of contents, references,
comments, figures and cross references stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from finetune.readers.fieldwork.usfm_markers import (
    MARKER,
    MILESTONE,
    NOTES,
    NUMBER,
    WORD,
    is_setting,
    kind_of_paragraph,
)
from finetune.translate.placeholders_kept import DIRECTION
from finetune.translate.skeleton import Mark, Part, segment_of

USFM_CHARSET = re.compile(rb"\A[^\0]{0,400}?\\ide[ \t]{1,9}([\w.-]{1,40})")
_END_OF_LINE = re.compile(r"[^\S\r\n]{0,9}[\r\n]\s*+")
_NEXT_VERSE = re.compile(r"\\[cv]\s")
_FOOTNOTES = frozenset({"f", "fe", "ef"})
_NOTE_TEXT = re.compile(r"(?:ft|fq|fqa|fk|fl|fp)$")
_SPACE = re.compile(r"[^\S\r\n]")
_NUMBERED = frozenset({"c", "v", "id"})
_CELL = re.compile(r"t[hc]r?c?\d{0,2}(?:-\d{1,2})?$")


@dataclass(slots=True)
class _Book:
    """The walk through a book."""

    text: str
    parts: list[Part] = field(default_factory=list)
    pieces: list[str | Mark] = field(default_factory=list)
    """Of the open verse or title."""
    name: str = ""
    chapter: str = ""
    verse: str = ""
    is_text: bool = False
    """False where what follows stays as it is."""

    @property
    def label(self) -> str:
        number = f"{self.chapter}:{self.verse}" if self.verse else self.chapter
        return f"{self.name} {number}".strip()

    def close(self) -> None:
        """End the open verse or title."""
        self.parts += segment_of(self.pieces, label=self.label)
        self.pieces = []

    def keep(self, raw: str) -> None:
        """Add what stays as it is."""
        if raw and self.is_text:
            self.pieces.append(Mark((raw,)))
        elif raw:
            self.parts.append(raw)

    def say(self, raw: str) -> None:
        """Add a text, or what stands where no text is."""
        if not self.is_text:
            self.keep(raw)
            return
        at = 0
        for found in _END_OF_LINE.finditer(raw):
            self._say_line(raw[at : found.start()])
            self.pieces.append(Mark((found[0],), is_space=True))
            at = found.end()
        self._say_line(raw[at:])

    def _say_line(self, raw: str) -> None:
        at = 0
        for found in DIRECTION.finditer(raw):
            self.pieces += [raw[at : found.start()]] if raw[at : found.start()] else []
            self.pieces.append(Mark((found[0],)))
            at = found.end()
        self.pieces += [raw[at:]] if raw[at:] else []


def cut_usfm(text: str) -> list[Part]:
    """Return the texts of a USFM book."""
    book = _Book(text)
    at = 0
    while at < len(text):
        found = MARKER.search(text, at)
        if found is None:
            break
        book.say(text[at : found.start()])
        at = _marked(book, found)
    book.say(text[at:])
    book.close()
    return [part for part in book.parts if part != ""]


def _marked(book: _Book, found: re.Match[str]) -> int:
    """Take a marker and what belongs to it; return the offset behind."""
    text, name, begin = book.text, found[2], found.start()
    milestone = MILESTONE.match(text, begin)
    if milestone:
        book.keep(milestone[0])
        return milestone.end()
    if found[3]:  # a style ends
        book.keep(found[0])
        return found.end()
    if name in NOTES or name == "fig":
        return _note(book, name, begin, behind=found.end())
    if name in _NUMBERED:
        return _numbered(book, name, begin, behind=found.end())
    if is_setting(name) or (name.startswith("z") and _begins_line(text, begin)):
        return _setting(book, name, begin, behind=found.end())
    end = found.end() + (1 if _SPACE.match(text, found.end()) else 0)
    return _paragraph_or_style(book, name, begin, end)


def _paragraph_or_style(book: _Book, name: str, begin: int, end: int) -> int:
    kind, raw = kind_of_paragraph(name), book.text[begin:end]
    if _CELL.match(name):
        book.close()
        book.is_text = True
    elif kind == "none":
        book.keep(raw)
        return _past_attributes(book, end)
    elif kind != "text" or not (book.is_text and book.pieces and book.verse):
        book.close()
        book.is_text = kind in ("text", "title")
        book.verse = "" if kind == "title" else book.verse
    book.keep(raw)  # of a line of poetry within a verse: a mark inside of its segment
    return end


def _past_attributes(book: _Book, at: int) -> int:
    """Take the text of a style that has attributes: `\\w text|lemma="..."\\w*`."""
    text = book.text
    marker = MARKER.search(text, at)
    inside = text[at : marker.start()] if marker and marker[3] else ""
    bar = inside.find("|")
    if bar < 0 or marker is None:
        return at
    book.say(inside[:bar])
    book.keep(text[at + bar : marker.end()])
    return marker.end()


def _numbered(book: _Book, name: str, begin: int, *, behind: int) -> int:
    book.close()
    found = (WORD if name == "id" else NUMBER).match(book.text, behind)
    end = found.end() if found else behind
    number = found[1] if found else ""
    if name == "id":
        book.name, book.chapter, book.verse = number, "", ""
    elif name == "c":
        book.chapter, book.verse = number, ""
    else:
        book.verse = number
    book.is_text = name == "v"
    book.keep(book.text[begin:end])
    return end


def _setting(book: _Book, name: str, begin: int, *, behind: int) -> int:
    """Take a setting: to its end mark, or to the end of its line."""
    text = book.text
    closing = text.find(f"\\{name}*", behind)
    line = _END_OF_LINE.search(text, behind)
    end = line.start() if line else len(text)
    if 0 <= closing < end:
        book.keep(text[begin : closing + len(name) + 2])
        return closing + len(name) + 2
    book.close()
    book.is_text = False
    book.keep(text[begin:end])
    return end


def _note(book: _Book, name: str, begin: int, *, behind: int) -> int:
    """Take a note: the words of a footnote are segments, all else of it stays."""
    text = book.text
    following = _NEXT_VERSE.search(text, behind)
    end = following.start() if following else len(text)
    closing = text.find(f"\\{name}*", behind, end)
    end = end if closing < 0 else closing + len(name) + 2
    raw = text[begin:end]
    if name not in _FOOTNOTES:
        book.keep(raw)
        return end
    parts = tuple(_note_parts(raw, label=f"{book.label} note"))
    if book.is_text:
        book.pieces.append(Mark(parts))
    else:
        book.parts += parts
    return end


def _note_parts(raw: str, *, label: str) -> list[Part]:
    parts: list[Part] = []
    pieces: list[str | Mark] = []
    at, is_text = 0, False
    for found in MARKER.finditer(raw):
        _say_note(pieces, raw[at : found.start()], is_text=is_text)
        at = found.end()
        if found[1] or found[3]:  # a style inside of the text, or an end
            at += 0 if found[3] or not _SPACE.match(raw, at) else 1
            pieces.append(Mark((raw[found.start() : at],)))
            continue
        parts += segment_of(pieces, label=label)
        pieces.clear()
        parts.append(found[0])
        is_text = _NOTE_TEXT.match(found[2]) is not None
    _say_note(pieces, raw[at:], is_text=is_text)
    return [*parts, *segment_of(pieces, label=label)]


def _say_note(pieces: list[str | Mark], raw: str, *, is_text: bool) -> None:
    if not is_text:
        pieces.append(Mark((raw,)))
        return
    at = 0
    for found in _END_OF_LINE.finditer(raw):
        pieces += [raw[at : found.start()], Mark((found[0],), is_space=True)]
        at = found.end()
    pieces.append(raw[at:])


def _begins_line(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] in "\r\n"
