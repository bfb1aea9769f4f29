"""How long a training is: steps and tokens, exact where the corpus is prepared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from finetune.errors import StoreError
from finetune.mix.allocate import Cell
from finetune.mix.mixture import groups_of, replayed_cells, rows_of_an_epoch
from finetune.pipeline import plan
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.spec.card import DataCard, HubSource, PackageSource
from finetune.spec.entries import learned_language
from finetune.spec.load import Project, resolved_use
from finetune.train.schedule import total_steps

BYTES_PER_TOKEN = 2.4
"""UTF-8 bytes of a token before anything was tokenised: what SmolLM2's tokenizer makes of Hausa,
Swahili and Chichewa. It makes 4.6 of English, 1.8 of Yoruba and 1.05 of Telugu."""


@dataclass(frozen=True, slots=True)
class Length:
    """One training of a recipe."""

    phase: str
    steps: int
    rows_per_step: int
    tokens: int
    """Tokens that are trained on, padding left out."""
    epochs: float | None
    """Passes over the training rows; None where their number is not known."""
    exact: bool
    """Whether it was counted on the prepared corpus."""
    source: str
    """Where the number of rows is from."""


def lengths(project: Project, *, store: Store) -> list[Length]:
    """Return the length of each phase.

    Raises StoreError where epochs are asked for and the size of a corpus cannot be told.
    """
    steps = plan.prepared_for_training(project)
    return [_length(project, step, store=store) for step in steps]


def cells_of(project: Project, step: Step, *, store: Store) -> tuple[list[Cell] | None, bool]:
    """Return what a phase trains on by language and card, and whether it was counted.

    Else it is estimated from the sizes of files, or None if a corpus is not here yet. `step` is
    the phase's `prepare`. An artefact of before there were cells is estimated too.
    """
    prepared = store.find("prepare", step.key)
    if prepared is not None and "cells" in prepared.result:
        return [Cell(**cell) for cell in prepared.result["cells"]], True
    found: dict[tuple[str, str], int] = {}
    for corpus in step.phase.corpora:
        card = project.cards[corpus.card]
        if card.is_withdrawn:
            continue
        size = _size_bytes(card, step, store=store)
        if size is None:
            return None, False
        use, sides = resolved_use(corpus, card), len(card.corpus.languages)
        part = {"translation": min(1.0, 2 / sides), "text": 1 / sides}.get(use, 1.0)
        cell = (learned_language(corpus, card), corpus.card)
        found[cell] = found.get(cell, 0) + round(size * part)
    return [_estimated(*cell, size, project) for cell, size in found.items()], False


def _estimated(language: str, card: str, size_bytes: int, project: Project) -> Cell:
    settings = project.recipe.prepare
    kept = round(size_bytes * (1 - settings.validation_share - settings.test_share))
    tokens = max(1, math.ceil(kept / BYTES_PER_TOKEN))
    rows = max(1, math.ceil(tokens / settings.sequence_tokens))
    return Cell(language=language, card=card, rows=rows, tokens=tokens, bytes=max(1, kept))


def _length(project: Project, step: Step, *, store: Store) -> Length:
    phase, row_tokens = step.phase, project.recipe.prepare.sequence_tokens
    train, rows_per_step = phase.train, phase.train.rows_per_step(row_tokens)
    prepared = store.find("prepare", step.key)
    cells, counted = cells_of(project, step, store=store)
    rows, fill = None if cells is None else sum(cell.rows for cell in cells), 1.0
    source = f"the size of the cards' files, {BYTES_PER_TOKEN:g} bytes a token"
    if prepared is not None:
        counts = prepared.result["counts"]["train"]
        rows, fill = counts["rows"], counts["tokens"] / (counts["rows"] * row_tokens)
        source = "the prepared corpus"
    if phase.mixing is not None and cells is not None:
        replayed = replayed_cells(phase.corpora, project.cards)
        groups = groups_of(cells, mix=phase.mixing, replayed=replayed)
        rows = rows_of_an_epoch(phase, project.cards, groups)
    if rows is None and train.max_steps is None:
        raise StoreError(
            f"{project.path}: how much text the cards hold is not known yet: run `finetune fetch "
            f"{project.path}` and `finetune prepare {project.path}`, or give train.max_steps"
        )
    count = total_steps(train, num_rows=rows or 1, rows_per_step=rows_per_step)
    seen = count * rows_per_step
    if rows is None:
        source = "batch_tokens x max_steps, as if no row were padded"
    return Length(
        phase=phase.name,
        steps=count,
        rows_per_step=rows_per_step,
        tokens=round(seen * row_tokens * fill),
        epochs=None if rows is None else seen / rows,
        exact=prepared is not None and (counted or phase.mixing is None),
        source=source,
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
