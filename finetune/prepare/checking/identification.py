"""Language identification: texts held against the language that their card claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from finetune.artefacts.job import Job
from finetune.identify.confusion import Confusion, coverage_facts, judge_text, odd_reason
from finetune.identify.identifier import OWN_TEXTS, Identifier, make_identifier, to_learn
from finetune.identify.lines import plain
from finetune.prepare.reading.drafts import Draft
from finetune.prepare.step import JudgedText, Result
from finetune.readers.record import Record
from finetune.sources.files import reader_of, resolve_files
from finetune.spec.card import DataCard, drop_pattern
from finetune.spec.identify import Identify
from finetune.spec.withdrawn import record_hash
from finetune.text.normalize import normalize

if TYPE_CHECKING:
    from finetune.identify.ngrams import Classifier

LEARN_LINES = 50_000
LEARN_CHARACTERS = 1_000_000
"""What is learned from: the first lines of a card, until a language has this much text."""


@dataclass(frozen=True, slots=True)
class LanguageCheck:
    """The step that holds texts against the language that they claim."""

    identifier: Identifier
    settings: Identify
    claimed: Sequence[str]
    """Every language that a card claims."""
    learned: Classifier | None
    missing: Sequence[str]
    """Languages that had to be learned from the texts at hand and could not be."""

    def __call__(self, draft: Draft) -> Result:
        """Judge the texts of a draft.

        It is left out only with `action: drop`, and never for a language that is not covered.
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
            "learned": _learned_facts(self.learned),
            "not_learned": list(self.missing),
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
    wanted = to_learn(claimed, settings=settings) if settings.fallback else []
    learned = _learn(job, cards) if wanted else None
    known = learned.languages if learned else ()
    return LanguageCheck(
        make_identifier(claimed, settings=settings, learned=learned),
        settings,
        claimed,
        learned,
        [language for language in wanted if language not in known],
    )


def said_by(card: DataCard, record: Record) -> Iterator[tuple[str, str]]:
    """Yield the texts of a record as (language, text): every language, and what an assistant says.

    Of records as they are, to learn from; what is no text is passed over here, and an error where a
    draft is read.
    """
    fields = record.fields
    if card.corpus.kind == "parallel":
        yield from ((x, fields.get(x) or "") for x in card.corpus.languages)
    elif card.corpus.kind == "text":
        yield card.corpus.languages[0], fields.get("text") or ""
    else:
        yield card.corpus.languages[0], _answers(fields)


def _answers(fields: Mapping[str, Any]) -> str:
    turns = fields.get("messages")
    if not isinstance(turns, list):
        return str(fields.get("answer") or "")
    said = (
        turn.get("content", turn.get("value"))
        for turn in turns
        if isinstance(turn, Mapping) and turn.get("role", turn.get("from")) in ("assistant", "gpt")
    )
    return "\n".join(text for text in said if isinstance(text, str))


def _learn(job: Job, cards: Sequence[DataCard]) -> Classifier | None:
    from finetune.identify.ngrams import learn

    texts: dict[str, dict[str, None]] = {}
    characters: dict[str, int] = {}
    for card in cards:
        for language, line in islice(_lines(job, card), LEARN_LINES):
            if characters.get(language, 0) < LEARN_CHARACTERS:
                characters[language] = characters.get(language, 0) + len(line)
                texts.setdefault(language, {})[line] = None  # each line once
    return learn({language: list(lines) for language, lines in texts.items()})


def _lines(job: Job, card: DataCard) -> Iterator[tuple[str, str]]:
    read = reader_of(card)
    dropped = drop_pattern(card)
    for record in read(resolve_files(card, inputs=job.inputs), corpus=card.corpus):
        if card.withdrawn and record_hash(record.fields) in card.withdrawn:
            continue
        for language, text in said_by(card, record):
            if isinstance(text, str) and not (dropped and dropped.search(text)):
                clean = normalize(text, language=language).text
                lines = (plain(line) for line in clean.split("\n"))
                yield from ((language, line) for line in lines if line)


def _learned_facts(learned: Classifier | None) -> dict[str, Any] | None:
    if learned is None:
        return None
    return {
        language: {
            "right": found.right,
            "of": found.of,
            "share": round(found.share, 4),
            "interval": [round(bound, 4) for bound in found.interval],
        }
        for language, found in learned.accuracy.items()
    }


def tell(check: LanguageCheck, confusion: Confusion, job: Job) -> None:
    """Show the confusion table, what is not covered, and a warning where much looks odd."""
    console, settings = job.console, check.settings
    rows = []
    for row in confusion.rows():
        asked = check.identifier.coverage[row["claimed"]]
        found = ", ".join(f"{name} {n}" for name, n in list(row["found"].items())[:4]) or "-"
        by = "not covered" if not asked.covered else ", ".join(v.model for v in asked.voters)
        silent = sum(row["abstained"].values())
        cells = [row["card"], row["claimed"], by or "script", row["lines"], row["fits"]]
        rows.append([*cells, found, silent, row["not_covered"]])
    columns = ["card", "claimed", "asked", "lines", "fits", "found", "no answer", "not covered"]
    console.table("what the texts are in, line by line", columns, rows)
    if check.learned is not None:
        told = ", ".join(
            f"{x} {a.share:.1%} [{a.interval[0]:.1%}, {a.interval[1]:.1%}] of {a.of}"
            for x, a in check.learned.accuracy.items()
        )
        console.say(f"{OWN_TEXTS}: held-out lines told right: {told}")
    for language in check.claimed:
        coverage = check.identifier.coverage[language]
        if not coverage.covered:
            console.say(
                f"{language}: not covered: {_why(check, language)}. Its script was checked, its "
                "language was not, and nothing of it is dropped",
                language=language,
                covered=False,
            )
    for row in confusion.rows():
        if row["odd_texts"] > settings.warn_share * row["texts"]:
            _warn(row, job)


def _why(check: LanguageCheck, language: str) -> str:
    if language in check.missing:
        return (
            "no model knows it, and the cards hold too little text of it, or of another language "
            "in its script to contrast it with"
        )
    return check.identifier.coverage[language].reason or "no model was named"


def _warn(row: Mapping[str, Any], job: Job) -> None:
    share = row["odd_texts"] / row["texts"]
    found = ", ".join(row["found"])
    dropped = job.recipe.prepare.identify.action == "drop"
    advice = (
        "they were left out"
        if dropped
        else "look at the samples in report.html; `prepare.identify.action: drop` leaves them out"
    )
    job.console.say(
        f"warning: {row['card']}: {row['odd_texts']} of {row['texts']} texts ({share:.1%}) that "
        f"claim {row['claimed']} look like something else ({found}); {advice}",
        card=row["card"],
        claimed=row["claimed"],
        share=share,
    )
