"""Reader of line-aligned files (OPUS/Moses, FLORES): line n is the translation of line n."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from finetune.errors import DataError
from finetune.messages import phrase, problem
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.translated.language_files import language_sets
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

COMPARED_LINES = 1_000_000
"""Lines whose lengths are compared to find where two files go apart."""


def read_aligned(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Pairs of lines; `columns` names the part of a path that gives the language.

    Only a line feed ends a line: U+2028 and lone carriage returns stand inside texts. Lines that
    are blank in every language are rejected. Raises DataError for files of different lengths, with
    the line at which they seem to go apart.
    """
    for of_language in language_sets(files, corpus):
        _refuse_other_lengths(of_language, corpus)
        readers = [numbered_lines(file, encoding=corpus.encoding) for file in of_language.values()]
        first = next(iter(of_language.values()))
        for number, lines in enumerate(zip_longest(*readers), start=1):
            texts = [line[1] if line else "" for line in lines]
            if any(text.strip() for text in texts):
                yield Record(first.place(number), dict(zip(of_language, texts, strict=True)))
            else:
                yield Rejection(first.place(number), "blank-line")


def _refuse_other_lengths(files: Mapping[str, SourceFile], corpus: CorpusBlock) -> None:
    lengths = {language: _lengths(file, corpus) for language, file in files.items()}
    counts = {language: count for language, (count, _) in lengths.items()}
    if len(set(counts.values())) == 1:
        return
    names = [phrase(f"{files[one].name} ({count:,})") for one, count in counts.items()]
    shortest, longest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    line = apart(lengths[shortest][1], lengths[longest][1])
    raise DataError(
        problem(
            "unequal-lines",
            "the files have different numbers of lines, so they are not aligned: {counts}. They "
            "seem to go apart at line {line:d}; correct the file, or get both again",
            at=files[longest].place(line),
            counts=names,
            line=line,
        )
    )


def _lengths(file: SourceFile, corpus: CorpusBlock) -> tuple[int, array[int]]:
    """Return the number of lines, and the lengths of the first ones."""
    lengths = array("L")
    count = 0
    for count, line in numbered_lines(file, encoding=corpus.encoding):
        if count <= COMPARED_LINES:
            lengths.append(len(line))
    return count, lengths


def apart(shorter: Sequence[int], longer: Sequence[int]) -> int:
    """Return the line at which two files go apart, from the lengths of their lines.

    Before it line n of one is compared with line n of the other, and after it with the line that
    is as far from the end (after Gale and Church 1993: translations have similar lengths).

    >>> apart([5, 50, 9, 30], [5, 50, 2, 9, 30])
    3
    """
    more = len(longer) - len(shorter)
    after = sum(_cost(a, b) for a, b in zip(shorter, longer[more:], strict=False))
    best, place, before = after, 1, 0.0
    for at, length in enumerate(shorter):
        before += _cost(length, longer[at])
        after -= _cost(length, longer[at + more])
        if before + after < best - 1e-9:
            best, place = before + after, at + 2
    return place


def _cost(a: int, b: int) -> float:
    return abs(math.log((a + 1) / (b + 1)))
