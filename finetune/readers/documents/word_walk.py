"""Walk through a part of a Word file: its paragraphs, cells and rows, one at a time.

A file of three megabytes may contain millions of paragraphs, so elements are dropped once they are
read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from finetune.messages import Place, sentence
from finetune.readers.documents import word_parts
from finetune.readers.documents.word_line import DELETIONS, OTHER_FORM
from finetune.readers.documents.word_parts import WORD, is_on, local, value
from finetune.readers.guards import clear, too_much
from finetune.readers.reasons import DELETED, HIDDEN, PLACEHOLDER

ROOTS = frozenset({"document", "footnotes", "endnotes", "comments", "hdr", "ftr"})
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})


@dataclass(slots=True)
class Frame:
    """An open element outside of a paragraph."""

    name: str
    reason: str | None
    """Reason to reject the texts in it; None if they are kept."""
    chosen: bool = False
    """True for alternatives of which one was read."""
    rows: int = 0
    """Rows of a table so far."""
    column: int = 0
    """Column of the next cell of a row."""
    width: int = 1
    """Columns of a cell."""
    repeated: bool = False
    """True for a row that is repeated on each page: it is the header."""
    number: str = ""
    """Number of a note or comment."""


@dataclass(frozen=True, slots=True)
class Found:
    """A paragraph, or the end of a cell, row or table."""

    kind: Literal["p", "tc", "tr", "tbl", "altChunk"]
    depth: int
    """Tables around it, an ended one included."""
    element: Any = None
    """The paragraph."""
    reason: str | None = None
    """Reason to reject a paragraph."""
    column: int = 0
    """Of a cell, from 0."""
    repeated: bool = False
    """True for a row that is the header on each page."""
    number: str = ""
    """Number of the note or comment around it."""


@dataclass(slots=True)
class Walk:
    """Position in a part."""

    at: Place
    frames: list[Frame] = field(default_factory=list)
    inside: int = 0
    """Number of elements that are open inside of a paragraph."""
    elements: int = 0
    """Number of elements since the last paragraph: they are in memory."""

    def around(self, name: str) -> Frame | None:
        """Return the innermost open element of a name."""
        return next((one for one in reversed(self.frames) if one.name == name), None)

    @property
    def depth(self) -> int:
        """Number of open tables."""
        return sum(one.name == "tbl" for one in self.frames)


def walk(archive: zipfile.ZipFile, member: str, walked: Walk) -> Iterator[Found]:
    """Yield the paragraphs of a member and the ends of cells, rows and tables, in order.

    `walked.at` is where errors are placed; its owner moves it on. Raises DataError for a damaged
    member and for too much at once.
    """
    from lxml import etree

    with clear(walked.at, WORD):
        events = etree.iterparse(
            archive.open(member),
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
        )
    while True:
        with clear(walked.at, WORD):
            found = _next(events, walked)
        if found is None:
            return
        yield found
        if found.element is not None:
            found.element.clear()


def _next(events: Any, walked: Walk) -> Found | None:
    for event, element in events:
        name = local(element)
        if event == "start":
            walked.elements += 1
            if walked.elements > word_parts.MAX_ELEMENTS:
                what = sentence("elements in one paragraph, or outside of one")
                instead = sentence("save it again as text")
                raise too_much(walked.at, what=what, limit=word_parts.MAX_ELEMENTS, instead=instead)
            if walked.inside or name == "p":
                walked.inside += 1
            else:
                _entered(walked, name, element)
        elif walked.inside:
            walked.inside -= 1
            if not walked.inside:
                walked.elements = 0
                _forget_before(element)
                return _paragraph(walked, element)
        elif (found := _left(walked, name, element)) is not None:
            return found
    return None


def _paragraph(walked: Walk, element: Any) -> Found:
    if not walked.frames:
        raise ValueError("it holds another kind of document")
    frame = walked.frames[-1]
    number = next((one.number for one in reversed(walked.frames) if one.number), "")
    return Found("p", walked.depth, element, frame.reason, number=number)


def _entered(walked: Walk, name: str, element: Any) -> None:
    if not walked.frames and name not in ROOTS:
        raise ValueError("it holds another kind of document")
    outer = walked.frames[-1] if walked.frames else Frame("", None)
    frame = Frame(name, outer.reason)
    if name in DELETIONS:
        frame.reason = frame.reason if outer.reason is not None else DELETED
    elif name in ("?Choice", "?Fallback"):
        frame.reason = OTHER_FORM if outer.chosen else outer.reason
        outer.chosen = True
    elif name in ("footnote", "endnote", "comment"):
        frame.number = value(element, "id") or "?"
        frame.reason = OTHER_FORM if value(element, "type") in _SEPARATORS else outer.reason
    elif name == "tr":
        outer.rows += 1
    elif name == "tc":
        row = walked.around("tr")
        frame.column = row.column if row else 0
    walked.frames.append(frame)


def _left(walked: Walk, name: str, element: Any) -> Found | None:
    depth = walked.depth
    frame = walked.frames.pop()
    outer = walked.frames[-1] if walked.frames else None
    found: Found | None = None
    if name == "tc":
        row = walked.around("tr")
        if row:
            row.column = frame.column + frame.width
        found = Found("tc", depth, column=frame.column)
    elif name == "tr":
        found = Found("tr", depth, repeated=frame.repeated)
    elif name in ("tbl", "altChunk"):
        found = Found(name, depth)  # type: ignore[arg-type]
    elif outer is not None:
        _set(walked, name, outer, element)
    element.clear()
    _forget_before(element)
    return found


def _set(walked: Walk, name: str, settings: Frame, element: Any) -> None:
    """Take a setting of the element around its settings."""
    owner = walked.frames[-2] if len(walked.frames) > 1 else None
    if owner is None:
        return
    if settings.name == "sdtPr" and name == "showingPlcHdr" and is_on(element):
        owner.reason = owner.reason if owner.reason is not None else PLACEHOLDER
    elif settings.name == "tcPr" and owner.name == "tc":
        _set_cell(walked, name, owner, element)
    elif settings.name == "trPr" and owner.name == "tr":
        if name == "gridBefore":
            owner.column += _count(value(element))
        elif name == "tblHeader":
            owner.repeated = is_on(element)
        elif name in ("del", "hidden") and owner.reason is None and is_on(element):
            owner.reason = DELETED if name == "del" else HIDDEN


def _set_cell(walked: Walk, name: str, cell: Frame, element: Any) -> None:
    if name == "gridSpan":
        cell.width = max(1, _count(value(element)))
    elif name == "cellDel" and cell.reason is None:
        cell.reason = DELETED
    elif name == "vMerge" and value(element) in (None, "continue"):
        # a merged cell comes once per row; its text is in the first of them
        table = walked.around("tbl")
        if cell.reason is None and not (table and table.rows == 1):
            cell.reason = HIDDEN


def _count(text: str | None) -> int:
    """Return a number of columns; 0 for what is none.

    >>> _count("2"), _count("-1"), _count("9" * 99)
    (2, 0, 0)
    """
    return int(text) if text and text.isdecimal() and len(text) < 5 else 0


def _forget_before(element: Any) -> None:
    """Remove earlier elements from the tree, which would grow otherwise."""
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
