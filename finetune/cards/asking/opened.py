"""Files of texts before any question: what was understood of them, and the first records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from finetune.cards.asking.people_columns import names_people
from finetune.cards.brought_files import columns_of
from finetune.cards.listing import people_size
from finetune.errors import DataError
from finetune.messages import Sentence, phrase, sentence
from finetune.readers.record import Record
from finetune.readers.units import tolerated
from finetune.sources.broken_files import explained
from finetune.sources.files import SourceFile, in_archive
from finetune.spec.card import CorpusBlock
from finetune.spec.entry_points import blamed, load
from finetune.spec.formats import FORMATS, GROUP, Format, reader
from finetune.text.personal import NAME_MASK
from finetune.text.shown import quotable, shown, shown_fact

FIRST_RECORDS = 3
FIRST_COLUMNS = 6
JUDGED_RECORDS = 1000
"""Records by whose values a column is taken for one of names."""
READ_UNITS = 20_000
"""Upper bound of the text units that are read to find faults."""
UNKNOWN = "und_Zzzz"
"""ISO 639 and 15924: not determined."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Files as they were understood."""

    columns: Sequence[str] = ()
    """Names for `columns`, if the format has any."""
    facts: Sequence[tuple[Sentence, Sentence]] = ()
    """Facts about the files: name and value."""
    samples: Sequence[Mapping[str, str]] = ()
    """The first records: column (empty for none) -> text, shortened and without personal data."""
    masked: Sequence[str] = ()
    """Columns that name people, or seem to: their values are masked in the samples."""

    def lines(self) -> Iterator[Sentence]:
        """Yield what a person reads about the files."""
        for name, value in self.facts:
            yield sentence("{name}: {value}", name=name, value=value)
        for number, sample in enumerate(self.samples, start=1):
            texts = [f"{quotable(name)} = {one}" if name else one for name, one in sample.items()]
            yield phrase(f"  {number}  {' | '.join(texts)}")
        if note := self.note:
            yield note

    @property
    def note(self) -> Sentence | None:
        """Columns that are masked, in a sentence; None for none."""
        if not self.masked:
            return None
        return sentence(
            "Names of people are not shown here (N. N.): {columns}", columns=_listed(self.masked)
        )


def opened(
    files: Sequence[Path], *, form: Format, given: Mapping[str, Any], people: Sequence[str] = ()
) -> Opened:
    """Return files of a format as they were understood.

    `given`: keys of the card that are known; `people`: columns that name people, if they are known;
    those that seem to are masked too.

    Raises DataError with the fault of a file that cannot be read.
    """
    there = columns_of(files[0], form=form, keys=given) if form.has_columns else []
    sources = _sources(files, form)
    facts = [(sentence("file"), _sizes(files)), (sentence("format"), _about(form))]
    understood = _understood(sources[0], form, given)
    facts += [(name, shown_fact(value)) for name, value in understood]
    if there and not understood:
        facts.append((sentence("columns"), _listed(there)))
    columns = _columns(sources, form, there, given)
    masked = [
        name
        for name, texts in columns.items()
        if name in people or (name and names_people(name, texts.values()))
    ]
    return Opened(there, facts, list(_samples(columns, masked=masked)), masked)


def read_through(
    files: Sequence[Path],
    *,
    form: Format,
    kind: str,
    languages: Sequence[str],
    given: Mapping[str, Any],
) -> None:
    """Read the beginning of the files as the card will describe them; DataError for a fault."""
    corpus = _block(form, kind=kind, languages=list(languages), **given)
    sources = _sources(files, form)
    for _ in islice(tolerated(_units(sources, form, corpus)), READ_UNITS):
        pass


def _sources(files: Sequence[Path], form: Format) -> list[SourceFile]:
    """Return the files, and those inside archives."""
    sources = [SourceFile(file, file.name) for file in files]
    return [one for file in sources for one in in_archive(file, form=form)]


def _columns(
    files: Sequence[SourceFile], form: Format, there: Sequence[str], given: Mapping[str, Any]
) -> dict[str, dict[object, str]]:
    """Return column (empty for none) -> the first texts by their place.

    DataError if none of the columns can be read.
    """
    texts: dict[str, dict[object, str]] = {}
    faults: list[DataError] = []
    for column in there[:FIRST_COLUMNS] or [""]:
        columns = {"columns": {"text": column}} if column else {}
        corpus = _block(form, kind="text", languages=[UNKNOWN], **(dict(given) | columns))
        try:
            first = _first(_units(files, form, corpus))
            texts[column] = {
                record.where if column else number: _text(record)
                for number, record in enumerate(first)
            }
        except DataError as error:
            faults.append(error)
    if not texts and faults and not form.file_per_language:
        raise faults[0]
    return texts


def _samples(
    columns: Mapping[str, Mapping[object, str]], *, masked: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Yield the first records; values of the masked columns are masked in the others too."""
    places = dict.fromkeys(place for texts in columns.values() for place in texts)
    for place in islice(places, FIRST_RECORDS):
        record = {name: texts[place] for name, texts in columns.items() if place in texts}
        names = [record[name] for name in masked if record.get(name)]
        yield {
            name: NAME_MASK if name in masked and text else shown(text, names=names)
            for name, text in record.items()
        }


def _first(units: Iterator[Any]) -> Iterator[Record]:
    """Yield the first records; the units after them are read too, for their faults."""
    left = JUDGED_RECORDS
    for unit in islice(tolerated(units), READ_UNITS):
        if left and isinstance(unit, Record):
            left -= 1
            yield unit


def _text(record: Record) -> str:
    return " ".join(str(value) for value in record.fields.values() if value)


def _units(files: Sequence[SourceFile], form: Format, corpus: CorpusBlock) -> Iterator[Any]:
    units: Iterator[Any] = explained(reader(form.name))(files, corpus=corpus)
    return units


def _understood(
    file: SourceFile, form: Format, given: Mapping[str, Any]
) -> list[tuple[Sentence, Sentence]]:
    if not form.understood:
        return []
    corpus = _block(form, kind="text", languages=[UNKNOWN], **given)
    with blamed(form.name, group=GROUP, known=FORMATS):
        facts: list[tuple[Sentence, Sentence]] = load(form.understood)(file, corpus=corpus)
    return facts


def _block(form: Format, **keys: Any) -> CorpusBlock:
    """Return the keys of a card that reading needs, before there is a card."""
    # whether people are named is asked later, and reading an exported chat needs an answer
    return CorpusBlock.model_construct(format=form.name, personal_names="present", **keys)


def _about(form: Format) -> Sentence:
    if form.about is None:
        return phrase(form.name)
    return sentence("{name} ({about})", name=form.name, about=form.about)


def _sizes(files: Sequence[Path]) -> Sentence:
    sizes = [
        sentence("{file} ({size})", file=file.name, size=people_size(file.stat().st_size))
        for file in files
    ]
    return Sentence("{sizes}", (("sizes", tuple(sizes)),))


def _listed(columns: Sequence[str]) -> Sentence:
    names = tuple(quotable(column) for column in columns)
    return Sentence("{names}", (("names", names),))
