"""The corpora of a phase: their records, their layout, and those that were withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.artefacts.job import Job
from finetune.errors import DataError
from finetune.prepare.reading.document_layout import Layout, make_layout
from finetune.prepare.reading.drafts import Entry, entry_of
from finetune.prepare.reading.whole_documents import documents_of_card
from finetune.readers.record import Unit
from finetune.readers.running_text import wrapped_problem, wrapping
from finetune.readers.units import units_of
from finetune.sources.files import resolve_files
from finetune.spec.entries import resolved_use
from finetune.spec.permission import all_withdrawn
from finetune.spec.recipe import Corpus, Phase


def units_of_phase(job: Job, phase: Phase) -> Iterator[tuple[Entry, Iterator[Unit]]]:
    """Yield the corpus entries of a phase with their text units, in the order of the recipe.

    All files are looked for before the first is read: DataError for one that is missing or changed.
    """
    corpora = corpora_of(job, phase)
    files = {c.card: resolve_files(job.cards[c.card], inputs=job.inputs) for c in corpora}
    for corpus in corpora:
        card = job.cards[corpus.card]
        if phase is job.phase and (found := wrapping(card, files[corpus.card])):
            job.console.say(f"warning: {wrapped_problem(card, found)}", card=card.name)
        documents = documents_of_card(corpus, card, files[corpus.card], settings=job.recipe.prepare)
        yield entry_of(corpus, card, documents=documents), units_of(card, files[corpus.card])


def layout_of(job: Job, phase: Phase, tokenizer: Any) -> Layout:
    """Return how documents of a phase are laid out. Raises RecipeError if the base cannot do it."""
    settings = job.recipe.prepare
    uses = {resolved_use(c, job.cards[c.card]) for c in corpora_of(job, phase)}
    return make_layout(
        tokenizer,
        kind=settings.layout,
        chat_template=settings.chat_template,
        conversations=uses != {"text"},
        system_prompt=settings.system_prompt,
        mask_history=settings.mask_history,
    )


def corpora_of(job: Job, phase: Phase) -> list[Corpus]:
    """Return the corpora whose card was not withdrawn: nothing of the others is even read."""
    return [c for c in phase.corpora if not job.cards[c.card].is_withdrawn]


def refuse_withdrawn(job: Job) -> None:
    """Say which cards were withdrawn. Raises DataError if no other is left."""
    names = list(dict.fromkeys(c.card for c in job.phase.corpora))
    for name in names:
        if job.cards[name].is_withdrawn:
            job.console.say(f"{name}: withdrawn by its owners; nothing of it is read", card=name)
    if not corpora_of(job, job.phase):
        raise DataError(all_withdrawn(names))
