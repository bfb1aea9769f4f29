"""What happened to every record: counts by reason, and every rejected text, on disk.

A speaker of the language can read in `rejected.jsonl` what was left out, and why.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from finetune.prepare.reading.document import Document, Rejected
from finetune.prepare.report.lengths import Lengths
from finetune.spec.card import DataCard
from finetune.text.findings import Finding

SAMPLES = 8
SAMPLE_CHARACTERS = 600

REASONS = {
    "withdrawn": "taken back by its contributor or owner; its text is not kept here",
    "empty": "no text (on one of its sides)",
    "too-short": "fewer characters than prepare.min_characters",
    "matches-drop-pattern": "the card's drop_matching finds something in it",
    "untranslated": "translation and source are the same text",
    "direction-controls": "controls that turn the direction of text hide what is stored",
    "mark-flood": "more than 30 marks stand on one letter, as in no writing",
    "personal-data": "holds personal data that the recipe drops (prepare.personal_data)",
    "other-script": "most letters are of another script than the card says",
    "damaged": "letters were lost, or are of an old font (U+FFFD, controls, private characters)",
    "markup": "mostly HTML, wikitext, placeholders or code",
    "placeholder-text": "what typesetters fill pages with (lorem ipsum)",
    "few-letters": "no letter, or few for its length",
    "repetition": "most of it was said before in the same text",
    "repeated-lines": "holds nothing but lines that stand in many texts",
    "length-outlier": "far longer or shorter than the texts of its card",
    "length-ratio": "far longer or shorter than its translation leads one to expect",
    "special-token": "holds a control mark of the model, which would end or fake a turn",
    "no-answer": "a conversation without an answer of the assistant",
    "other-language": "seems to be in another language than the card says (prepare.identify)",
    "duplicate": "the same text was there before (after normalisation)",
    "max-documents": "beyond max_documents of the recipe",
    "in-evaluation": "one of its texts is held out for validation or test",
    "contaminated": "holds a text of an evaluation set (prepare.evaluation_sets)",
    "near-evaluation": "nearly the same as a text that is held out for validation or test",
    "near-duplicate": "nearly the same as a text that comes before (prepare.duplicates)",
    "over-length": "longer than a row (prepare.sequence_tokens) and not to be split",
}
"""Every reason for which a text is left out."""


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


@dataclass(frozen=True, slots=True)
class Change:
    """A text before and after it was changed."""

    card: str
    language: str
    where: str
    before: str
    after: str

    def excerpt(self) -> dict[str, str]:
        """Return it as a sample: of long texts only what stands around the first change."""
        pairs = enumerate(zip(self.before, self.after, strict=False))
        start = next((at for at, (old, new) in pairs if old != new), len(self.after))
        start = max(0, start - SAMPLE_CHARACTERS // 4)
        end = start + SAMPLE_CHARACTERS
        return {
            "card": self.card,
            "where": self.where,
            "before": self.before[start:end],
            "after": self.after[start:end],
        }


@dataclass(slots=True)
class Ledger:
    """Counts and samples; rejections are written to `stream` as they come."""

    stream: IO[str]
    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(card, language) -> records."""
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(card, language, reason) -> records."""
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(language, change) -> texts that were changed."""
    change_samples: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    """(language, change) -> the first few, before and after."""
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(language, finding) -> lines that have it and were not changed."""
    finding_samples: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)
    """language -> texts that were looked through for personal data."""
    people: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    """(language, kind of personal data) -> `texts` that hold it, and how often it was `found`."""
    people_samples: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    """The same -> the first few, blacked out and masked."""
    lengths: Lengths = field(default_factory=Lengths)
    """Of the texts that are left out."""
    parts: dict[str, Any] = field(default_factory=dict)
    """What others have to say in report.json, by their own key there."""
    kept_samples: dict[str, list[str]] = field(default_factory=dict)
    rejected_samples: dict[tuple[str, str], list[Rejected]] = field(default_factory=dict)
    """(language, reason) -> the first few."""

    def change(self, name: str, change: Change, *, shown: bool = True) -> None:
        """Count a text that was changed, and keep the first few of each kind that may be shown."""
        key = (change.language, name)
        self.changes[key] += 1
        samples = self.change_samples.setdefault(key, [])
        if shown and len(samples) < SAMPLES:
            samples.append(change.excerpt())

    def personal(self, kind: str, sample: Change, *, found: int) -> None:
        """Count a text with personal data of a kind; `sample` must not show it."""
        key = (sample.language, kind)
        counts = self.people.setdefault(key, Counter())
        counts["texts"] += 1
        counts["found"] += found
        samples = self.people_samples.setdefault(key, [])
        if len(samples) < SAMPLES:
            samples.append(sample.excerpt())

    def per_thousand(self, language: str, kind: str) -> float:
        """Return in how many of a thousand texts a kind of personal data was found."""
        return 1000 * self.people[language, kind]["texts"] / self.texts[language]

    def find(self, finding: Finding, *, card: str, language: str, where: str) -> None:
        """Count lines that are odd and stay as they are, and keep the first few of each kind."""
        key = (language, finding.name)
        self.findings[key] += finding.lines
        samples = self.finding_samples.setdefault(key, [])
        if len(samples) < SAMPLES:
            text = finding.line[:SAMPLE_CHARACTERS]
            samples.append({"card": card, "where": where, "text": text})

    def reject(self, rejected: Rejected) -> None:
        """Count a text that is left out, and write it down."""
        self.rejected[rejected.card, rejected.language, rejected.reason] += 1
        if rejected.text:
            self.lengths.add(rejected.language, rejected.text)
        samples = self.rejected_samples.setdefault((rejected.language, rejected.reason), [])
        if len(samples) < SAMPLES:
            samples.append(rejected)
        self.stream.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")

    def drop(self, document: Document, *, reason: str) -> None:
        """Reject a document that was already made."""
        texts = (document.source, document.learned)
        self.reject(
            Rejected(
                document.card,
                document.language,
                reason,
                document.where,
                "\n".join(text for text in texts if text),
            )
        )

    def keep(self, document: Document) -> None:
        """Remember a few kept texts of every language."""
        samples = self.kept_samples.setdefault(document.language, [])
        if len(samples) < SAMPLES:
            texts = (document.source, document.learned)
            samples.append("\n".join(text for text in texts if text)[:SAMPLE_CHARACTERS])

    def by_reason(self) -> dict[str, int]:
        """Return reason -> records, over all cards, in the order of REASONS."""
        totals: Counter[str] = Counter()
        for (_, _, reason), number in self.rejected.items():
            totals[reason] += number
        return {reason: totals[reason] for reason in REASONS if totals[reason]}
