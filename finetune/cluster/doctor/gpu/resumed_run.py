"""A whole training by the stage `train`, and the same one in two parts: equal to the last bit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import DOCUMENT_DTYPE
from finetune.cluster.doctor.gpu.bench import DRY, Bench
from finetune.cluster.doctor.gpu.trial_rows import Found, passed
from finetune.models.adapter_files import WEIGHTS
from finetune.output.console import Console
from finetune.sources.checksums import sha256_of
from finetune.spec.recipe import Recipe
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Sharding

STEPS = 8
TOKENS = 16
ROUNDING = 0.01
"""Losses in half precision differ by less, whatever shares out the work."""
LEARNING_RATE = 3e-3
"""Small enough that rounding stays small in all steps."""
LANGUAGE = "und_Latn"


@dataclass(frozen=True, slots=True)
class Way:
    """Sharding of a training run over ranks, and quantization of its base."""

    sharding: Sharding = "none"
    quantization: Quantization = "none"

    @property
    def name(self) -> str:
        """For tables and folders."""
        return self.sharding + ("" if self.quantization == "none" else f"-{self.quantization}")


@dataclass(frozen=True, slots=True)
class TwoParts:
    """Result of a training run in one part and in two."""

    precision: str
    loss_first: float
    loss_last: float
    is_same: bool
    """True if the adapters are equal to the last bit; only the rank that writes knows it."""

    def judged(self, *, near: float | None = None) -> Found:
        """Return whether the loss fell (and ends near another one), with equal adapters."""
        is_right = self.is_same and self.loss_last < self.loss_first
        if near is not None:
            is_right &= abs(self.loss_last - near) <= ROUNDING * near
        return passed(
            is_right,
            f"loss {self.loss_first:.3f} to {self.loss_last:.3f} in {self.precision}, "
            f"adapters {'equal' if self.is_same else 'differ'}",
        )


def stopped_and_continued(bench: Bench) -> Found:
    """Train all steps at once, and half of them twice; compare the adapters."""
    return in_two_parts(bench, random_inputs(bench.folder), way=Way()).judged()


def in_two_parts(bench: Bench, inputs: Mapping[str, Artifact], *, way: Way) -> TwoParts:
    """Train all steps at once, and half of them twice. All ranks of a launch do it together."""
    from finetune.train.run import run

    folder = bench.folder / way.name

    def job(name: str, inputs: Mapping[str, Artifact], *, steps: int) -> Job:
        recipe = Recipe.model_validate(_recipe(bench, steps=steps, way=way))
        return Job(
            recipe=recipe,
            phase=recipe.training_phases[0],
            cards={},
            inputs=inputs,
            workspace=folder / name,
            console=Console(out=io.StringIO()),
        )

    whole = run(job("whole", inputs, steps=STEPS))
    half = run(job("half", inputs, steps=STEPS // 2))
    shorter = {"shorter": Artifact("train", "t", folder / "half", half)}
    run(job("continued", {**inputs, **shorter}, steps=STEPS))
    adapters = [folder / name / "adapter" / WEIGHTS for name in ("whole", "continued")]
    digests = {sha256_of(adapter) for adapter in adapters if adapter.exists()}
    return TwoParts(whole["precision"], whole["loss_first"], whole["loss_last"], len(digests) == 1)


def _recipe(bench: Bench, *, steps: int, way: Way = Way()) -> dict[str, Any]:
    return {
        "name": "doctor",
        "base": {
            "model": "/random",
            "hub_id": "none/random",
            "licence": "apache-2.0",
            "quantization": way.quantization,
        },
        "corpora": [{"card": "random"}],
        "prepare": {"sequence_tokens": TOKENS},
        "lora": {"rank": 4, "dropout": 0.1},
        "train": {
            "max_steps": steps,
            "batch_tokens": 4 * TOKENS,
            "learning_rate": LEARNING_RATE,
            "schedule": "constant",
            "warmup_steps": 0,
            "validate_every_steps": STEPS // 2,
            "precision": bench.precision,
            "sharding": way.sharding,
        },
        "release": "none",
        "run": {
            "tensorboard": False,
            "device": bench.kind,
            "micro_batch_size": 2,
            "deterministic": True,
        },
    }


def random_inputs(folder: Path) -> dict[str, Artifact]:
    """Write a tiny base and splits of random tokens; return them as artefacts."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**DRY)).save_pretrained(folder / "inputs/base/model")
    for name, rows in (("train", 10), ("validation", 4)):
        _write_split(folder / "inputs/prepare" / name, rows=rows)
    return inputs_in(folder)


def inputs_in(folder: Path) -> dict[str, Artifact]:
    """Return the artefacts that were written into a folder."""
    base = {"hub_id": "none/random", "parameters": 100_000}
    size = {"documents": 10, "rows": 10, "tokens": 160, "supervised_tokens": 140}
    prepared = {
        "languages": [LANGUAGE],
        "cards": ["random"],
        "counts": {split: dict(size) for split in ("train", "validation", "test")},
    }
    return {
        "base": Artifact("base", "b", folder / "inputs/base", base),
        "prepare": Artifact("prepare", "p", folder / "inputs/prepare", prepared),
    }


def _write_split(folder: Path, *, rows: int) -> None:
    """Write rows of two documents each, of few distinct tokens, so that there is much to learn."""
    half = TOKENS // 2
    drawn = np.random.default_rng(rows).integers(100, 110, (rows, TOKENS))
    segments_NT = np.tile(np.repeat(np.array([1, 2], np.int32), half), (rows, 1))
    supervised_NT = np.ones((rows, TOKENS), np.uint8)
    supervised_NT[:, ::half] = 0
    documents = [
        (2 * row + part, row, part * half, half, half - 1, 3 * half, 0, 0)
        for row in range(rows)
        for part in (0, 1)
    ]
    folder.mkdir(parents=True)
    np.save(folder / "tokens.npy", drawn.astype(np.uint32))
    np.save(folder / "segments.npy", segments_NT)
    np.save(folder / "supervised.npy", supervised_NT)
    np.save(folder / "documents.npy", np.array(documents, DOCUMENT_DTYPE))
