"""Marks of the artefacts of one recipe in a list: repository, steps, seed and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from finetune.pipeline.manifest import Manifest
from finetune.spec.tables.metric import VALIDATED, VALIDATION


@dataclass(frozen=True, slots=True)
class Marks:
    """Of an artefact; None where it does not apply."""

    repo: str | None = None
    steps: int | None = None
    seed: int | None = None
    validation: float | None = None
    """Mean of the best validation over languages, of a training run."""
    base: float | None = None
    """Mean of the base's test scores over languages, of an evaluation or release."""
    adapter: float | None = None
    """The same of the adapter."""

    @property
    def score(self) -> str:
        """The score for people, in the validation metric."""
        if self.base is not None and self.adapter is not None:
            return f"{self.base:.3f} -> {self.adapter:.3f}"
        return "" if self.validation is None else f"{self.validation:.3f} (validation)"


def marks_of(manifests: Sequence[Manifest]) -> dict[str, Marks]:
    """Return the marks of training runs, evaluations and releases, by `stage/key`.

    An evaluation has the steps of its training, a release also the scores of its evaluation.
    """
    results = {f"{one.stage}/{one.key}": one for one in manifests}
    found = {}
    for name, one in results.items():
        if one.stage not in ("train", "evaluate", "release"):
            continue
        stages = {role: results.get(made) for role, made in one.inputs.items()} | {one.stage: one}
        train, evaluate, release = (stages.get(x) for x in ("train", "evaluate", "release"))
        tested = _tested(evaluate.result) if evaluate else (None, None)
        found[name] = Marks(
            repo=_known(release.result, "repo", str) if release else None,
            steps=_known(train.result, "steps", int) if train else None,
            seed=_known(train.made_of.get("train", {}), "seed", int) if train else None,
            validation=_mean(train.result.get(VALIDATED, {})) if train else None,
            base=tested[0],
            adapter=tested[1],
        )
    return found


def _known(values: Any, key: str, kind: type[Any]) -> Any:
    value = values.get(key) if isinstance(values, Mapping) else None
    return value if isinstance(value, kind) else None


def _mean(by_language: Any) -> float | None:
    values = list(by_language.values()) if isinstance(by_language, Mapping) else []
    return fmean(values) if values and all(isinstance(v, int | float) for v in values) else None


def _tested(result: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the means of base and adapter over languages; other versions may have none."""
    tests = [
        one
        for one in result.get("comparisons", ())
        if isinstance(one, Mapping) and one.get("metric") == VALIDATION and not one.get("task")
    ]
    base, adapter = (
        _mean({n: t.get(who) for n, t in enumerate(tests)}) for who in ("base", "adapter")
    )
    return base, adapter
