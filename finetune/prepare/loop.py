"""The documents of a phase, from its cards, each once and on its side of the split."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artefacts.job import Job
from finetune.errors import DataError
from finetune.prepare.checking.clean import countries
from finetune.prepare.checking.identification import Watch, make_watch
from finetune.prepare.ledger import Ledger
from finetune.prepare.overlap.contamination import load_sets
from finetune.prepare.overlap.digests import Digests
from finetune.prepare.overlap.exact import hold_out
from finetune.prepare.overlap.minhash import Signatures, bands_for
from finetune.prepare.overlap.near import NearDuplicates
from finetune.prepare.reading.document import Document
from finetune.prepare.reading.drafts import Maker
from finetune.prepare.reading.layout import Layout, make_layout
from finetune.prepare.reading.split import Split, split_of
from finetune.prepare.reading.spool import Spool
from finetune.sources.files import reader_of, resolve_files
from finetune.spec.load import resolved_use
from finetune.spec.recipe import Corpus, Phase

SPOOL_FOLDER = "spool"


@contextmanager
def gathered(job: Job, tokenizer: Any, *, ledger: Ledger, watch: Watch | None) -> Iterator[Spool]:
    """Read the cards of the job's phase once, and yield its documents, each on its side.

    What is left of them are `spool.documents(spool.left())`. They lie in the job's workspace until
    the block ends. `watch` looks at the language of each. Raises DataError for a corpus that cannot
    be read, or of which every card was withdrawn.
    """
    _refuse_withdrawn(job)
    settings = job.recipe.prepare.duplicates
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(job.workspace / SPOOL_FOLDER, phase=job.phase.name))
        signatures = None
        if settings.near != "off":
            bands = bands_for(settings.near)
            signatures = stack.enter_context(Signatures(spool.folder / "signatures", bands))
        sets = load_sets(job.recipe.prepare.evaluation_sets)
        for document in _documents(job, job.phase, tokenizer, ledger=ledger, watch=watch):
            # what is in the recipe's own test is not trained on, and may be in another set too
            if sets and _split(job, document) != "test" and sets.holds(document):
                ledger.drop(document, reason="contaminated")
            else:
                _add(job, document, spool, signatures, phase=job.phase.name)
        if sets:
            ledger.parts["contamination"] = sets.facts()
        _tell(job, spool)
        for phase, document in _elsewhere(job, tokenizer, watch=watch and watch.again()):
            if _split(job, document) != "train":
                _add(job, document, spool, signatures, phase=phase)
        hold_out(spool, ledger=ledger)
        if signatures is not None:
            near = NearDuplicates(spool, signatures, settings, ledger)
            near.drop()
            ledger.parts["duplicates"] = near.facts()
        yield spool


def texts_of(job: Job, tokenizer: Any, *, split: Split = "train") -> Iterator[Document]:
    """Yield the documents of a split as they would be prepared; nothing is written that stays.

    For what has to be learned from the corpus before it can be encoded. Memory as in `gathered`.
    """
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # a watch that only reports decides nothing, and would be learned for nobody
        drops = job.recipe.prepare.identify.action == "drop"
        watch = make_watch(job) if drops else None
        with gathered(job, tokenizer, ledger=Ledger(nowhere), watch=watch) as spool:
            for number, document in spool.documents(spool.left()):
                if spool.split_of(number) == split:
                    yield document


def layout_of(job: Job, phase: Phase, tokenizer: Any) -> Layout:
    """Return how documents of a phase are laid out. Raises RecipeError if the base cannot do it."""
    settings = job.recipe.prepare
    uses = {resolved_use(c, job.cards[c.card]) for c in corpora_of(job, phase)}
    return make_layout(
        tokenizer,
        kind=settings.layout,
        chat_template=settings.chat_template,
        conversations=uses != {"text"},
    )


def corpora_of(job: Job, phase: Phase) -> list[Corpus]:
    """Return the corpora whose card was not taken back: nothing of the others is even read."""
    return [c for c in phase.corpora if not job.cards[c.card].is_withdrawn]


def _documents(
    job: Job, phase: Phase, tokenizer: Any, *, ledger: Ledger, watch: Watch | None
) -> Iterator[Document]:
    """Yield the documents of a phase, each once."""
    layout = layout_of(job, phase, tokenizer)
    seen = Digests()
    settings = job.recipe.prepare
    regions = countries(settings, job.cards.values())
    corpora = corpora_of(job, phase)
    files = {c.card: resolve_files(job.cards[c.card], inputs=job.inputs) for c in corpora}
    for corpus in corpora:
        card = job.cards[corpus.card]
        maker = Maker(corpus, card, settings, layout, ledger, seen, regions, watch)
        read = reader_of(card)
        yield from maker.documents(read(files[corpus.card], corpus=card.corpus))


def _elsewhere(job: Job, tokenizer: Any, *, watch: Watch | None) -> Iterator[tuple[str, Document]]:
    """Yield the documents of the other phases: read again, so that no phase waits for another.

    What those hold out, this one must not train on; each phase finds the same sides, because they
    follow from the texts alone.
    """
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for phase in job.recipe.stages_of_training:
            if phase.name != job.phase.name:
                nothing = Ledger(nowhere)
                for document in _documents(job, phase, tokenizer, ledger=nothing, watch=watch):
                    yield phase.name, document


def _add(
    job: Job, document: Document, spool: Spool, signatures: Signatures | None, *, phase: str
) -> None:
    spool.add(document, _split(job, document), phase=phase)
    if signatures is not None:
        for text in document.texts:
            signatures.add(text)


def _split(job: Job, document: Document) -> Split:
    settings = job.recipe.prepare
    return split_of(
        document.id,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
    )


def _refuse_withdrawn(job: Job) -> None:
    """Say which cards were taken back. Raises DataError if no other is left."""
    names = list(dict.fromkeys(c.card for c in job.phase.corpora))
    for name in names:
        if job.cards[name].is_withdrawn:
            job.console.say(f"{name}: withdrawn by its owners; nothing of it is read", card=name)
    if not corpora_of(job, job.phase):
        raise DataError(
            f"every card was withdrawn ({', '.join(names)}); there is nothing to train on"
        )


def _tell(job: Job, spool: Spool) -> None:
    """Say how many documents each card has."""
    counts: Counter[str] = Counter()
    for kind, number in zip(spool.kinds, np.bincount(spool.kind_numbers()), strict=True):
        counts[kind.card] += int(number)
    for name, total in counts.items():
        job.console.detail(f"{name}: {total} documents")
