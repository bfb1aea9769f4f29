"""Settings proposed from facts, each with reason and source; others keep their defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from finetune.advice import evidence
from finetune.advice.facts import Candidate, Facts
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.tokenizer.advice import CHEAPER_BASE_FACTOR, MEASURED_HERE, PAYS_TOKENS_PER_WORD

SEQUENCES = (128, 256, 512, 1024, 2048, 4096)
PROMPT_TOKENS = 40
"""Approximate size of a chat template and an instruction beside the texts of a pair."""
MEASURED_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The one base that recipes of this project were run with."""
SHORT_TOKENS = 125_000
"""The longest training run with this learning rate and batch that was seen to work had 122,880."""
EPOCHS = 3.0
"""Within the four passes that are about as good as new text."""


@dataclass(frozen=True, slots=True)
class Line:
    """One setting: its key in the recipe, the value (None: the default), reason and source."""

    key: str
    value: Any
    reason: str
    source: str


NO_FACT = "no measurement applies here, so the default stays"


def propose(facts: Facts, *, affordable_epochs: float | None) -> tuple[Candidate, list[Line]]:
    """Return the base that is proposed, and every setting with its reason.

    `affordable_epochs`: passes over the corpus that a budget allows; None for as many as are worth
    it. Raises RecipeError if no base may be used.
    """
    chosen, line = _base(facts)
    row_line = _sequence(facts, chosen)
    epochs = _epochs(affordable_epochs)
    lines = [
        line,
        row_line,
        Line("lora.rank", None, NO_FACT, ""),
        epochs,
        *_learning_rate(chosen, tokens=epochs.value * facts.total_tokens(chosen.label)),
        *_replay(facts),
        *_mixture(facts),
        *_vocabulary(facts, chosen),
    ]
    return chosen, lines


def _base(facts: Facts) -> tuple[Candidate, Line]:
    allowed = [one for one in facts.candidates if not one.refused]
    if not allowed:
        raise RecipeError(
            *(
                problem(
                    "base-refused",
                    "base {base}: {reason}",
                    at=Place(one.recipe),
                    base=one.label,
                    reason=one.refused,
                )
                for one in facts.candidates
            )
        )
    sizes = {one.label: facts.total_tokens(one.label) for one in allowed}
    best = min(allowed, key=lambda one: sizes[one.label])
    first = allowed[0]
    if sizes[first.label] < CHEAPER_BASE_FACTOR * sizes[best.label]:
        best = first  # no difference that matters: the order of the user decides
    counts = ", ".join(f"{label} {tokens:,}" for label, tokens in sizes.items())
    reason = f"tokens of these texts: {counts}"
    if len(allowed) > 1:
        known = evidence.QUALITY_UNKNOWN
        reason += (
            f". Which base learns the language best was not measured, and {known.finding} "
            f"({known.source}). To see it, advise again with --base and another --out, and compare "
            "both with `finetune run FILE --set train.epochs=0.3`"
        )
    return best, Line("base", best.label, reason, MEASURED_HERE)


def _sequence(facts: Facts, chosen: Candidate) -> Line:
    longest = 0.0
    for one in facts.cards:
        cost = next(cost for cost in one.audit.bases if cost.name == chosen.label)
        around = PROMPT_TOKENS if one.use != "text" else 0
        longest = max(longest, one.long_bytes / cost.bytes_per_token.value + around)
    limit = min(chosen.context_tokens or SEQUENCES[-1], SEQUENCES[-1])
    fitting = [size for size in SEQUENCES if size <= limit]
    value = next((size for size in fitting if size >= longest), fitting[-1])
    value = max(value, min(512, fitting[-1]))  # short documents are packed into one sequence
    reason = (
        f"95 % of the documents take at most {math.ceil(longest):,} tokens; short ones are packed"
    )
    return Line("prepare.sequence_tokens", value, reason, MEASURED_HERE)


def _epochs(affordable: float | None) -> Line:
    known = evidence.EPOCHS
    if affordable is not None and affordable < EPOCHS:
        once = "" if affordable >= 1 else ", so some texts are never seen"
        reason = f"what the budget allows{once}; {known.finding}"
        return Line("train.epochs", float(f"{affordable:.2g}"), reason, "finetune estimate")
    return Line("train.epochs", EPOCHS, known.finding, known.source)


def _learning_rate(chosen: Candidate, *, tokens: float) -> Iterator[Line]:
    known = evidence.LEARNING_RATE
    if chosen.base.released_id == MEASURED_BASE and tokens <= SHORT_TOKENS:
        yield Line("train.batch_tokens", evidence.SHORT_BATCH_TOKENS, known.finding, known.source)
        yield Line(
            "train.learning_rate", evidence.SHORT_LEARNING_RATE, "with that batch", known.source
        )
    else:
        yield Line("train.batch_tokens", None, NO_FACT, "")
        yield Line("train.learning_rate", None, NO_FACT, "")


def _replay(facts: Facts) -> Iterator[Line]:
    known = evidence.REPLAY_OF_TEXT
    if facts.replay:
        names = ", ".join(one.card.name for one in facts.replay)
        reason = f"{names} keeps what the base knows: {known.finding}"
        yield Line("mixture.replay", "auto", reason, known.source)
    elif facts.plain_text:
        yield Line(
            "mixture.replay",
            None,
            f"no card for it was named (--replay CARD): {known.finding}",
            known.source,
        )


def _mixture(facts: Facts) -> Iterator[Line]:
    if len(facts.languages) > 1:
        known = evidence.UNIMAX
        yield Line("mixture.method", "unimax", known.finding, known.source)


def _vocabulary(facts: Facts, chosen: Candidate) -> Iterator[Line]:
    measured = [
        (one.language, cost.tokens_per_word, cost.bytes_per_token.value)
        for one in facts.cards
        for cost in one.audit.bases
        if cost.name == chosen.label and cost.tokens_per_word
    ]
    costs = ", ".join(
        f"{x} {m.value:.1f} tokens per word, {b:.2f} bytes per token" for x, m, b in measured
    )
    if any((m.low or 0) >= PAYS_TOKENS_PER_WORD for _, m, _ in measured):
        known = evidence.VOCABULARY
        yield Line(
            "vocabulary", {}, f"{costs}; {known.finding}", f"{MEASURED_HERE}; {known.source}"
        )
    elif measured:
        reason = f"{costs}; from {PAYS_TOKENS_PER_WORD:g} tokens per word on, new tokens paid off"
        yield Line("vocabulary", None, reason, f"{MEASURED_HERE}; docs/train/vocabulary.md")
