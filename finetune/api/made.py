"""Artefacts that a run made or found: scores as rows, counts and paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import EvaluateResult, PrepareResult, SplitCounts, read_result
from finetune.artefacts.scores import PairedTest, Score
from finetune.errors import StoreError
from finetune.messages import problem
from finetune.pipeline.gate import Opened
from finetune.pipeline.store import Store

if TYPE_CHECKING:
    from finetune.api.trained import TrainedModel

REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class Run:
    """The stages of a recipe that were run, or were cached."""

    recipe: Opened
    store: Store
    artefacts: Mapping[str, Artifact]
    """The last artefact of each stage, by its name."""

    @property
    def scores(self) -> list[Score]:
        """Scores of base, adapter and yardsticks, one per metric, language and system.

        `pandas.DataFrame(run.scores)` makes a table of them.
        """
        return list(self._evaluated().scores)

    @property
    def comparisons(self) -> list[PairedTest]:
        """Paired tests of the adapter against the base, one per metric and language."""
        return list(self._evaluated().comparisons)

    @property
    def counts(self) -> Mapping[str, SplitCounts]:
        """Documents, tokens, supervised tokens and packed sequences of each split."""
        counts = read_result(self.artefact("prepare"), PrepareResult).counts
        return {"train": counts.train, "validation": counts.validation, "test": counts.test}

    def artefact(self, stage: str) -> Artifact:
        """Return the last artefact of a stage. StoreError if the run did not reach it."""
        if stage not in self.artefacts:
            raise StoreError(
                problem(
                    "stage-not-run",
                    "the stage {stage!r} was not run ({stages} were); name it with until=",
                    stage=stage,
                    stages=list(self.artefacts),
                )
            )
        return self.artefacts[stage]

    def path(self, stage: str) -> Path:
        """Return the folder of the last artefact of a stage."""
        return self.artefact(stage).path

    def report(self, stage: str) -> Path:
        """Return the page of a stage: of `prepare` the corpus report, of `evaluate` the results."""
        return self.path(stage) / REPORT

    def load_adapter(self) -> TrainedModel:
        """Load base, adapter and tokenizer."""
        from finetune.api.trained import load_adapter

        return load_adapter(self.recipe, store=self.store.root)

    def _evaluated(self) -> EvaluateResult:
        return read_result(self.artefact("evaluate"), EvaluateResult)
