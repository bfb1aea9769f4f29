"""Reader of Word files: one text per paragraph, or one record per row of its tables.

Tracked changes are accepted. Text boxes, foot- and endnotes are texts too; what is rejected
(deletions, comments, heads of pages, hidden text ...) is counted.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from finetune.messages import Place, Sentence, phrase, sentence
from finetune.readers.documents.word_line import (
    OTHER_FORM,
    Line,
    ends_deleted,
    line_of,
    one_line,
    paragraphs_in,
)
from finetune.readers.documents.word_parts import (
    NORMAL,
    WORD,
    Styles,
    relations,
    style_of,
    styles_of,
)
from finetune.readers.documents.word_tables import (
    Row,
    first_cells,
    outside,
    rows_of,
    units_of_tables,
)
from finetune.readers.documents.word_walk import Found, Walk, walk
from finetune.readers.guards import listed, no_nul, refuse_legacy_font, unreadable
from finetune.readers.office_archive import archive_of
from finetune.readers.reasons import COMMENT, DRAWN, EMBEDDED, PAGE_HEAD
from finetune.readers.record import Record, Rejection, Unit
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.text.shown import quotable

LEFT_OUT = {"comments": COMMENT, "header": PAGE_HEAD, "footer": PAGE_HEAD}
"""Kind of a part -> reason to leave its texts out."""
NOTES = ("footnotes", "endnotes")
DRAWINGS = ("diagramData", "chart")


def read_docx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """One text per paragraph, those in tables included, in the order of the page; then the notes.

    With `columns`, one record per row of the tables that have these columns (finetune/readers/
    documents/word_tables.py).
    """
    for file in files:
        with archive_of(file) as archive:
            parts = _parts(archive, file)
            if corpus.columns:
                yield from units_of_tables(file, corpus, _body(parts))
            else:
                yield from (one for _, one in _body(parts) if not isinstance(one, Found))
            yield from _beside(parts, corpus)


def docx_columns(file: SourceFile) -> list[str]:
    """Return the names that `columns` may use: cells of the first rows of tables, and numbers."""
    with archive_of(file) as archive:
        return first_cells(_body(_parts(archive, file)))


def docx_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return the tables of a file and how they are read, with words for it."""
    with archive_of(file) as archive:
        rows = [one for one in rows_of(_body(_parts(archive, file))) if isinstance(one, Row)]
    firsts = [row for row in rows if row.number == 1]
    if not firsts:
        return [(sentence("tables"), sentence("none"))]
    read = sentence("each paragraph of a cell is a text; name `columns` to read one column")
    if corpus.columns:
        read = sentence("each row is a record")
    cells = [text for at in sorted(firsts[0].cells) if (text := firsts[0].text(at))]
    return [
        (sentence("tables"), phrase(f"{len(firsts):,}")),
        (sentence("rows of tables"), phrase(f"{len(rows):,}")),
        (sentence("first row of the first table"), listed(map(quotable, cells))),
        (sentence("tables are read so"), read),
    ]


@dataclass(frozen=True, slots=True)
class _Parts:
    """A file with its parts."""

    archive: zipfile.ZipFile
    file: SourceFile
    main: str
    styles: Styles
    others: Sequence[tuple[str, str]]
    """(kind, member) of the other parts."""


def _parts(archive: zipfile.ZipFile, file: SourceFile) -> _Parts:
    whole = relations(archive, file, of="")
    main = next((place for _, kind, place in whole if kind == "officeDocument"), None)
    if main is None or main not in archive.NameToInfo:
        raise unreadable(file.place(), what=WORD, why=sentence("it has no document"))
    others = [(kind, place) for _, kind, place in relations(archive, file, of=main)]
    styles = next((place for kind, place in others if kind == "styles"), None)
    there = sorted({one for one in others if one[1] in archive.NameToInfo})
    return _Parts(archive, file, main, styles_of(archive, file, styles), there)


@dataclass(slots=True)
class _Carried:
    """Texts of paragraphs whose end was deleted: the next paragraph continues them."""

    texts: list[str] = field(default_factory=list)


