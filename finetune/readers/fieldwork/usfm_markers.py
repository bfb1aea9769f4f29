"""Markers of USFM (ubsicap.github.io/usfm), and a walk through a file: paragraphs, verses, texts.

Character styles keep their text; notes, figures, word attributes and milestones are taken out of
the line, and their texts are returned as rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from finetune.readers.guards import no_nul
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.reasons import COMMENT, NOTE, PERIPHERAL, PICTURE
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding

LOOK_LINES = 200
POETRY = re.compile(r"(q[rcd]?|qm|li|lim)\d*$")
_BODY = re.compile(
    r"(p|m|po|pr|cls|pmo|pm|pmc|pmr|pi|mi|nb|pc|ph|phi|ps|psi|pde|b|pb|lh|lf|tr|q[rcd]?|qm|li|lim)"
    r"\d*$"
)
_TITLE = re.compile(
    r"(mt|mte|imt|imte|ms|s|is|d|sp|qa|cd|iot|ip|ipi|im|imi|ipq|imq|ipr|iq|ib|ili|io|iex|lit)\d*$"
)
_BESIDE = re.compile(r"(h|toc|toca|r|mr|sr|sd|cl)\d*$")
_NO_TEXT = re.compile(r"(usfm|ide|sts|restore|cp|ca|va|vp|pro|cat|ie|esb|esbe)$")
NOTES = frozenset({"f", "fe", "ef", "x", "ex", "rq"})
MILESTONE = re.compile(r"\\z?[a-z]+[0-9]*(?:-[se])?(?:\s*\|[^\\]*|\s*)\\\*")
MARKER = re.compile(r"\\(\+?)([a-zA-Z][a-zA-Z0-9]*(?:-[0-9]+)?)(\*?)")
_BOOK = re.compile(r"\\id\s+(?=[0-9]?[A-Z])[A-Z0-9]{3}(?![A-Za-z0-9])")
_STRUCTURE = re.compile(r"\\[cv]\s+\d")
NUMBER = re.compile(r"[ \t]{0,9}([0-9]+[a-z]?(?:[-\u2010-\u2013,][0-9]+[a-z]?)*)[ \t]?")
WORD = re.compile(r"[ \t]{0,9}([^\s\\]{1,40})[ \t]?")
_CALLER = re.compile(r"^\S\s+")
_SIGNS = str.maketrans({"~": "\u00a0"})


Kind = Literal["book", "chapter", "verse", "paragraph", "title", "text", "left"]
_NUMBERED: Mapping[str, Kind] = {"id": "book", "c": "chapter", "v": "verse"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step through a file."""

    kind: Kind
    line: int | None
    """From 1; None in XML."""
    text: str = ""
    """A number, the marker of a paragraph, or a text."""
    reason: str = ""
    """Reason to reject a text."""


def kind_of_paragraph(marker: str) -> Literal["text", "title", "beside", "none"]:
    """Return what the marker of a paragraph stands for."""
    if _BODY.match(marker):
        return "text"
    if _TITLE.match(marker):
        return "title"
    return "beside" if marker == "rem" or _BESIDE.match(marker) else "none"


def is_setting(marker: str) -> bool:
    """Return whether what a marker holds is a setting or a number, and no text."""
    return _NO_TEXT.match(marker) is not None


def is_usfm(file: SourceFile, encoding: Encoding = "utf-8") -> bool:
    """Return whether a file begins as USFM: the code of a book, and soon a chapter or verse."""
    begun = False
    for _, line in islice(numbered_lines(file, encoding=encoding), LOOK_LINES):
        text = line.strip()
        if text and not begun and not _BOOK.match(text):
            return False
        begun = begun or bool(text)
        if begun and _STRUCTURE.search(text):
            return True
    return False


def steps(file: SourceFile, encoding: Encoding) -> Iterator[Step]:
    """Yield the steps through a file; a title or a text beside the verses is one step each.

    Texts of one paragraph or verse may come in several steps.
    """
    reader = _Reader()
    for number, line in numbered_lines(file, encoding=encoding):
        text = no_nul(line, at=file.place(number))
        yield from reader.line(number, MILESTONE.sub("", text))
    yield from reader.end()


