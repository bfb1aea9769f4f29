"""The ledger: counts and samples of all that happened to texts, and every rejected text, on disk.

A speaker of the language can read rejected texts and reasons in `rejected.jsonl`.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

from finetune.identify.confusion import Confusion
from finetune.messages import Problem
from finetune.prepare.checking.checks import REASONS
from finetune.prepare.checking.clean import countries
from finetune.prepare.reading.document import Document, Split
from finetune.prepare.reading.whole_documents import CardDocuments
from finetune.prepare.step import (
    Changed,
    Cleaning,
    Item,
    JudgedText,
    Met,
    Note,
    NotLaidOut,
    Outlier,
    PersonalFind,
    Place,
    Result,
)
from finetune.spec.card import DataCard
from finetune.spec.recipe import Prepare
from finetune.text.counts import count_words
from finetune.text.oddities import Finding
from finetune.text.shown import masked

SAMPLES = 8
SAMPLE_CHARACTERS = 600
LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000)
"""Lower bounds of the length classes, in characters (code points)."""
Sample = dict[str, Any]
Quote = Callable[[str, Item], str]
"""Returns a text of an item without what its readers must not see."""


def in_full(text: str, _item: Item) -> str:
    """Return a text as it is: what was found in it is masked already."""
    return text


def quoting(settings: Prepare, cards: Mapping[str, DataCard]) -> Quote:
    """Return what masks the personal data that a recipe keeps in the texts.

    They are kept for training; the list of rejected texts and the report have other readers.
    """
    if not settings.personal_data.kept:
        return in_full
    regions = {name: countries(settings, card) for name, card in cards.items()}
    return lambda text, item: masked(text, regions=regions[item.card], names=item.names)


def ledger_line(document: Document, card: DataCard, *, split: str) -> str:
    """Return the line of ledger.jsonl of a document: whose record it is, and on which terms.

    Licence and consent are those that the card stated when the record was prepared.
    """
    entry = {
        "record": document.record,
        "card": card.name,
        "licence": card.license_name if card.license == "other" else card.license,
        "consent": card.corpus.consent.basis,
        "contributor": document.contributor,
        "split": split,
    }
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"


def length_class(characters: int) -> int:
    """Return the class of a length; an empty text falls into the first.

    >>> [LENGTHS[length_class(n)] for n in (0, 1, 4, 5, 7_000_000)]
    [1, 1, 2, 5, 1000000]
    """
    return max(0, bisect.bisect_right(LENGTHS, characters) - 1)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A text that is not used, and why: a line of rejected.jsonl."""

    card: str
    language: str
    reason: str
    where: str
    text: str


@dataclass(slots=True)
class Kept:
    """Sums over the kept documents of a language."""

    splits: Counter[str] = field(default_factory=Counter)
    words: int = 0
    bytes: int = 0
    tokens: int = 0


