"""The check that a released adapter has an effect, and the one that was trained.

The built folder is loaded as its users load it: PEFT alone, on the base that it was trained on.
Every tensor of its file must arrive there, and its logits must be those of the trained adapter, by
the loader that its scores were measured with, and not those of the base.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.artefacts.job import Job
from finetune.artefacts.remake import how_to_remake
from finetune.artefacts.results import Effect, EvaluateResult, read_result
from finetune.errors import ReleaseError, StoreError
from finetune.messages import Place, Problem, problem, sentence
from finetune.release.probes import without_effect
from finetune.release.recorded import json_of
from finetune.sources.checksums import checksum
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.sources.weight_index import named

if TYPE_CHECKING:
    import torch

_EXPERTS = ".experts."
"""Experts of a mixture that no text was sent to are trained by nothing."""


def check_effect(job: Job) -> Effect:
    """Return the effect of the adapter in `job.workspace`.

    Raises:
        StoreError: `base` is not what `train` was trained on.
        ReleaseError: a tensor is 0, lacks, has no place or differs from the trained one, or the
            logits are those of the base or not those of the trained adapter.
    """
    from finetune.release.loaded import compare

    sums = _base_sums(job)
    tensors = _tensors_of(job.workspace)
    trained = _tensors_of(job.inputs["train"].path / "adapter")
    problems = [*_changed(tensors, trained), *_zeros(tensors)]
    if problems:
        raise ReleaseError(*problems)
    found = compare(job, tensors)
    if found.precision is None and not _has_scores(job):
        raise without_effect()
    return Effect(
        tensors=len(tensors),
        base_sha256=sums,
        precision=found.precision,
        from_base=_short(found.from_base),
        from_trained=_short(found.from_trained),
        tolerance=found.tolerance,
    )


def _base_sums(job: Job) -> dict[str, str]:
    """Return the checksums of the base's weights. StoreError unless `train` was trained on them."""
    base, train = job.inputs["base"], job.inputs["train"]
    trained_on = json_of(train, "manifest.json").get("inputs", {}).get("base")
    if trained_on != f"{base.stage}/{base.key}":
        raise StoreError(
            problem(
                "another-base",
                "was trained on {trained_on}, and this base is {found}; {remedy}",
                at=Place(train.path),
                trained_on=trained_on or sentence("a base that it does not name"),
                found=f"{base.stage}/{base.key}",
                remedy=how_to_remake(train.path),
            )
        )
    written = json_of(base, "manifest.json").get("files", {})
    sums = {p.name: checksum(p) for p in sorted((base.path / "model").glob("*.safetensors"))}
    for name, sha256 in sums.items():
        if written.get(f"model/{name}", {}).get("sha256") != sha256:
            raise StoreError(
                problem(
                    "base-changed",
                    "these are not the weights that were trained on (sha256); {remedy}",
                    at=Place(base.path / "model" / name),
                    remedy=how_to_remake(base.path),
                )
            )
    return sums


def _tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / ADAPTER_WEIGHTS)


def _changed(
    tensors: Mapping[str, torch.Tensor], trained: Mapping[str, torch.Tensor]
) -> Iterator[Problem]:
    """Yield a problem for tensors that are not those of the trained adapter, bit by bit."""
    both = trained.keys() & tensors.keys()
    differences = (
        (sentence("is missing"), trained.keys() - tensors),
        (sentence("was not trained"), tensors.keys() - trained),
        (
            sentence("is not as it was trained"),
            {n for n in both if _differs(tensors[n], trained[n])},
        ),
    )
    for difference, names in differences:
        if names:
            yield problem(
                "tensors-not-trained",
                "{names}: {difference}; nothing is released",
                at=Place(ADAPTER_WEIGHTS),
                names=named(sorted(names)),
                difference=difference,
            )


def _differs(one: torch.Tensor, other: torch.Tensor) -> bool:
    import torch

    return one.dtype != other.dtype or not torch.equal(one, other)


def _zeros(tensors: Mapping[str, torch.Tensor]) -> Iterator[Problem]:
    zero = [name for name, tensor in tensors.items() if not tensor.any() and _EXPERTS not in name]
    if zero:
        yield problem(
            "tensors-zero",
            "{names}: all numbers are 0, so that this part of the adapter has no effect; train it "
            "again, or take its layer out of lora.target_modules",
            at=Place(ADAPTER_WEIGHTS),
            names=named(sorted(zero)),
        )


def _has_scores(job: Job) -> bool:
    """Return whether base and adapter have different scores."""
    evaluate = job.inputs.get("evaluate")
    tests = read_result(evaluate, EvaluateResult).comparisons if evaluate else ()
    return any(test.base != test.adapter for test in tests)


def _short(share: float) -> float:
    """Return a difference in three digits.

    >>> _short(0.123456), _short(0.0)
    (0.123, 0.0)
    """
    return float(f"{share:.3g}") if math.isfinite(share) else share
