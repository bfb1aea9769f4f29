"""Evidence of the gates: results of an evaluation, languages of a recipe, overlap with training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.artefacts.judged.summary import JudgedSummary
from finetune.artefacts.results import EvaluateResult, PrepareResult
from finetune.artefacts.scores import PairedTest, Score
from finetune.spec.card import DataCard
from finetune.spec.entries import target_language
from finetune.spec.recipe import Corpus, Recipe

_OVERLAP = ("in-evaluation", "near-evaluation", "contaminated")
"""Reasons of rejection that `prepare` records for an overlap with held-out or evaluation texts."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of the training texts with the test, as `prepare` removed it."""

    removed: int | None
    """Texts; None if it was not recorded."""
    looked_for_near: bool
    """Exact copies are always removed, near copies where the recipe asks for it."""
    evaluation_sets: tuple[str, ...]
    unknown_start: bool
    """True if the first phase continues an adapter from outside the recipe."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gates look at."""

    evaluated: EvaluateResult
    languages: tuple[str, ...]
    """Languages of the training texts, without those of replay data alone."""
    translated: tuple[str, ...]
    """Those into which parallel cards translate."""
    overlap: Overlap
    judged: tuple[JudgedSummary, ...] = ()
    """Judgements of speakers, by campaign."""
    for_health: bool = False
    """True if the adapter is made for health."""

    def scores(self, *, task: str | None, metric: str, language: str | None = None) -> list[Score]:
        """Return the adapter's scores of a metric."""
        return [
            score
            for score in self.evaluated.scores
            if (score.task, score.metric, score.system) == (task, metric, "adapter")
            and language in (None, score.language)
        ]

    def tests(self, *, task: str | None, metric: str | None = None) -> list[PairedTest]:
        """Return the paired tests of a task; held-out text and translation are none."""
        tests = [test for test in self.evaluated.comparisons if test.task == task]
        return [test for test in tests if metric in (None, test.metric)]


def evidence_of(
    recipe: Recipe,
    cards: Mapping[str, DataCard],
    *,
    prepared: Sequence[PrepareResult],
    evaluated: EvaluateResult,
    judged: Sequence[JudgedSummary] = (),
) -> Evidence:
    """Return the evidence of a recipe; `prepared` are the corpora of its phases."""
    there = {name for name, card in cards.items() if not card.is_withdrawn}
    corpora = [c for p in recipe.training_phases for c in p.corpora if c.card in there]
    tested = [corpus for corpus in corpora if not corpus.replay] or corpora
    taught = [corpus for corpus in tested if not corpus.evaluate_only] or corpora
    languages = {target_language(corpus, cards[corpus.card]): False for corpus in taught}
    for corpus in tested:
        language = target_language(corpus, cards[corpus.card])
        if language in languages:
            languages[language] |= _translates(corpus, cards)
    return Evidence(
        evaluated=evaluated,
        languages=tuple(languages),
        translated=tuple(name for name, translates in languages.items() if translates),
        overlap=_overlap(recipe, prepared),
        judged=tuple(judged),
        for_health=recipe.intended_use == "health",
    )


def _translates(corpus: Corpus, cards: Mapping[str, DataCard]) -> bool:
    parallel = cards[corpus.card].corpus.kind == "parallel"
    return parallel and corpus.use in ("auto", "translation")


def _overlap(recipe: Recipe, prepared: Sequence[PrepareResult]) -> Overlap:
    recorded = [one.rejected for one in prepared]
    removed = None
    if recorded and all(one is not None for one in recorded):
        removed = sum(one.get(reason, 0) for one in recorded if one for reason in _OVERLAP)
    sets = recipe.prepare.evaluation_sets
    return Overlap(
        removed=removed,
        looked_for_near=recipe.prepare.duplicates.near != "off",
        evaluation_sets=tuple(dict.fromkeys(one.name for one in sets)),
        unknown_start=recipe.training_phases[0].train.start_from is not None,
    )