@dataclass(slots=True)
class MetSet:
    """Contamination by an evaluation set."""

    rejected: int = 0
    """Documents that hold one of its texts."""
    texts: set[int] = field(default_factory=set)
    """Numbers of its texts that were met."""
    samples: list[Sample] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """Counts and samples; rejections are written to `stream` as they come, or nowhere."""

    stream: IO[str] | None = None
    quote: Quote = in_full
    """Applied to every text that is written down or shown."""
    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(card, language) -> records."""
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(card, language, reason) -> records."""
    rejected_samples: dict[tuple[str, str], list[Rejected]] = field(default_factory=dict)
    """(language, reason) -> the first few."""
    rejected_lengths: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(language, class of length) -> rejected texts."""
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(language, change) -> texts that were changed."""
    change_samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    """(language, change) -> the first few, before and after."""
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(language, finding) -> lines that have it and were not changed."""
    finding_samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)
    """language -> texts that were looked through for personal data."""
    people: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    """(language, kind of personal data) -> `texts` that hold it, and how often it was `found`."""
    people_samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    """The same -> the first few, blacked out and masked."""
    confusion: Confusion = field(default_factory=Confusion)
    """Languages claimed against languages found."""
    met: dict[str, MetSet] = field(default_factory=dict)
    """Name of an evaluation set -> what was found of it."""
    kept: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(card, language, split) -> documents."""
    documents: dict[str, CardDocuments] = field(default_factory=dict)
    """Card -> its documents, and those that are held out as a whole."""
    in_whole_documents: Counter[str] = field(default_factory=Counter)
    """Card -> kept texts of documents that are held out as a whole."""
    kept_lengths: Counter[tuple[str, int]] = field(default_factory=Counter)
    languages: dict[str, Kept] = field(default_factory=dict)
    kept_samples: dict[str, list[str]] = field(default_factory=dict)
    """language -> the first few kept texts."""
    examples: list[Sample] = field(default_factory=list)
    """Documents laid out token by token."""
    copies: list[Sample] = field(default_factory=list)
    """The first near duplicates for each reason, beside what they are copies of."""
    not_laid_out: tuple[Problem, ...] = ()
    """Problems of the first conversation that the base's chat template cannot lay out."""
    parts: dict[str, Any] = field(default_factory=dict)
    """Additional results of steps in report.json, by key."""

    def write(self, result: Result) -> None:
        """Write down what a step made of an item."""
        for note in result.notes:
            self._note(note, result.item)
        if result.reason is not None:
            self.reject(result.item, result.reason)

    def _note(self, note: Note, item: Item) -> None:
        match note:
            case Cleaning():
                self.clean(note)
            case Outlier(place, finding):
                self._find(replace(finding, line=self.quote(finding.line, item)), place)
            case JudgedText(card, claimed, where, lines, is_odd):
                if self.quote is not in_full:
                    lines = [replace(one, line=self.quote(one.line, item)) for one in lines]
                self.confusion.add(lines, card=card, claimed=claimed, where=where, odd=is_odd)
            case Met():
                self._meet(note, item)
            case NotLaidOut():
                self.not_laid_out = self.not_laid_out or note.problems

    def clean(self, done: Cleaning) -> None:
        """Count a text that was looked through, and all that was done to it."""
        self.texts[done.place.language] += 1
        for change in done.changes:
            self._change(change, done.place)
        for found in done.personal_data:
            self._personal(found, done.place)
        for finding in done.findings:
            self._find(finding, done.place)

    def _change(self, change: Changed, place: Place) -> None:
        key = (place.language, change.key)
        self.changes[key] += 1
        samples = self.change_samples.setdefault(key, [])
        if change.may_show and len(samples) < SAMPLES:
            samples.append(_excerpt(place, change.before, change.after))

    def _personal(self, found: PersonalFind, place: Place) -> None:
        key = (place.language, found.kind)
        counts = self.people.setdefault(key, Counter())
        counts["texts"] += 1
        counts["found"] += found.times
        samples = self.people_samples.setdefault(key, [])
        if len(samples) < SAMPLES:
            samples.append(_excerpt(place, found.blacked_out, found.shown))

    def _find(self, finding: Finding, place: Place) -> None:
        key = (place.language, finding.name)
        self.findings[key] += finding.lines
        samples = self.finding_samples.setdefault(key, [])
        if len(samples) < SAMPLES:
            text = finding.line[:SAMPLE_CHARACTERS]
            samples.append({"card": place.card, "where": place.where, "text": text})

    def _meet(self, met: Met, item: Item) -> None:
        found = self.met.setdefault(met.set_name, MetSet())
        found.rejected += 1
        found.texts.add(met.number)
        if len(found.samples) < SAMPLES:
            text = self.quote(met.text, item)
            sample = {"card": item.card, "where": item.where, "text": text[:SAMPLE_CHARACTERS]}
            found.samples.append(sample | {"share": round(met.share, 3)})

    def per_thousand(self, language: str, kind: str) -> float:
        """Return in how many of a thousand texts a kind of personal data was found."""
        return 1000 * self.people[language, kind]["texts"] / self.texts[language]

    def reject(self, item: Item, reason: str) -> None:
        """Count a rejected item, and write its text down."""
        text = self.quote(item.shown, item)
        rejected = Rejected(item.card, item.language, reason, item.where, text)
        self.rejected[item.card, item.language, reason] += 1
        if rejected.text:
            self.rejected_lengths[item.language, length_class(len(rejected.text))] += 1
        samples = self.rejected_samples.setdefault((item.language, reason), [])
        if len(samples) < SAMPLES:
            samples.append(rejected)
        if self.stream is not None:
            self.stream.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")

    def keep(self, document: Document, *, split: Split, tokens: int) -> None:
        """Count a kept document; `tokens`: of its target."""
        sums = self.languages.setdefault(document.language, Kept())
        sums.splits[split] += 1
        sums.words += count_words(document.target)
        sums.bytes += len(document.target.encode())
        sums.tokens += tokens
        self.kept_lengths[document.language, length_class(len(document.target))] += 1
        self.kept[document.card, document.language, split] += 1
        self.in_whole_documents[document.card] += document.held_out == "document"

    def show(self, document: Document) -> None:
        """Remember a few kept texts of every language."""
        samples = self.kept_samples.setdefault(document.language, [])
        if len(samples) < SAMPLES:
            samples.append(self.quote(document.shown, document)[:SAMPLE_CHARACTERS])

    def by_reason(self) -> dict[str, int]:
        """Return reason -> records, over all cards, in the order of REASONS."""
        totals: Counter[str] = Counter()
        for (_, _, reason), number in self.rejected.items():
            totals[reason] += number
        return {reason: totals[reason] for reason in REASONS if totals[reason]}


def _excerpt(place: Place, before: str, after: str) -> Sample:
    """Return a change as a sample: of long texts only what stands around the first change."""
    pairs = enumerate(zip(before, after, strict=False))
    start = next((at for at, (old, new) in pairs if old != new), len(after))
    start = max(0, start - SAMPLE_CHARACTERS // 4)
    end = start + SAMPLE_CHARACTERS
    return {
        "card": place.card,
        "where": place.where,
        "before": before[start:end],
        "after": after[start:end],
    }
