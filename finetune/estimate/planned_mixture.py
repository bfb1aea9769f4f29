"""The data mixture of each phase, planned before or after preparation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.errors import StoreError
from finetune.estimate.length import Length, lengths, subsets_of
from finetune.messages import Problem, Sentence, sentence
from finetune.mix.allocate import Subset
from finetune.mix.mixture_plan import DrawnGroup, groups_of, plan_mixture, replayed_subsets
from finetune.pipeline import plan
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.recipe import Phase
from finetune.spec.sections.mixture import DataMixture
from finetune.spec.yaml_file import Path_

AS_THEY_ARE = DataMixture.model_construct(method="proportional")
"""Mixture that is shown for a training run without one."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """One training of a recipe."""

    phase: str
    steps: int
    mixture: DataMixture | None
    """None: texts are taken as they are."""
    drawn: tuple[DrawnGroup, ...]
    stages: tuple[tuple[float, tuple[float, ...]], ...]
    """Of a curriculum: where each ends, as a share of the steps, and the share of each group."""
    exact: bool
    """Counted on the prepared corpus, or estimated from the sizes of files."""
    source: str
    problems: tuple[tuple[Path_, Problem], ...]
    notes: tuple[Sentence, ...]


def mixtures(project: Project, *, store: Store) -> list[Mixture]:
    """Return the mixture of each phase, but of those whose corpora are not all here yet."""
    steps = plan.prepared_for_training(project)
    found = []
    for step, length in zip(steps, _lengths(project, store=store), strict=True):
        subsets, exact = subsets_of(project, step, store=store)
        if subsets and length is not None:
            found.append(_mixture(project, step, length=length, subsets=subsets, exact=exact))
    return found


def _lengths(project: Project, *, store: Store) -> Sequence[Length | None]:
    try:
        return lengths(project, store=store)
    except StoreError:  # epochs of a corpus that is not here yet
        return [None for _ in project.recipe.training_phases]


def _mixture(
    project: Project, step: Step, *, length: Length, subsets: list[Subset], exact: bool
) -> Mixture:
    phase, row_tokens = step.phase, project.recipe.prepare.sequence_tokens
    facts: dict[str, Any] = {
        "phase": phase.name,
        "steps": length.steps,
        "mixture": phase.active_mixture,
        "exact": exact,
        "source": length.source,
    }
    if phase.active_mixture is None:
        notes = () if exact else tuple(_not_estimated(phase))
        drawn = _as_they_are(subsets, epochs=length.epochs or 0.0)
        return Mixture(**facts, drawn=drawn, stages=(), problems=(), notes=notes)
    made = plan_mixture(phase, project.cards, subsets, steps=length.steps, row_tokens=row_tokens)
    index = project.recipe.training_phases.index(phase)
    inside: Path_ = ("phases", index) if project.recipe.phases is not None else ()
    return Mixture(
        **facts,
        drawn=made.drawn,
        stages=tuple(
            (until, interval.fractions)
            for (until, _), interval in zip(made.mixture.parts, made.intervals, strict=True)
        )
        if made.mixture.curriculum
        else (),
        problems=tuple(((*inside, *path), why) for path, why in made.problems),
        notes=(*made.notes, *(() if exact else _not_estimated(phase))),
    )


def _not_estimated(phase: Phase) -> Iterator[Sentence]:
    limited = dict.fromkeys(c.card for c in phase.corpora if c.max_documents is not None)
    if limited:
        yield sentence(
            "the estimate counts {cards} as a whole; `finetune prepare` applies max_documents",
            cards=list(limited),
        )


def _as_they_are(subsets: list[Subset], *, epochs: float) -> tuple[DrawnGroup, ...]:
    groups = groups_of(subsets, mixture=AS_THEY_ARE, replayed=replayed_subsets((), {}))
    total = sum(g.tokens for g in groups)
    return tuple(
        DrawnGroup(
            name=g.name,
            replay=False,
            share=g.tokens / total,
            epochs=epochs,
            tokens=round(epochs * g.tokens),
            unique_tokens=round(min(1.0, epochs) * g.tokens),
        )
        for g in groups
    )
