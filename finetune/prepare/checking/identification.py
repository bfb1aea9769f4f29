"""Language identification: comparison of texts with the declared language of their card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from finetune.artefacts.job import Job
from finetune.identify.confusion import Confusion, coverage_facts, judge_text, odd_reason
from finetune.identify.identifier import Identifier, make_identifier, to_learn
from finetune.identify.lines import plain
from finetune.prepare.reading.drafts import Draft
from finetune.prepare.step import JudgedText, Result
from finetune.readers.content import claims, texts_of
from finetune.readers.record import Record, Rejection
from finetune.readers.units import records_of
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard, drop_pattern
from finetune.spec.sections.identify import Identify
from finetune.spec.withdrawn import record_hash
from finetune.text.normalize import normalize

if TYPE_CHECKING:
    from finetune.identify.ngrams import Classifier

TRAINING_LINES = 50_000
TRAINING_CHARACTERS = 1_000_000
"""Training text of the classifier: the first lines of a card, up to this size per language."""


@dataclass(frozen=True, slots=True)
class LanguageCheck:
    """The step that compares texts with the language that their card declares."""

    identifier: Identifier
    settings: Identify
    claimed: Sequence[str]
    """Every language that a card declares."""
    classifier: Classifier | None
    missing: Sequence[str]
    """Languages that needed the trained classifier and have too little text for it."""

    def __call__(self, draft: Draft) -> Result:
        """Judge the texts of a draft.

        It is rejected only with `action: drop`, and never for a language that is not covered.
        """
        notes, reasons = [], []
        for claimed, text in draft.claims:
            judged = judge_text(self.identifier, text, claimed=claimed)
            odd = odd_reason(judged, share=self.settings.drop_share)
            reasons += [odd] if odd else []
            notes.append(JudgedText(draft.card, claimed, draft.where, judged, odd is not None))
        drops = self.settings.action == "drop"
        return Result(draft, reasons[0] if reasons and drops else None, tuple(notes))

    def facts(self, confusion: Confusion) -> dict[str, Any]:
        """Return all that was found as plain data for report.json."""
        return {
            "action": self.settings.action,
            "closed_set": list(self.identifier.closed),
            "models": [
                {
                    "name": model.name,
                    "version": model.version,
                    "licence": model.licence,
                    "unknown_labels": self.identifier.unknown.get(model.name, []),
                }
                for model in self.identifier.models
            ],
            "coverage": coverage_facts(self.identifier, self.claimed),
            "own_classifier": _classifier_facts(self.classifier),
            "without_classifier": list(self.missing),
            "table": confusion.rows(),
            "samples": confusion.shown_samples(),
        }


def make_language_check(job: Job) -> LanguageCheck | None:
    """Return the check of the texts of all cards of a recipe; None with `action: off`.

    Raises DataError for a model that cannot be loaded, or a corpus that cannot be read.
    """
    settings = job.recipe.prepare.identify
    if settings.action == "off":
        return None
    cards = [card for card in job.cards.values() if not card.is_withdrawn]
    claimed = tuple(dict.fromkeys(x for card in cards for x in card.corpus.languages))
    unsupported = to_learn(claimed, settings=settings) if settings.fallback else []
    classifier = _trained(job, cards) if unsupported else None
    known = classifier.languages if classifier else ()
    return LanguageCheck(
        make_identifier(claimed, settings=settings, learned=classifier),
        settings,
        claimed,
        classifier,
        [language for language in unsupported if language not in known],
    )


def said_by(card: DataCard, record: Record) -> Iterator[tuple[str, str]]:
    """Yield the texts of a record as (language, text): every language, and assistant turns.

    None of a record whose texts cannot be read; those are counted where drafts are read.
    """
    texts = texts_of(record, card.corpus)
    if not isinstance(texts, Rejection):
        yield from claims(texts)


def _trained(job: Job, cards: Sequence[DataCard]) -> Classifier | None:
    from finetune.identify.ngrams import learn

    texts: dict[str, dict[str, None]] = {}
    characters: dict[str, int] = {}
    for card in cards:
        for language, line in islice(_lines(job, card), TRAINING_LINES):
            if characters.get(language, 0) < TRAINING_CHARACTERS:
                characters[language] = characters.get(language, 0) + len(line)
                texts.setdefault(language, {})[line] = None  # each line once
    return learn({language: list(lines) for language, lines in texts.items()})


def _lines(job: Job, card: DataCard) -> Iterator[tuple[str, str]]:
    dropped = drop_pattern(card)
    for record in records_of(card, resolve_files(card, inputs=job.inputs)):
        if card.withdrawn and record_hash(record.fields) in card.withdrawn:
            continue
        for language, text in said_by(card, record):
            if not (dropped and dropped.search(text)):
                clean = normalize(text, language=language).text
                lines = (plain(line) for line in clean.split("\n"))
                yield from ((language, line) for line in lines if line)


def _classifier_facts(classifier: Classifier | None) -> dict[str, Any] | None:
    if classifier is None:
        return None
    return {
        language: {
            "right": accuracy.right,
            "of": accuracy.of,
            "share": round(accuracy.share, 4),
            "interval": [round(bound, 4) for bound in accuracy.interval],
        }
        for language, accuracy in classifier.accuracy.items()
    }


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table for `--json`."""
    return {
        "card": row["card"],
        "declared": row["claimed"],
        "lines": row["lines"],
        "confirmed": row["fits"],
        "other_languages": dict(row["found"]),
        "undecided": sum(row["abstained"].values()),
        "unsupported": row["not_covered"],
    }