def _body(parts: _Parts) -> Iterator[tuple[int, Unit | Found]]:
    """Yield the units of the document, and the ends of its cells, rows and tables.

    Each with the number of tables around it.
    """
    file = parts.file
    paragraphs = 0
    carried = _Carried()
    walked = Walk(file.place(part=_number(1)))
    for found in walk(parts.archive, parts.main, walked):
        at = file.place(part=_number(max(1, paragraphs)))
        if found.kind == "altChunk":
            yield found.depth, Rejection(at, EMBEDDED)
        elif found.kind == "p":
            paragraphs += 1
            at = file.place(part=_number(paragraphs))
            box = file.place(part=sentence("paragraph {number:d}, text box", number=paragraphs))
            for unit in _units(found, parts, at=at, box=box, carried=carried):
                yield found.depth, unit
            walked.at = file.place(part=_number(paragraphs + 1))
        else:
            yield from ((found.depth, unit) for unit in _carried(carried, at))
            yield found.depth, found
    yield from ((0, unit) for unit in _carried(carried, file.place(part=_number(paragraphs))))


def _carried(carried: _Carried, at: Place) -> Iterator[Unit]:
    text = one_line("".join(carried.texts))
    carried.texts.clear()
    if _is_text(text):
        yield Record(at, {"text": text})


def _beside(parts: _Parts, corpus: CorpusBlock) -> Iterator[Unit]:
    """Yield the units of the other parts: the notes are texts, all others are rejected."""
    file = parts.file
    for kind, member in parts.others:
        if kind in DRAWINGS:
            yield from _drawn(parts, member)
        if kind not in NOTES and kind not in LEFT_OUT:
            continue
        walked = Walk(file.place(part=phrase(member)))
        for found in walk(parts.archive, member, walked):
            if found.kind == "p":
                at = file.place(part=_beside_number(kind, member, found.number))
                reason = LEFT_OUT.get(kind) if found.reason is None else found.reason
                inner = replace(found, reason=reason)
                for unit in _units(inner, parts, at=at, box=at, carried=_Carried()):
                    yield _outside(unit, corpus)


def _outside(unit: Unit, corpus: CorpusBlock) -> Unit:
    return unit if isinstance(unit, Rejection) or not corpus.columns else outside(unit)


def _drawn(parts: _Parts, member: str) -> Iterator[Unit]:
    """Yield the texts of a diagram or chart, which are rejected."""
    from finetune.readers.documents.word_parts import local, part

    at = parts.file.place(part=phrase(member))
    root = part(parts.archive, parts.file, member)
    for element in () if root is None else root.iter():
        if isinstance(element.tag, str) and local(element) == "?t" and (element.text or "").strip():
            yield Rejection(at, DRAWN, one_line(no_nul(element.text, at=at)))


def _units(
    found: Found, parts: _Parts, *, at: Place, box: Place, carried: _Carried
) -> Iterator[Unit]:
    """Yield the units of a paragraph: its text, its text boxes, and what is rejected of it."""
    line = line_of(found.element, parts.styles, reason=found.reason)
    if found.reason is None:
        line.words[:0] = carried.texts
        carried.texts.clear()
        if ends_deleted(found.element):
            carried.texts, line.words = line.words, []
    waiting = [(found.element, line, at)]
    while waiting:
        paragraph, line, place = waiting.pop(0)
        if line.text or line.left:
            _refuse_fonts(paragraph, line, parts.styles, at=place)
        yield from _texts(line, place)
        for content, around in line.boxes:
            for one, reason in paragraphs_in(content, around):
                waiting.append((one, line_of(one, parts.styles, reason=reason), box))


def _texts(line: Line, at: Place) -> Iterator[Unit]:
    if _is_text(line.text):
        yield Record(at, {"text": no_nul(line.text, at=at)})
    for reason, texts in line.left.items():
        left = one_line("".join(texts))
        if reason == EMBEDDED or (reason != OTHER_FORM and _is_text(left)):
            yield Rejection(at, reason, no_nul(left, at=at))


def _is_text(text: str) -> bool:
    return bool(text) and not text.isspace()


def _refuse_fonts(paragraph: object, line: Line, styles: Styles, *, at: Place) -> None:
    fonts = styles.fonts
    default = fonts.get(style_of(paragraph, "p"), fonts.get(""))
    for font in line.fonts | {default}:
        refuse_legacy_font(font or fonts.get(NORMAL), at=at)


def _number(number: int) -> Sentence:
    return sentence("paragraph {number:d}", number=number)


def _beside_number(kind: str, member: str, number: str) -> Sentence:
    if kind == "footnotes":
        return sentence("footnote {number}", number=number)
    if kind == "endnotes":
        return sentence("endnote {number}", number=number)
    if kind == "comments":
        return sentence("comment {number}", number=number)
    return phrase(member)
