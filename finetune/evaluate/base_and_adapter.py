"""Base and adapter as two systems measured alike, each with its own tokenizer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.artefacts.results import TrainResult, read_result
from finetune.artefacts.scores import SystemName
from finetune.evaluate.parts import Part
from finetune.models.generate import BATCH_ROWS, Decoding, batch_shape
from finetune.models.kinds import Kind, TrainableModel
from finetune.models.load import resolve_precision
from finetune.models.template import special_ids
from finetune.sizing.evaluation_need import SCORE_TOKENS
from finetune.spec.recipe import Evaluate
from finetune.spec.sections.training import Precision

SHARD_ITEMS = {"cpu": 64, "cuda": 256}
"""Items that are answered in one call: some seconds to a minute of work, which a kill may cost."""
REFERENCES_WITHIN = 0.99
SPEED_PROMPTS, SPEED_TOKENS = 3, 32
"""Sample for measuring generation speed."""


@dataclass(frozen=True, slots=True)
class System:
    """A model that is measured."""

    name: SystemName
    kind: Kind
    model: TrainableModel
    tokenizer: Any
    device: Any
    switch: Callable[[], AbstractContextManager[Any]]
    """Makes the model this system within a block."""


def precision_of(job: Job, device: torch.device, *, base: Path | None = None) -> Precision:
    """Return the precision in which systems are measured: that of the training run.

    `base`: folder of another model, which is measured in it too.
    """
    asked: Any = job.phase.train.precision
    if "train" in job.inputs:
        asked = read_result(job.inputs["train"], TrainResult).precision
    return resolve_precision(asked, device, base=base or job.inputs["base"].path / "model")


def batches_of(device: torch.device) -> dict[str, int]:
    """Return the sizes that change the last bits of a score."""
    of_generation = {f"generation_{name}": n for name, n in batch_shape(device.type).items()}
    return {
        "score_tokens": SCORE_TOKENS[device.type],
        "shard_items": SHARD_ITEMS[device.type],
        **of_generation,
    }


def score(job: Job, system: System, part: Part) -> dict[str, NDArray[np.float64]]:
    """Return nats per chosen record (S, 2), of text and of end marks, language by language."""
    chosen, split = part.chosen[system.name], part.splits[system.name]
    if not chosen:
        return {}
    records = np.concatenate(list(chosen.values()))
    num_rows = len(np.unique(split.documents_D["row"][records]))
    progress = job.console.progress(
        label_of("loss", system, part), total=num_rows, unit="sequences"
    )
    with system.switch(), progress as bar:
        nll = system.kind.score(
            system.model,
            split,
            records=records,
            batch_rows=max(1, SCORE_TOKENS[system.device.type] // split.sequence_tokens),
            device=system.device,
            marks=special_ids(system.tokenizer),
            on_progress=lambda done, _: bar.update(done),
        )
    ends = np.cumsum([len(r) for r in chosen.values()])[:-1]
    return dict(zip(chosen, np.split(nll, ends), strict=True))


def write_all(job: Job, system: System, part: Part, items: Sequence[Item]) -> list[str]:
    """Return what a system generates for the prompts of items."""
    if not items:
        return []
    label = label_of("generation", system, part)
    progress = job.console.progress(label, total=len(items), unit="items")
    with system.switch(), progress as bar:
        return system.kind.generate(
            system.model,
            system.tokenizer,
            [item.prompt or "" for item in items],
            decoding=Decoding(
                most_tokens(part.asked or items, system.tokenizer, job.recipe.evaluate)
            ),
            batch_size=BATCH_ROWS[system.device.type],
            on_progress=lambda done, _: bar.update(done),
        )


def most_tokens(items: Sequence[Item], tokenizer: Any, settings: Evaluate) -> int:
    """Return the length at which generations are cut: that of 99 % of the references, with end."""
    texts = [item.reference for item in items if item.reference]
    if not texts:
        return settings.max_new_tokens
    lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    longest = math.ceil(np.quantile(lengths, REFERENCES_WITHIN)) + 1
    return min(settings.max_new_tokens, longest)


def tokens_per_second(system: System, items: Sequence[Item]) -> float | None:
    """Return how fast a system generates, one prompt at a time; None without a prompt."""
    seconds = 0.0
    prompts = [item.prompt for item in items if item.prompt][:SPEED_PROMPTS]
    with system.switch():
        for prompt in prompts:
            started = time.perf_counter()
            system.kind.generate(
                system.model,
                system.tokenizer,
                [prompt],
                decoding=Decoding(SPEED_TOKENS, min_new_tokens=SPEED_TOKENS),
                batch_size=1,
            )
            seconds += time.perf_counter() - started
    return len(prompts) * SPEED_TOKENS / seconds if prompts else None


def label_of(measure: str, system: System, part: Part) -> str:
    """Return the name of a measurement beside its progress."""
    name = f"evaluating {system.name}: {measure}"
    return name if part.phase is None else f"{name} ({part.phase})"
