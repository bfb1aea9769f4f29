"""Reader of plain text: each line, each paragraph between blank lines, or each file is a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile, islice, takewhile

from finetune.errors import DataError
from finetune.messages import Place, Problem, problem, sentence
from finetune.readers.chat_export import refuse_chat_export
from finetune.readers.guards import SPLIT, too_much
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Edit, Record, Rejection, Unit
from finetune.readers.tabular.text_tables import refuse_text_table
from finetune.readers.unread_content import refuse_unread_content
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.formats import find_format
from finetune.spec.values.table_keys import Encoding
from finetune.text.wrapping import Wrapping, joined_lines, unquoted, wrapping_of

MAX_TEXT_CHARACTERS = 16 * 2**20
"""Of a paragraph, or of a file that is one text."""
EXAMINED_LINES = 2000
"""First lines of a file in which wrapping is looked for."""
EXAMINED_FILES = 5


def read_text(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """One document per line, per paragraph (its lines are joined) or per file (`unit`).

    Raises DataError for a file that is a table with tabs, an exported chat, or no text at all.
    """
    for file in files:
        refuse_unread_content(file, encoding=corpus.encoding)
        refuse_text_table(file, encoding=corpus.encoding)
        refuse_chat_export(file, encoding=corpus.encoding)
        lines = numbered_lines(file, encoding=corpus.encoding)
        if corpus.unit == "file":
            yield from _whole(file, lines)
        elif corpus.unit == "paragraph":
            yield from _paragraphs(file, lines)
        else:
            for number, line in lines:
                if line and not line.isspace():
                    yield Record(file.place(number), {"text": line})


def _paragraphs(file: SourceFile, lines: Iterable[tuple[int, str]]) -> Iterator[Record]:
    first, block, size, depth = 0, list[str](), 0, 0
    for number, written in lines:
        quoted, line = unquoted(written)
        if block and (quoted != depth or not line.strip()):
            yield _paragraph(file.place(first), block, quoted=depth > 0)
            first, block, size = 0, [], 0
        if line and not line.isspace():
            first, size, depth = first or number, size + len(line), quoted
            block.append(line)
            _refuse_long(size, file, first)
    if block:
        yield _paragraph(file.place(first), block, quoted=depth > 0)


def _paragraph(at: Place, lines: Sequence[str], *, quoted: bool) -> Record:
    """Return lines as one text; `quoted`: each began with marks of an e-mail, which are counted."""
    edits = (Edit("quote-marks", f"> {lines[0]}", lines[0]),) if quoted else ()
    return Record(at, {"text": joined_lines(lines)}, changes=edits)


def _whole(file: SourceFile, lines: Iterable[tuple[int, str]]) -> Iterator[Record]:
    first, kept, size = 0, list[str](), 0
    for number, line in lines:
        if not first and (not line or line.isspace()):
            continue
        first, size = first or number, size + len(line) + 1
        kept.append(line)
        _refuse_long(size, file, first)
    if kept:
        yield Record(file.place(first), {"text": "\n".join(kept).rstrip()})


def _refuse_long(characters: int, file: SourceFile, line: int) -> None:
    if characters > MAX_TEXT_CHARACTERS:
        what = sentence("characters in one text")
        raise too_much(file.place(line), what=what, limit=MAX_TEXT_CHARACTERS, instead=SPLIT)


def by_file(units: Iterable[Unit]) -> Iterator[Unit]:
    """Yield the records of each file as one, at the place of its first; rejections as they are."""
    first: Record | None = None
    texts: list[str] = []
    changes: list[Edit] = []
    for unit in units:
        if isinstance(unit, Rejection):
            yield unit
            continue
        if first is not None and first.place.file != unit.place.file:
            yield Record(first.place, {"text": "\n".join(texts)}, changes=tuple(changes))
            first, texts, changes = None, [], []
        first = first or unit
        texts.append(str(unit.fields.get("text") or ""))
        changes += unit.changes
    if first is not None:
        yield Record(first.place, {"text": "\n".join(texts)}, changes=tuple(changes))


def wrapping(card: DataCard, files: Sequence[SourceFile]) -> Wrapping | None:
    """Return what the first lines of a card's files show, if they are plainly hard-wrapped.

    None for a card that states its `unit`, and for formats whose lines are no texts.
    """
    if card.corpus.unit is not None or not find_format(card.corpus.format).line_per_text:
        return None
    found = [
        wrapping_of(_first_lines(file, card.corpus.encoding)) for file in files[:EXAMINED_FILES]
    ]
    wrapped = [one for one in found if one.is_wrapped]
    if 2 * sum(one.lines for one in wrapped) <= sum(one.lines for one in found):
        return None
    return max(wrapped, key=lambda one: one.lines)


def proposed_unit(found: Wrapping) -> str:
    """Return the unit of wrapped lines: paragraphs, or the file if no blank line parts it."""
    return "paragraph" if found.blocks > 1 else "file"


def wrapped_problem(card: DataCard, found: Wrapping) -> Problem:
    """Return the problem of a card whose lines are hard-wrapped, with the line to add."""
    return problem(
        "hard-wrapped",
        "the lines look hard-wrapped: {share:.0%} of them end without a final mark, where the line "
        "was full. As it is, each line is a text of its own, and a model learns to stop behind it. "
        "Write `unit: {unit}` under `corpus:`, or `unit: line` if each line is a text",
        at=Place(card.path, key="corpus.unit"),
        share=1 - found.final,
        unit=proposed_unit(found),
    )


def readings(file: SourceFile, *, encoding: Encoding) -> dict[str, str]:
    """Return unit -> the first text that it gives, of a file that is hard-wrapped; else nothing."""
    lines = _first_lines(file, encoding)
    found = wrapping_of(lines)
    if not found.is_wrapped:
        return {}
    begun = list(dropwhile(lambda line: not line.strip(), lines))
    block = list(takewhile(str.strip, begun))
    return {
        proposed_unit(found): joined_lines(block if found.blocks > 1 else begun[:20]),
        "line": begun[0].strip(),
    }


def _first_lines(file: SourceFile, encoding: Encoding) -> list[str]:
    lines = numbered_lines(file, encoding=encoding)
    try:
        return [unquoted(line)[1] for _, line in islice(lines, EXAMINED_LINES)]
    except DataError:  # an error of reading, which is reported there
        return []
