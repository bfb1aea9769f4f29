"""What each training of a recipe will draw of each language: before it is prepared, and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.errors import StoreError
from finetune.estimate.length import Length, cells_of, lengths
from finetune.mix.allocate import Cell
from finetune.mix.mixture import Portion, groups_of, plan_mix, replayed_cells
from finetune.pipeline import plan
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.mix import Mix
from finetune.spec.recipe import Phase
from finetune.spec.text import Path_

AS_THEY_ARE = Mix(method="proportional")
"""How a training without a mix is shown."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """One training of a recipe."""

    phase: str
    steps: int
    mix: Mix | None
    """None: texts are taken as they are."""
    portions: tuple[Portion, ...]
    stages: tuple[tuple[float, tuple[float, ...]], ...]
    """Of a curriculum: where each ends, as a share of the steps, and the share of each portion."""
    exact: bool
    """Counted on the prepared corpus, or estimated from the sizes of files."""
    source: str
    problems: tuple[tuple[Path_, str], ...]
    notes: tuple[str, ...]


def mixtures(project: Project, *, store: Store) -> list[Mixture]:
    """Return the mixture of each phase, but of those whose corpora are not all here yet."""
    steps = plan.prepared_for_training(project)
    found = []
    for step, length in zip(steps, _lengths(project, store=store), strict=True):
        cells, exact = cells_of(project, step, store=store)
        if cells and length is not None:
            found.append(_mixture(project, step, length=length, cells=cells, exact=exact))
    return found


def _lengths(project: Project, *, store: Store) -> Sequence[Length | None]:
    try:
        return lengths(project, store=store)
    except StoreError:  # epochs of a corpus that is not here yet
        return [None for _ in project.recipe.stages_of_training]


def _mixture(
    project: Project, step: Step, *, length: Length, cells: list[Cell], exact: bool
) -> Mixture:
    phase, row_tokens = step.phase, project.recipe.prepare.sequence_tokens
    facts: dict[str, Any] = {
        "phase": phase.name,
        "steps": length.steps,
        "mix": phase.mixing,
        "exact": exact,
        "source": length.source,
    }
    if phase.mixing is None:
        notes = () if exact else tuple(_not_estimated(phase))
        portions = _as_they_are(cells, epochs=length.epochs or 0.0)
        return Mixture(**facts, portions=portions, stages=(), problems=(), notes=notes)
    made = plan_mix(phase, project.cards, cells, steps=length.steps, row_tokens=row_tokens)
    index = project.recipe.stages_of_training.index(phase)
    inside: Path_ = ("phases", index) if project.recipe.phases is not None else ()
    return Mixture(
        **facts,
        portions=made.portions,
        stages=tuple(
            (until, stretch.shares)
            for (until, _), stretch in zip(made.mix.parts, made.stretches, strict=True)
        )
        if made.mix.stages
        else (),
        problems=tuple(((*inside, *path), why) for path, why in made.problems),
        notes=(*made.notes, *(() if exact else _not_estimated(phase))),
    )


def _not_estimated(phase: Phase) -> Iterator[str]:
    limited = dict.fromkeys(c.card for c in phase.corpora if c.max_documents is not None)
    if limited:
        yield (
            f"the estimate takes {', '.join(limited)} as a whole; what max_documents leaves is "
            "counted by `finetune prepare`"
        )


def _as_they_are(cells: list[Cell], *, epochs: float) -> tuple[Portion, ...]:
    groups = groups_of(cells, mix=AS_THEY_ARE, replayed=replayed_cells((), {}))
    total = sum(g.tokens for g in groups)
    return tuple(
        Portion(
            name=g.name,
            replay=False,
            share=g.tokens / total,
            epochs=epochs,
            tokens=round(epochs * g.tokens),
            unique_tokens=round(min(1.0, epochs) * g.tokens),
        )
        for g in groups
    )
