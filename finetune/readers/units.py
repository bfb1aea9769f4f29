"""Text units of a card: records, and rejected units within the limit of malformed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from finetune.errors import DataError
from finetune.messages import Place, Problem, counted, problem
from finetune.readers.content import Texts, texts_of
from finetune.readers.guards import opened
from finetune.readers.numbered_lines import as_replaced, damaged_byte
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.running_text import by_file
from finetune.sources.files import SourceFile, reader_of
from finetune.spec.card import DataCard
from finetune.spec.formats import known_format
from finetune.spec.withdrawn import record_hash
from finetune.text.shown import quotable, shown_problem

MAX_MALFORMED = 100
"""Malformed records of a corpus, at most."""
MAX_MALFORMED_SHARE = 0.05
"""The same as a share of its units; a single one is always tolerated."""
BLANK_BYTES = 4096
"""Size of the largest file that may be blank."""


def units_of(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Unit]:
    """Yield the text units of a card's files: records, and rejected units with their reasons.

    A record whose texts cannot be read (finetune.readers.content) is a rejected unit; a withdrawn
    one stays a record, so that its text is shown in no list. Personal data is masked in rejected
    units: no check will see them. Raises DataError for a file that cannot be read, and for too many
    malformed records: with each of them, once the limit is passed or the files end.
    """
    return (unit for unit, _ in units_with_texts(card, files))


def units_with_texts(
    card: DataCard, files: Sequence[SourceFile]
) -> Iterator[tuple[Unit, Texts | Rejection | None]]:
    """Yield the text units as `units_of` does, each record with its texts as they could be read."""
    texts: Texts | Rejection | None = None

    def units() -> Iterator[Unit]:
        nonlocal texts
        for unit in _read(card, files):
            texts = texts_of(unit, card.corpus) if isinstance(unit, Record) else None
            if isinstance(texts, Rejection) and not _is_withdrawn(unit, card):
                yield texts
            else:
                yield unit

    for unit in tolerated(units()):
        yield (_masked(unit, card), None) if isinstance(unit, Rejection) else (unit, texts)


def _masked(unit: Rejection, card: DataCard) -> Rejection:
    """Return a rejected unit without personal data in its text and problem.

    Which names a malformed record declares is not known, so its text is omitted where the card
    has a column for them.
    """
    text = quotable(unit.text)
    if unit.problem is None:
        return replace(unit, text=text)
    if "names" in card.corpus.columns:
        text = ""
    return replace(unit, text=text, problem=shown_problem(unit.problem))


def records_of(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Record]:
    """Yield the records of a card's files as its reader finds them, whatever they contain.

    Raises DataError as `units_of` does.
    """
    return (unit for unit in tolerated(_read(card, files)) if isinstance(unit, Record))


def _read(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Unit]:
    units: Iterator[Unit] = reader_of(card)(_filled(card, files), corpus=card.corpus)
    form = known_format(card.corpus.format)
    if card.corpus.unit == "file" and form is not None and not form.line_per_text:
        units = by_file(units)
    return map(_without_damage, units)


def _without_damage(unit: Unit) -> Unit:
    """Return a unit; a malformed one for a record with bytes that are not of the file's encoding.

    See `strict` of finetune.readers.numbered_lines.
    """
    if isinstance(unit, Rejection):
        return replace(unit, text=as_replaced(unit.text))
    texts = [text for value in unit.fields.values() for text in _strings(value)]
    byte = next(filter(None, map(damaged_byte, texts)), None)
    if byte is None:
        return unit
    what = problem(
        "damaged-line",
        "has a byte (0x{byte:02x}) that is not UTF-8, while the rest of the file is; write the "
        "letter anew",
        at=unit.place,
        byte=byte,
    )
    return Rejection(unit.place, MALFORMED, as_replaced(" ".join(texts)), what)


def _strings(value: object) -> Iterator[str]:
    """Yield the texts within a value of a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for one in value.values() for text in _strings(one))
    elif isinstance(value, Sequence):
        yield from (text for one in value for text in _strings(one))


def is_blank(file: SourceFile) -> bool:
    """Return whether a file holds nothing but white space and a byte order mark."""
    with opened(file) as stream:
        data = stream.read(BLANK_BYTES + 1)
    return len(data) <= BLANK_BYTES and not data.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe")


def _filled(card: DataCard, files: Sequence[SourceFile]) -> list[SourceFile]:
    """Return the files that are not blank; all of them where files of languages are paired."""
    form = known_format(card.corpus.format)
    filled = [file for file in files if not is_blank(file)]
    if form is not None and form.file_per_language and card.corpus.kind == "parallel":
        return list(files) if filled else []
    return filled


def _is_withdrawn(unit: Unit, card: DataCard) -> bool:
    withdrawn = card.withdrawn
    return bool(withdrawn) and isinstance(unit, Record) and record_hash(unit.fields) in withdrawn


def tolerated(units: Iterable[Unit]) -> Iterator[Unit]:
    """Yield units; DataError for more than 100 malformed ones, or more than 5 % and one."""
    malformed: list[Problem] = []
    read = 0
    for read, unit in enumerate(units, start=1):
        if isinstance(unit, Rejection) and unit.problem is not None:
            malformed.append(shown_problem(unit.problem))
            if len(malformed) > MAX_MALFORMED:
                raise DataError(_too_many(malformed, read), *malformed)
        yield unit
    if len(malformed) > max(1, MAX_MALFORMED_SHARE * read):
        raise DataError(_too_many(malformed, read), *malformed)


def rejected(error: DataError, *, text: str = "") -> Rejection:
    """Return a malformed record as a unit; `error`: the problem that it has."""
    [first, *_] = error.problems
    if first.place is None:
        raise error
    return Rejection(first.place, MALFORMED, text, first)


def _too_many(malformed: Sequence[Problem], read: int) -> Problem:
    first = malformed[0].place
    return Problem(
        "too-many-malformed",
        counted(
            "{count} malformed record in {read} ({limit:d} at most, and no more than {percent:d} "
            "%): correct the file, or check `format`, `columns` and the other keys of the card",
            "{count} malformed records in {read} ({limit:d} at most, and no more than {percent:d} "
            "%): correct the file, or check `format`, `columns` and the other keys of the card",
            len(malformed),
            read=read,
            limit=MAX_MALFORMED,
            percent=round(100 * MAX_MALFORMED_SHARE),
        ),
        first and Place(first.file),
    )
