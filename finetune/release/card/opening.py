"""Sentences of the model card that stand in it in English and in French."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.artefacts.first_lines import Line, first_lines
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.job import Job
from finetune.messages import Sentence, sentence
from finetune.release.recorded import (
    comparisons_of,
    corpora_of,
    read_languages,
    translates,
    written_languages,
)
from finetune.spec.language import Named


@dataclass(frozen=True, slots=True)
class Opening:
    """Beginning of the card, and its limits."""

    lines: tuple[Line, ...]
    languages: Sentence
    adapter: Sentence
    uses: tuple[Sentence, ...]
    limits: tuple[Sentence, ...]


def opening_of(
    job: Job, gates: Sequence[GateResult], *, tested: Sequence[Sentence | Named]
) -> Opening:
    """Return the sentences; `tested` names what has scores."""
    lines = first_lines(comparisons_of(job), gates=gates)
    for_health = any(line.kind == "health" for line in lines)
    return Opening(
        lines=tuple(lines),
        languages=_languages(job),
        adapter=sentence(
            "A LoRA adapter for {base}. It holds only the update of the weights: load it on top of "
            "the base.",
            base=job.recipe.base.released_id,
        ),
        uses=(*_uses(job), _not_for(for_health=for_health)),
        limits=_limits(job, tested=tested),
    )


def _languages(job: Job) -> Sentence:
    written = [Named(code, "{name}") for code in written_languages(job)]
    read = [Named(code, "{name}") for code in read_languages(job)]
    if not read:
        return sentence("Writes {languages}.", languages=written)
    return sentence("Writes {languages}; reads {sources}.", languages=written, sources=read)


def _uses(job: Job) -> list[Sentence]:
    """Return what the corpora of the recipe were used for."""
    trained = [corpus for corpus in corpora_of(job) if not (corpus.evaluate_only or corpus.replay)]
    found = []
    if any(map(translates, trained)):
        found.append(
            sentence("Intended use: drafts of translations, reviewed by a speaker of the language.")
        )
    rest = [corpus for corpus in trained if not translates(corpus)]
    kinds = {
        "chat" if corpus.use == "chat" else job.cards[corpus.card].corpus.kind for corpus in rest
    }
    if "chat" in kinds:
        found.append(
            sentence(
                "Intended use: drafts of answers to instructions, reviewed by a speaker of the "
                "language."
            )
        )
    if kinds - {"chat"}:
        found.append(
            sentence(
                "Intended use: text in the language as a start for further training, or drafts "
                "that a speaker reviews."
            )
        )
    return found


def _not_for(*, for_health: bool) -> Sentence:
    if for_health:
        return sentence("Not for: legal advice, or anything that is published unread.")
    return sentence("Not for: medical or legal advice, or anything that is published unread.")


def _limits(job: Job, *, tested: Sequence[Sentence | Named]) -> tuple[Sentence, ...]:
    reviewed = (
        sentence(
            "The generations of this adapter were not reviewed beyond the scores and judgements "
            "above."
        )
        if job.recipe.judgements
        else sentence("The generations of this adapter were not reviewed beyond the scores above.")
    )
    found = [
        sentence(
            "{reviewed} It can generate wrong, harmful or invented text; have a speaker of the "
            "language review its output before use.",
            reviewed=reviewed,
        ),
        sentence("It has the biases of its base and of the corpora that it was trained on."),
    ]
    if tested:
        found.append(
            sentence(
                "It was evaluated on {places} only; effects on other languages and tasks were not "
                "measured.",
                places=list(tested),
            )
        )
    return tuple(found)
