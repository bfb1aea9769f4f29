"""What became of the corpus, for people: report.html (one offline file) and report.json.

Numbers per language are of the text that is learned (the answers, not the prompts), without
control marks, so that bytes per token and tokens per word say how well the base's tokenizer fits.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.prepare.ledger import REASONS, SAMPLE_CHARACTERS, Ledger
from finetune.prepare.packing.encode import Encoded, Encoder
from finetune.prepare.reading.document import Document
from finetune.prepare.reading.split import SPLITS, Split
from finetune.prepare.report.lengths import Lengths, histograms
from finetune.prepare.report.page import render
from finetune.text.findings import FINDINGS
from finetune.text.normalize import CHANGES
from finetune.text.words import count_words

EXAMPLES_PER_LANGUAGE = 2
EXAMPLES = 12
EXAMPLE_TOKENS = 400
REPLACEMENT = "\ufffd"


@dataclass(slots=True)
class _Language:
    """Sums over the documents of a language."""

    splits: Counter[str] = field(default_factory=Counter)
    words: int = 0
    bytes: int = 0
    tokens: int = 0


class Reporter:
    """Sums up documents as they are encoded, and writes the reports."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.languages: dict[str, _Language] = {}
        self.kept: Counter[tuple[str, str, str]] = Counter()
        self.examples: list[dict[str, Any]] = []
        self.lengths = Lengths()

    def add(self, split: Split, document: Document) -> None:
        """Count a kept document."""
        sums = self.languages.setdefault(document.language, _Language())
        sums.splits[split] += 1
        self.lengths.add(document.language, document.learned)
        sums.words += count_words(document.learned)
        sums.bytes += len(document.learned.encode())
        sums.tokens += self.encoder.count(document.learned)
        self.kept[document.card, document.language, split] += 1

    def show(self, document: Document, segments: list[Encoded]) -> None:
        """Lay a document out token by token, if there is still room."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(
                {
                    "card": document.card,
                    "language": document.language,
                    "tokens": len(segments[0].tokens_n),
                    "supervised_tokens": int(segments[0].supervised_n.sum()),
                    "supervised_bytes": segments[0].supervised_bytes,
                    "pieces": token_view(self.encoder.tokenizer, segments[0]),
                }
            )

    def per_language(self) -> dict[str, dict[str, Any]]:
        """Return language -> documents, splits, words, bytes, tokens and the two ratios."""
        return {
            language: {
                "documents": sum(sums.splits.values()),
                "splits": {split: sums.splits[split] for split in SPLITS},
                "words": sums.words,
                "bytes": sums.bytes,
                "tokens": sums.tokens,
                "bytes_per_token": round(sums.bytes / max(sums.tokens, 1), 2),
                "tokens_per_word": round(sums.tokens / max(sums.words, 1), 2),
            }
            for language, sums in sorted(self.languages.items())
        }

    def write(
        self,
        workspace: Path,
        *,
        counts: dict[str, dict[str, int]],
        ledger: Ledger,
    ) -> None:
        """Write report.json and report.html into the artefact."""
        facts = {
            "counts": counts,
            "funnel": self._funnel(ledger),
            "languages": self.per_language(),
            "reasons": {reason: REASONS[reason] for reason in ledger.by_reason()},
            "lengths": histograms(self.lengths, ledger.lengths),
            "changes": _changes(ledger),
            "findings": _findings(ledger),
            "personal_data": _personal_data(ledger),
            "kept_samples": dict(sorted(ledger.kept_samples.items())),
            "rejected_samples": _rejected_samples(ledger),
            "examples": self.examples,
            **ledger.parts,
        }
        text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
        (workspace / "report.json").write_text(text, encoding="utf-8", newline="\n")
        html = render(facts)
        (workspace / "report.html").write_text(html, encoding="utf-8", newline="\n")

    def _funnel(self, ledger: Ledger) -> list[dict[str, Any]]:
        return [
            {
                "card": card,
                "language": language,
                "read": read,
                "rejected": {
                    reason: number
                    for reason in REASONS
                    if (number := ledger.rejected[card, language, reason])
                },
                "kept": {split: self.kept[card, language, split] for split in SPLITS},
            }
            for (card, language), read in ledger.read.items()
        ]


def token_view(tokenizer: Any, segment: Encoded) -> list[dict[str, Any]]:
    """Return the first tokens of a segment as text, each with whether it is learned.

    Tokens that are parts of one character's bytes are shown together, with their number.
    """
    view: list[dict[str, Any]] = []
    pending: list[int] = []
    ids = segment.tokens_n[:EXAMPLE_TOKENS].tolist()
    for token, supervised in zip(ids, segment.supervised_n.tolist(), strict=False):
        pending.append(token)
        text = tokenizer.decode(pending, clean_up_tokenization_spaces=False)
        if REPLACEMENT in text and len(pending) < 8:  # an unfinished character
            continue
        view.append({"text": text, "tokens": len(pending), "supervised": bool(supervised)})
        pending = []
    if pending:
        view.append(
            {"text": tokenizer.decode(pending), "tokens": len(pending), "supervised": False}
        )
    return view


def _changes(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "language": language,
            "change": change,
            "meaning": CHANGES[change],
            "texts": number,
            "samples": ledger.change_samples[language, change],
        }
        for (language, change), number in sorted(ledger.changes.items())
    ]


def _findings(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "language": language,
            "finding": name,
            "meaning": FINDINGS[name],
            "lines": number,
            "samples": ledger.finding_samples[language, name],
        }
        for (language, name), number in sorted(ledger.findings.items())
    ]


def _personal_data(ledger: Ledger) -> list[dict[str, Any]]:
    """Return what was found per language and kind, and how often in a thousand texts."""
    return [
        {
            "language": language,
            "kind": kind,
            "texts": counts["texts"],
            "found": counts["found"],
            "per_1000_texts": round(ledger.per_thousand(language, kind), 2),
            "samples": ledger.people_samples[language, kind],
        }
        for (language, kind), counts in sorted(ledger.people.items())
    ]


def _rejected_samples(ledger: Ledger) -> list[dict[str, Any]]:
    rank = {reason: place for place, reason in enumerate(REASONS)}
    return [
        {
            "language": language,
            "reason": reason,
            "samples": [
                {"card": s.card, "where": s.where, "text": s.text[:SAMPLE_CHARACTERS]}
                for s in samples
            ],
        }
        for (language, reason), samples in sorted(
            ledger.rejected_samples.items(), key=lambda item: (item[0][0], rank[item[0][1]])
        )
    ]
