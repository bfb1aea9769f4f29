"""Length of a training run: steps and tokens, exact once the corpus is prepared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from finetune.errors import StoreError
from finetune.messages import Place, Problem, problem
from finetune.mix.allocate import Subset
from finetune.mix.mixture_plan import groups_of, replayed_subsets, rows_of_an_epoch
from finetune.pipeline import plan
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store
from finetune.spec.card import DataCard
from finetune.spec.entries import resolved_use, target_language
from finetune.spec.load import Project
from finetune.spec.sections.source import HubSource, PackageSource
from finetune.spec.sections.training import total_steps

BYTES_PER_TOKEN = 2.4
"""UTF-8 bytes per token assumed before tokenization: SmolLM2's tokenizer on Hausa, Swahili and
Chichewa. It has 4.6 on English, 1.8 on Yoruba and 1.05 on Telugu."""


@dataclass(frozen=True, slots=True)
class Length:
    """Length of the training run of one phase."""

    phase: str
    steps: int
    rows_per_step: int
    tokens: int
    """Tokens trained on, without padding."""
    epochs: float | None
    """Passes over the training split; None where its size is not known."""
    exact: bool
    """True if it was counted on the prepared corpus."""
    source: str
    """Source of the number of packed sequences."""
    document_tokens: float | None = None
    """Length of the document that a token is in, on average over tokens; None before `prepare`.
    Twice the mean over documents, as it is where lengths fall off exponentially."""
    warning: Problem | None = None
    """A warm-up that takes most of the run."""

    def as_json(self) -> dict[str, Any]:
        """Return the length without its warning."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "warning"}


def lengths(project: Project, *, store: Store) -> list[Length]:
    """Return the length of each phase.

    Raises StoreError for epochs of a corpus of unknown size.
    """
    steps = plan.prepared_for_training(project)
    return [_length(project, step, store=store) for step in steps]


def subsets_of(project: Project, step: Step, *, store: Store) -> tuple[list[Subset] | None, bool]:
    """Return what a phase trains on by language and card, and whether it was counted.

    Else it is estimated from the sizes of files, or None if a corpus is not here yet. `step` is
    the phase's `prepare`. An artefact of before there were subsets is estimated too.
    """
    prepared = store.find("prepare", step.key)
    if prepared is not None:
        from finetune.artefacts.results import PrepareResult, read_result  # loaded on use: 30 ms

        counted = read_result(prepared, PrepareResult).subsets
        if counted is not None:
            return list(counted), True
    found: dict[tuple[str, str], int] = {}
    for corpus in step.phase.corpora:
        card = project.cards[corpus.card]
        if card.is_withdrawn or corpus.evaluate_only:
            continue
        size = _size_bytes(card, step, store=store)
        if size is None:
            return None, False
        use, sides = resolved_use(corpus, card), len(card.corpus.languages)
        part = {"translation": min(1.0, 2 / sides), "text": 1 / sides}.get(use, 1.0)
        subset = (target_language(corpus, card), corpus.card)
        found[subset] = found.get(subset, 0) + round(size * part)
    return [_estimated(*subset, size, project) for subset, size in found.items()], False


def _estimated(language: str, card: str, size_bytes: int, project: Project) -> Subset:
    settings = project.recipe.prepare
    kept = round(size_bytes * (1 - settings.validation_share - settings.test_share))
    tokens = max(1, math.ceil(kept / BYTES_PER_TOKEN))
    rows = max(1, math.ceil(tokens / settings.sequence_tokens))
    return Subset(language=language, card=card, rows=rows, tokens=tokens, bytes=max(1, kept))


def _length(project: Project, step: Step, *, store: Store) -> Length:
    phase, row_tokens = step.phase, project.recipe.prepare.sequence_tokens
    train, rows_per_step = phase.train, phase.train.rows_per_step(row_tokens)
    prepared = store.find("prepare", step.key)
    subsets, counted = subsets_of(project, step, store=store)
    rows, fill = None if subsets is None else sum(subset.rows for subset in subsets), 1.0
    document_tokens = None
    source = f"the size of the cards' files, {BYTES_PER_TOKEN:g} bytes per token"
    if prepared is not None:
        from finetune.artefacts.results import PrepareResult, read_result  # loaded on use: 30 ms

        train_split = read_result(prepared, PrepareResult).counts.train
        rows = train_split.rows
        fill = train_split.tokens / (rows * row_tokens)
        mean = train_split.tokens / max(1, train_split.documents)
        document_tokens = min(float(row_tokens), 2 * mean)
        source = "the prepared corpus"
    if phase.active_mixture is not None and subsets is not None:
        replayed = replayed_subsets(phase.corpora, project.cards)
        groups = groups_of(subsets, mixture=phase.active_mixture, replayed=replayed)
        rows = rows_of_an_epoch(phase, project.cards, groups)
    if rows is None and train.max_steps is None:
        there = named_store(store.root)
        raise StoreError(
            problem(
                "corpus-size-unknown",
                "the size of its corpora is not known yet: run `{fetch}` and `{prepare}`, or set "
                "train.max_steps",
                at=Place(project.path),
                fetch=project.typed("fetch", *there),
                prepare=project.typed("prepare", *there),
            )
        )
    count = total_steps(train, num_rows=rows or 1, rows_per_step=rows_per_step)
    seen = count * rows_per_step
    if rows is None:
        source = "batch_tokens x max_steps, without padding"
    return Length(
        phase=phase.name,
        steps=count,
        rows_per_step=rows_per_step,
        tokens=round(seen * row_tokens * fill),
        epochs=None if rows is None else seen / rows,
        exact=prepared is not None and (counted or phase.active_mixture is None),
        source=source,
        document_tokens=document_tokens,
        warning=train.warmup_warning(count),
    )


def _size_bytes(card: DataCard, step: Step, *, store: Store) -> int | None:
    source = card.corpus.source
    if isinstance(source, HubSource) or card.corpus.is_fetched:
        fetched = step.inputs[f"corpus:{card.name}"]
        found = store.find("corpus", fetched.key)
        return None if found is None else _sizes(found.path.rglob("*"))
    root = card.path.parent
    if isinstance(source, PackageSource):
        try:
            root = Path(str(distribution(source.package.partition("==")[0]).locate_file("")))
        except PackageNotFoundError:
            return None
    files = [root / file.path for file in source.files]
    return _sizes(files) if all(f.is_file() for f in files) else None


def _sizes(paths: Iterable[Path]) -> int:
    return sum(p.stat().st_size for p in paths if p.is_file())
