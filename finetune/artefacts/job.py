"""Inputs and duties of a stage: the one interface between plan and stages.

A stage is a function `run(job: Job) -> dict`: it writes files into `job.workspace` and returns the
JSON-able `result` of its manifest. It never sees keys or the layout of the store.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the store needs Artifact alone, and is imported by what has to start quickly
    from finetune.output.console import Console
    from finetune.spec.card import DataCard
    from finetune.spec.recipe import Phase, Recipe


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished artefact. `result` is what its stage returned."""

    stage: str
    key: str
    path: Path
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One stage of one recipe, ready to run."""

    recipe: Recipe
    phase: Phase
    cards: Mapping[str, DataCard]
    inputs: Mapping[str, Artifact]
    """By role: `base`; `prepare` (`prepare:PHASE` for phases before the last); `start` (adapter
    of the phase before, or of `start_from`); `shorter` (same training with fewer steps, to be
    continued); `train`; `baseline` (answers of the base); `evaluate`; `vocabulary` (the extended
    tokenizer), and beside it `plain` and `plain:PHASE` (the same corpora prepared with the base's
    own); `corpus:NAME` (fetched Hub dataset of a card); `benchmark:DATASET` (of a public task);
    `model:NAME` (one of `evaluate.models`)."""
    workspace: Path
    """Folder that becomes the artefact. `train` finds its own checkpoints there after a stop,
    `evaluate` the shards that are measured."""
    console: Console
    """Output of progress and results."""
    leads: bool = True
    """False in a process that takes part in what another one builds. It writes no results, and
    returns an empty mapping as long as there is nothing to take part in."""
    begun: float = field(default_factory=time.monotonic, compare=False)
    """Time of its making, before the stage's modules are imported; steady clock, in seconds."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """Content of the artefact, where neither recipe nor cards say it (stage `benchmark`, and which
    model stage `base` makes)."""

    @property
    def prepared(self) -> tuple[tuple[str | None, Artifact], ...]:
        """The prepared corpora among the inputs, in order; with the phase if there are several."""
        return self._of_phases("prepare")

    @property
    def plain(self) -> tuple[tuple[str | None, Artifact], ...]:
        """The same corpora in the base's own tokens, where a vocabulary was extended."""
        return self._of_phases("plain")

    def _of_phases(self, role: str) -> tuple[tuple[str | None, Artifact], ...]:
        *earlier, last = self.recipe.training_phases
        roles: dict[str | None, str] = {phase.name: f"{role}:{phase.name}" for phase in earlier}
        roles[last.name if earlier else None] = role
        return tuple((n, self.inputs[role]) for n, role in roles.items() if role in self.inputs)