class _Reader:
    """State of the walk: what the open note or title holds so far."""

    def __init__(self) -> None:
        self.number = 0
        self.note = ""
        """Marker of the open note or figure."""
        self.kind: Literal["text", "title", "left", "none"] = "left"
        self.reason = PERIPHERAL
        """Reason to reject the open paragraph, for kind `left`."""
        self.held: list[str] = []
        """Text of the open title, or paragraph that is rejected."""
        self.noted: list[str] = []
        self.begin = 1
        """Line of the open title or note."""
        self.styles: list[str] = []
        """Open character styles."""
        self.sidebar = False
        """True inside of a sidebar, whose paragraphs belong to no verse."""
        self.attributes = False
        """True behind the `|` of a style."""

    def line(self, number: int, line: str) -> Iterator[Step]:
        """Yield the steps of a line."""
        self.number = number
        at = 0
        for marked in MARKER.finditer(line):
            if marked.start() < at:  # it was part of a number
                continue
            yield from self._text(line[at : marked.start()])
            at = marked.end()
            name, closes = marked[2], bool(marked[3])
            if closes:
                yield from self._closed(name)
                continue
            if line[at : at + 1] == " ":
                at += 1
            if name in ("c", "v", "id"):
                found = (WORD if name == "id" else NUMBER).match(line, at)
                at = found.end() if found else at
                yield from self._numbered(name, found[1] if found else "")
            else:
                yield from self._opened(name, starts=not line[: marked.start()].strip())
        yield from self._text(line[at:] + "\n")

    def end(self) -> Iterator[Step]:
        """Yield what is still open."""
        yield from self._close_note()
        yield from self._close_held()

    def _numbered(self, name: str, value: str) -> Iterator[Step]:
        yield from self.end()
        self.styles.clear()
        self.attributes = False
        self.kind, self.reason = ("text" if name == "v" else "left"), PERIPHERAL
        self.begin = self.number
        yield Step(_NUMBERED[name], self.number, value)

    def _opened(self, name: str, *, starts: bool) -> Iterator[Step]:
        if name in NOTES or name == "fig":
            yield from self._close_note()
            self.note, self.begin = name, self.number
        elif self.note:
            return  # a style inside of a note
        elif (kind := kind_of_paragraph(name)) == "text":
            yield from self._paragraph("title" if self.sidebar else "text")
            if not self.sidebar:
                yield Step("paragraph", self.number, name)
        elif kind == "title":
            yield from self._paragraph("title")
        elif kind == "beside":
            yield from self._paragraph("left")
            self.reason = COMMENT if name == "rem" else PERIPHERAL
        elif starts and is_setting(name):
            yield from self._paragraph("none")
            self.sidebar = name == "esb" or (self.sidebar and name != "esbe")
        elif re.match(r"t[hc]", name):
            yield from self._text(" ")  # the next cell of a row
        elif starts and not self.styles and name.startswith("z"):
            yield from self._paragraph("left")
            self.reason = PERIPHERAL
        else:
            self.styles.append(name)
            self.attributes = False

    def _paragraph(self, kind: Literal["text", "title", "left", "none"]) -> Iterator[Step]:
        yield from self.end()
        self.styles.clear()
        self.attributes = False
        self.kind, self.begin = kind, self.number

    def _closed(self, name: str) -> Iterator[Step]:
        if self.note and name == self.note:
            yield from self._close_note()
        elif not self.note and name in self.styles:
            del self.styles[self.styles.index(name) :]
            self.attributes = False

    def _text(self, text: str) -> Iterator[Step]:
        if self.note:
            self.noted.append(text)
            return
        if self.styles:
            text = self._without_attributes(text)
        if not text or (self.styles and is_setting(self.styles[-1])):
            return
        if self.kind == "text":
            yield Step("text", self.number, text.replace("//", " ").translate(_SIGNS))
        elif self.kind != "none":
            self.held.append(text.translate(_SIGNS))

    def _without_attributes(self, text: str) -> str:
        if self.attributes:
            return ""
        before, bar, _ = text.partition("|")
        self.attributes = bool(bar)
        return before

    def _close_note(self) -> Iterator[Step]:
        note = " ".join("".join(self.noted).split())
        reason = PICTURE if self.note == "fig" else NOTE
        if self.note == "fig":
            parts = [part.strip() for part in note.split("|")]  # the old form has its text sixth
            note = (parts[5] if len(parts) > 5 else "") or parts[0]
        else:
            note = _CALLER.sub("", note)
        if self.note and any(map(str.isalnum, note)):
            yield Step("left", self.begin, note, reason)
        self.note = ""
        self.noted.clear()

    def _close_held(self) -> Iterator[Step]:
        text = " ".join("".join(self.held).split())
        self.held.clear()
        if text and self.kind == "title":
            yield Step("title", self.begin, text)
        elif text:
            yield Step("left", self.begin, text, self.reason)
