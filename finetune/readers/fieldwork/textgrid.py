"""Reader of Praat TextGrid files, in the long and the short text form.

Both forms hold the same values in the same order, and only the long one names them: numbers,
quoted texts and flags are read, and all else is skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from finetune.errors import DataError
from finetune.messages import Sentence, problem, sentence
from finetune.readers.fieldwork.tiers import (
    Annotation,
    Tier,
    facts_of_tiers,
    units_of_tiers,
    with_patterns,
)
from finetune.readers.guards import SPLIT, bounded, too_much, unreadable
from finetune.readers.record import Unit
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

TEXTGRID = sentence("a Praat TextGrid")
MAX_TEXTGRID_BYTES = 64 * 2**20
MAX_INTERVALS = 1_000_000
BINARY = b"ooBinaryFile"
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb": "utf-8-sig"}
_VALUES = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"'
    r"|(?:(?<=\s)|^)(?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)(?=\s|$)"
    r"|<(?P<flag>exists|absent)>"
)


def read_textgrid(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Intervals and points with a text; `columns` names the tiers as in ELAN files.

    Intervals without a text are pauses, and no units.
    """
    for file in files:
        yield from units_of_tiers(file, _tiers(file), corpus)


def textgrid_tiers(file: SourceFile) -> list[str]:
    """Return the names of the tiers; DataError if it is no TextGrid."""
    return with_patterns(_tiers(file))


def textgrid_understood(
    file: SourceFile, *, corpus: CorpusBlock
) -> list[tuple[Sentence, Sentence]]:
    """Return which tiers are read, and which others have text, with words for it."""
    return facts_of_tiers(file, _tiers(file), corpus)


def _tiers(file: SourceFile) -> dict[str, Tier]:
    values = _Values(file, _text(file))
    if values.text() not in ("ooTextFile", "ooTextFile short") or values.text() != "TextGrid":
        raise values.damaged(sentence("it does not begin as one"))
    values.numbers(2)
    values.flag()
    tiers: dict[str, Tier] = {}
    left = MAX_INTERVALS
    for _ in range(values.count()):
        kind, name = values.text(), values.text()
        values.numbers(2)
        if name in tiers:  # Praat allows it, and `columns` must tell them apart
            name = f"{name} ({len(tiers) + 1})"
        tiers[name] = Tier(name)
        for _ in range(values.count()):
            left -= 1
            if left < 0:
                what = sentence("intervals and points")
                raise too_much(file.place(), what=what, limit=MAX_INTERVALS, instead=SPLIT)
            times = values.numbers(2 if kind == "IntervalTier" else 1)
            text = values.text().strip()
            if text:
                one = Annotation(1000 * times[0], 1000 * max(times), text)
                tiers[name].annotations.append(one)
        tiers[name].annotations.sort(key=lambda one: (one.begin, one.end))
    return tiers


def _text(file: SourceFile) -> str:
    with bounded(file, max_bytes=MAX_TEXTGRID_BYTES) as stream:
        data = stream.read()
    if data.startswith(BINARY):
        raise DataError(
            problem(
                "binary-textgrid",
                "is a TextGrid in Praat's binary form; open it in Praat and save it as a text file",
                at=file.place(),
            )
        )
    codec = _MARKS.get(data[:2], "utf-8")
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        why = sentence("byte {offset:d} is not {encoding}", offset=error.start, encoding=codec)
        raise unreadable(file.place(), what=TEXTGRID, why=why) from None


class _Values:
    """Values of a file, one after the other. DataError for one of another kind, and at the end."""

    def __init__(self, file: SourceFile, text: str) -> None:
        self.file, self.source = file, text
        self.found = _VALUES.finditer(text)
        self.at = 0

    def text(self) -> str:
        """Return the next value, a text."""
        return self._next("text").replace('""', '"')

    def number(self) -> float:
        """Return the next value, a number."""
        number = float(self._next("number"))
        if not math.isfinite(number):
            raise self.damaged(sentence("a number is too large"))
        return number

    def numbers(self, count: int) -> list[float]:
        """Return the next values, all of them numbers."""
        return [self.number() for _ in range(count)]

    def count(self) -> int:
        """Return the next value, a number of things; each of them has values that must follow."""
        return int(self.number())

    def flag(self) -> None:
        """Skip the flag before the tiers."""
        self._next("flag")

    def _next(self, kind: str) -> str:
        match = next(self.found, None)
        if match is None or match[kind] is None:
            raise self.damaged(sentence("a value is missing or of another kind"))
        self.at = match.start()
        return match[kind]

    def damaged(self, why: Sentence) -> DataError:
        """Return the error for a file that is no TextGrid from the last value on."""
        line = self.source.count("\n", 0, self.at) + 1
        return unreadable(self.file.place(line), what=TEXTGRID, why=why)
