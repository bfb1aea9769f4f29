"""The corpus report for people: report.html (one offline file) and report.json, from the ledger.

Numbers per language are of the target texts (the answers, not the prompts), without control marks,
so that bytes per token and tokens per word measure the base's tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.prepare.checking.checks import REASONS
from finetune.prepare.ledger import LENGTHS, SAMPLE_CHARACTERS, Ledger, MetSet
from finetune.prepare.reading.document import SPLITS
from finetune.prepare.report.document_notes import document_facts
from finetune.prepare.report.page import render
from finetune.spec.card import DataCard
from finetune.spec.permission import unlooked_for
from finetune.text.normalize import CHANGES
from finetune.text.oddities import FINDINGS

NAMES_SHOWN = 3
"""Names of cards in a note; of more, the number is shown."""


def write_report(
    workspace: Path,
    ledger: Ledger,
    *,
    counts: Mapping[str, Mapping[str, int]],
    beside: Mapping[str, Any],
) -> None:
    """Write report.json and report.html into the artefact.

    `beside`: sections of the report that are not counted text by text.
    """
    facts = {
        "counts": counts,
        "funnel": _funnel(ledger),
        "languages": per_language(ledger),
        "reasons": {reason: str(REASONS[reason].about) for reason in ledger.by_reason()},
        "lengths": histograms(ledger.kept_lengths, ledger.rejected_lengths),
        "changes": _changes(ledger),
        "findings": _findings(ledger),
        "personal_data": _personal_data(ledger),
        "kept_samples": dict(sorted(ledger.kept_samples.items())),
        "rejected_samples": _rejected_samples(ledger),
        "examples": ledger.examples,
        "documents": document_facts(ledger),
        **_parts(ledger),
        **beside,
    }
    text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
    (workspace / "report.json").write_text(text, encoding="utf-8", newline="\n")
    html = render(facts)
    (workspace / "report.html").write_text(html, encoding="utf-8", newline="\n")


def per_language(ledger: Ledger) -> dict[str, dict[str, Any]]:
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
        for language, sums in sorted(ledger.languages.items())
    }


def personal_data_notes(cards: Iterable[DataCard], ledger: Ledger) -> list[str]:
    """Return notes on personal data in a run, a sentence each; one for all cards of a kind."""
    cards_of: dict[str, list[str]] = {}
    for card in cards:
        if why := unlooked_for(card):
            cards_of.setdefault(why, []).append(card.name)
    notes = [f"{_some(names)}: {why}" for why, names in cards_of.items()]
    for (language, kind), counts in sorted(ledger.people.items()):
        rate = ledger.per_thousand(language, kind)
        notes.append(f"{language}: {kind} in {counts['texts']:,} texts ({rate:.1f} per 1,000)")
    return notes


def _some(names: Sequence[str]) -> str:
    """Return names in a list: the first ones, and the number of the others.

    >>> _some(["a", "b"]), _some(list("abcdef"))
    ('a, b', 'a, b, c and 3 more cards')
    """
    if len(names) <= NAMES_SHOWN + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES_SHOWN])} and {len(names) - NAMES_SHOWN} more cards"


def histograms(
    kept: Mapping[tuple[str, int], int], rejected: Mapping[tuple[str, int], int]
) -> dict[str, list[dict[str, Any]]]:
    """Return for each language its classes of length from the shortest to the longest that occurs.

    `kept`, `rejected`: (language, class) -> texts. A class is `from` (characters), `kept` and
    `rejected` (texts).
    """
    languages = sorted({language for language, _ in (*kept, *rejected)})
    return {language: _classes(language, kept, rejected) for language in languages}


def _classes(
    language: str, kept: Mapping[tuple[str, int], int], rejected: Mapping[tuple[str, int], int]
) -> list[dict[str, Any]]:
    places = [place for counts in (kept, rejected) for name, place in counts if name == language]
    return [
        {
            "from": LENGTHS[place],
            "kept": kept.get((language, place), 0),
            "rejected": rejected.get((language, place), 0),
        }
        for place in range(min(places), max(places) + 1)
    ]


def _parts(ledger: Ledger) -> dict[str, Any]:
    """Return the sections of the steps, with the counts of the ledger."""
    parts = dict(ledger.parts)
    if "contamination" in parts:
        parts["contamination"] = [_met(one, ledger) for one in parts["contamination"]]
    if "duplicates" in parts:
        near = {r: n for r, n in sorted(ledger.by_reason().items()) if r.startswith("near-")}
        parts["duplicates"] = parts["duplicates"] | {"rejected": near, "samples": ledger.copies}
    return parts


def _met(one: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    met = ledger.met.get(one["name"], MetSet())
    counts = {"met": len(met.texts), "rejected": met.rejected, "samples": met.samples}
    return {**one, **counts}


def _funnel(ledger: Ledger) -> list[dict[str, Any]]:
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
            "kept": {split: ledger.kept[card, language, split] for split in SPLITS},
        }
        for (card, language), read in ledger.read.items()
    ]


def _changes(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "language": language,
            "change": change,
            "meaning": str(CHANGES[change].about),
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
            "meaning": str(FINDINGS[name].about),
            "lines": number,
            "samples": ledger.finding_samples[language, name],
        }
        for (language, name), number in sorted(ledger.findings.items())
    ]


def _personal_data(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the counts per language and kind, and the rate per thousand texts."""
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
