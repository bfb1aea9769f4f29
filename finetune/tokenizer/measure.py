"""Cost of a text with several tokenizers, with intervals, in one pass.

Every measure is a ratio of sums over documents (sum first, then divide), so that a long document
weighs as much as it has text. Intervals are bootstrap intervals over documents; all bases see the
same draws, so that comparing two of them is a paired comparison.

Beyond MAX_UNITS documents each one is added to a unit drawn at random, and units are resampled:
memory does not grow with the text, and sums of independent documents keep their variance (with
turns instead of draws, units of a sorted text would be too alike).

Legend: U units, S statistics of the text, B bases, C statistics of a base, R resamples.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from finetune.errors import DataError
from finetune.messages import problem
from finetune.statistics.bootstrap import MIN_ITEMS, interval_of, resampled_sums
from finetune.text.counts import count_words, has_words, is_letter, scripts_of
from finetune.tokenizer.vocabulary import BROKEN, PIECES, TOKENS, UNKNOWN, Vocabulary

MAX_UNITS = 2048
BATCH_DOCUMENTS = 256
BATCH_CHARACTERS = 2**20
_BYTES, _CHARACTERS, _WORDS, _LETTERS, _ENGLISH_WORDS, _S = range(6)
_NFD, _MISSING, _ENGLISH, _PAIRED, _C = range(4, 9)  # after the columns of Vocabulary.count


@dataclass(frozen=True, slots=True)
class Text:
    """One document; `english` is its translation, if there is one."""

    text: str
    where: str
    english: str | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval; None where there are too few documents for one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class BaseCost:
    """Cost of the text with one base."""

    name: str
    tokens: int
    bytes_per_token: Measure
    characters_per_token: Measure
    tokens_per_word: Measure | None
    """None for scripts without spaces between words."""
    premium: Measure | None
    """Tokens of the text over tokens of its English translation."""
    english_tokens_per_word: Measure | None
    pieces: Measure
    """Share of tokens that spell only a piece of a character: byte fallback, of whichever kind."""
    broken: Measure
    """Share of characters that the tokenizer splits."""
    unknown: Measure
    """Share of tokens that are the unknown token: text that is lost."""
    missing: Measure | None
    """Share of letters (as they occur) that have no token; None for a text without letters."""
    missing_letters: tuple[tuple[str, int], ...]
    """Letters that have no token and how often they occur, the most frequent first."""
    nfd: Measure
    """Tokens of the same text decomposed (NFD) over tokens of it composed (NFC)."""
    against_cheapest: Measure
    """Tokens over those of the base that needs the fewest, document by document."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One text, several bases."""

    documents: int
    bytes: int
    characters: int
    words: int | None
    scripts: Mapping[str, float]
    distinct_letters: int
    parallel: bool
    decomposed_differs: bool
    """True if the text has letters that NFD takes apart at all."""
    bases: tuple[BaseCost, ...]


@dataclass(slots=True)
class _Sums:
    """Counts of one pass."""

    text_US: NDArray[np.float64]
    bases_BUC: NDArray[np.float64]
    letters: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    parallel: bool = False
    decomposed_differs: bool = False


