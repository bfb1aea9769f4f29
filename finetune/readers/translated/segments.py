"""Units of files in XML: where they stand, and the texts inside the codes of a segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from finetune.errors import DataError
from finetune.messages import Place, problem, sentence
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import record_of
from finetune.readers.xml_stream import elements
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock


def unit_place(file: SourceFile, number: int, segment: int | None = None) -> Place:
    """Return the place of a unit, or of one of its segments."""
    if segment is None:
        return file.place(part=sentence("unit {number:d}", number=number))
    part = sentence("unit {number:d}, segment {segment:d}", number=number, segment=segment)
    return file.place(part=part)


def units_named(file: SourceFile, *names: str, form: str) -> Iterator[Element]:
    """Yield the elements of a name; DataError if there is none."""
    for _, unit in units_around(file, *names, form=form):
        yield unit


def units_around(
    file: SourceFile, *names: str, form: str
) -> Iterator[tuple[Sequence[Element], Element]]:
    """Yield the elements of a name, each after those around it; DataError if there is none."""
    empty = True
    for around, unit in elements(file, *names, form=form):
        empty = False
        yield around, unit
    if empty:
        raise DataError(
            problem(
                "no-units",
                "contains none of these elements: {names}; is it this kind of file?",
                at=file.place(),
                names=[f"<{name}>" for name in names],
            )
        )


def inner_units(
    inner: Mapping[str, Sequence[str]], at: Place, *, corpus: CorpusBlock
) -> Iterator[Unit]:
    """Yield the texts inside codes, `inner` by column: as pairs if each column has as many.

    Otherwise they cannot be paired, and each is rejected.
    """
    if len({len(texts) for texts in inner.values()}) == 1:
        for row in zip(*inner.values(), strict=True):
            yield record_of(at, dict(zip(inner, row, strict=True)), corpus)
        return
    for texts in inner.values():
        for text in texts:
            yield Rejection(at, "unpaired-text", text)