def tell(check: LanguageCheck, confusion: Confusion, job: Job) -> None:
    """Show the confusion table, what is not covered, and a warning where much looks odd."""
    console, settings = job.console, check.settings
    rows = []
    for row in confusion.rows():
        asked = check.identifier.coverage[row["claimed"]]
        found = ", ".join(f"{name} {n:,}" for name, n in list(row["found"].items())[:4]) or "-"
        by = "unsupported" if not asked.covered else ", ".join(v.model for v in asked.voters)
        silent = sum(row["abstained"].values())
        cells = [row["card"], row["claimed"], by or "script", row["lines"], row["fits"]]
        rows.append([*cells, found, silent, row["not_covered"]])
    columns = ["card", "declared", "model", "lines", "confirmed", "other language"]
    columns += ["undecided", "unsupported"]
    console.table(
        "language identification, per line",
        columns,
        [[f"{x:,}" if isinstance(x, int) else x for x in row] for row in rows],
        name="identification",
        facts=(_facts(row) for row in confusion.rows()),
    )
    if check.classifier is not None:
        accuracies = ", ".join(
            f"{x} {a.share:.1%} [{a.interval[0]:.1%}, {a.interval[1]:.1%}] of {a.of}"
            for x, a in check.classifier.accuracy.items()
        )
        console.say(f"classifier trained on your cards: held-out accuracy: {accuracies}")
    for language in check.claimed:
        coverage = check.identifier.coverage[language]
        if not coverage.covered:
            console.say(
                f"{language}: unsupported: {_why(check, language)}. Its script was checked, its "
                "language was not, and none of its texts is rejected",
                language=language,
                covered=False,
            )
    for row in confusion.rows():
        if row["odd_texts"] > settings.warn_share * row["texts"]:
            _warn(row, job)


def _why(check: LanguageCheck, language: str) -> str:
    if language in check.missing:
        return (
            "no model covers it, and the cards hold too little text of it, or of another language "
            "in its script to contrast it with"
        )
    return check.identifier.coverage[language].reason or "no model was named"


def _warn(row: Mapping[str, Any], job: Job) -> None:
    share = row["odd_texts"] / row["texts"]
    found = ", ".join(row["found"])
    dropped = job.recipe.prepare.identify.action == "drop"
    advice = (
        "they were rejected"
        if dropped
        else "look at the samples in report.html; `prepare.identify.action: drop` rejects them"
    )
    job.console.say(
        f"warning: {row['card']}: {row['odd_texts']:,} of {row['texts']:,} texts ({share:.1%}) "
        f"declared {row['claimed']} look like another language ({found}); {advice}",
        card=row["card"],
        claimed=row["claimed"],
        share=share,
    )