def audit(
    texts: Iterable[Text],
    vocabularies: Mapping[str, Vocabulary],
    *,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Audit:
    """Measure texts (in NFC) with every vocabulary; `progress` gets the number of texts read.

    Raises DataError if there is no text, or if one holds half of a surrogate pair.
    """
    sums = _gather(texts, list(vocabularies.values()), seed=seed, progress=progress)
    if not sums.documents or not sums.bases_BUC[:, :, TOKENS].sum(axis=1).all():
        raise DataError(problem("no-text", "there is no text to measure: every document is empty"))
    units = min(sums.documents, MAX_UNITS)
    flat = np.concatenate([sums.text_US, *sums.bases_BUC], axis=1)[:units]
    (drawn,) = resampled_sums((flat,), resamples=resamples, seed=seed)
    total = flat.sum(axis=0)
    words = has_words(sums.letters) and bool(total[_WORDS])
    ratio = _Ratio(total, drawn, interval=sums.documents >= MIN_ITEMS)
    cheapest = int(np.argmin([total[_column(b, TOKENS)] for b in range(len(vocabularies))]))
    return Audit(
        documents=sums.documents,
        bytes=int(total[_BYTES]),
        characters=int(total[_CHARACTERS]),
        words=int(total[_WORDS]) if words else None,
        scripts=scripts_of(sums.letters),
        distinct_letters=len(sums.letters),
        parallel=sums.parallel,
        decomposed_differs=sums.decomposed_differs,
        bases=tuple(
            _cost(ratio, sums, b, name, vocabulary, words=words, cheapest=cheapest)
            for b, (name, vocabulary) in enumerate(vocabularies.items())
        ),
    )


@dataclass(frozen=True, slots=True)
class _Ratio:
    """Ratios of the summed statistics, by column."""

    total: NDArray[np.float64]
    drawn_R: NDArray[np.float64]
    interval: bool

    def __call__(self, above: int, below: int) -> Measure:
        value = float(self.total[above] / self.total[below])
        # a resample can be without any word, though the text is not
        if not self.interval or not self.drawn_R[:, below].all():
            return Measure(value, None, None)
        found = interval_of(value, self.drawn_R[:, above] / self.drawn_R[:, below])
        return Measure(value, found.low, found.high)


def _column(base: int, statistic: int) -> int:
    return _S + base * _C + statistic


def _cost(
    ratio: _Ratio,
    sums: _Sums,
    number: int,
    name: str,
    vocabulary: Vocabulary,
    *,
    words: bool,
    cheapest: int,
) -> BaseCost:
    tokens, english = _column(number, TOKENS), _column(number, _ENGLISH)
    parallel = sums.parallel and bool(ratio.total[english])
    missing = [item for item in sums.letters.most_common() if not vocabulary.has(item[0])]
    return BaseCost(
        name=name,
        tokens=int(ratio.total[tokens]),
        bytes_per_token=ratio(_BYTES, tokens),
        characters_per_token=ratio(_CHARACTERS, tokens),
        tokens_per_word=ratio(tokens, _WORDS) if words else None,
        premium=ratio(_column(number, _PAIRED), english) if parallel else None,
        english_tokens_per_word=(
            ratio(english, _ENGLISH_WORDS) if parallel and ratio.total[_ENGLISH_WORDS] else None
        ),
        pieces=ratio(_column(number, PIECES), tokens),
        broken=ratio(_column(number, BROKEN), _CHARACTERS),
        unknown=ratio(_column(number, UNKNOWN), tokens),
        missing=ratio(_column(number, _MISSING), _LETTERS) if sums.letters else None,
        missing_letters=tuple(missing),
        nfd=ratio(_column(number, _NFD), tokens),
        against_cheapest=ratio(tokens, _column(cheapest, TOKENS)),
    )


def _gather(
    texts: Iterable[Text],
    vocabularies: Sequence[Vocabulary],
    *,
    seed: int,
    progress: Callable[[int], None],
) -> _Sums:
    rng = np.random.Generator(np.random.Philox(seed))
    sums = _Sums(
        text_US=np.zeros((MAX_UNITS, _S)),
        bases_BUC=np.zeros((len(vocabularies), MAX_UNITS, _C)),
    )
    for batch in _batches(texts):
        units = sums.documents + np.arange(len(batch))
        units = np.where(units < MAX_UNITS, units, rng.integers(MAX_UNITS, size=len(batch)))
        letters = [Counter(filter(is_letter, one.text)) for one in batch]
        np.add.at(sums.text_US, units, _of_texts(batch, letters))
        for sums_UC, vocabulary in zip(sums.bases_BUC, vocabularies, strict=True):
            np.add.at(sums_UC, units, _of_base(vocabulary, batch, letters))
        for counted in letters:
            sums.letters.update(counted)
        sums.documents += len(batch)
        sums.parallel |= any(one.english for one in batch)
        sums.decomposed_differs |= any(_nfd(one.text) != one.text for one in batch)
        progress(sums.documents)
    return sums


def _of_texts(batch: Sequence[Text], letters: Sequence[Counter[str]]) -> NDArray[np.float64]:
    rows = [
        (
            len(one.text.encode()),
            len(one.text),
            count_words(one.text),
            counted.total(),
            count_words(one.english or ""),
        )
        for one, counted in zip(batch, letters, strict=True)
    ]
    return np.array(rows, dtype=np.float64)


def _of_base(
    vocabulary: Vocabulary, batch: Sequence[Text], letters: Sequence[Counter[str]]
) -> NDArray[np.float64]:
    rows = np.zeros((len(batch), _C))
    rows[:, :4] = vocabulary.count([one.text for one in batch])
    apart = [(n, nfd) for n, one in enumerate(batch) if (nfd := _nfd(one.text)) != one.text]
    rows[:, _NFD] = rows[:, TOKENS]
    if apart:
        rows[[n for n, _ in apart], _NFD] = vocabulary.count([t for _, t in apart])[:, TOKENS]
    rows[:, _MISSING] = [
        sum(times for letter, times in counted.items() if not vocabulary.has(letter))
        for counted in letters
    ]
    translated = [(n, one.english) for n, one in enumerate(batch) if one.english]
    if translated:
        pairs = [n for n, _ in translated]
        rows[pairs, _PAIRED] = rows[pairs, TOKENS]
        rows[pairs, _ENGLISH] = vocabulary.count([text for _, text in translated])[:, TOKENS]
    return rows


def _nfd(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFD", text)


def _batches(texts: Iterable[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    characters = 0
    for one in texts:
        _check(one)
        batch.append(one)
        characters += len(one.text)
        if len(batch) == BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check(one: Text) -> None:
    try:
        (one.text + (one.english or "")).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            problem(
                "lone-surrogate",
                "{place}: character {number} is half of a surrogate pair (U+{code:04X}), which is "
                "no character; export the text again as UTF-8",
                place=one.where,
                number=error.start + 1,
                code=ord(error.object[error.start]),
            )
        ) from None
