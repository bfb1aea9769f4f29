"""A whole training by the stage `train`, and the same one in two parts: equal to the last bit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import DOCUMENT_DTYPE
from finetune.cluster.doctor.gpu.bench import DRY, Bench
from finetune.cluster.doctor.gpu.trial_rows import Found, passed
from finetune.models.adapter_files import WEIGHTS
from finetune.output.console import Console
from finetune.sources.checksums import sha256_of
from finetune.spec.recipe import Recipe

STEPS = 8
TOKENS = 16
LANGUAGE = "und_Latn"


def stopped_and_continued(bench: Bench) -> Found:
    """Train all steps at once, and half of them twice; compare the adapters."""
    from finetune.train.run import run

    inputs = _inputs(bench.folder)
    whole = run(_job(bench, "whole", inputs, steps=STEPS))
    half = run(_job(bench, "half", inputs, steps=STEPS // 2))
    shorter = {"shorter": Artifact("train", "t", bench.folder / "half", half)}
    run(_job(bench, "continued", inputs | shorter, steps=STEPS))
    digests = {
        name: sha256_of(bench.folder / name / "adapter" / WEIGHTS)
        for name in ("whole", "continued")
    }
    fell = whole["loss_last"] < whole["loss_first"]
    is_same = digests["whole"] == digests["continued"]
    return passed(
        fell and is_same,
        f"loss {whole['loss_first']:.3f} to {whole['loss_last']:.3f} in {whole['precision']}, "
        f"adapters {'equal' if is_same else 'differ'}",
    )


def _job(bench: Bench, name: str, inputs: Mapping[str, Artifact], *, steps: int) -> Job:
    recipe = Recipe.model_validate(_recipe(bench, steps=steps))
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={},
        inputs=inputs,
        workspace=bench.folder / name,
        console=Console(out=io.StringIO()),
    )


def _recipe(bench: Bench, *, steps: int) -> dict[str, Any]:
    return {
        "name": "doctor",
        "base": {"model": "/random", "hub_id": "none/random", "licence": "apache-2.0"},
        "corpora": [{"card": "random"}],
        "prepare": {"sequence_tokens": TOKENS},
        "lora": {"rank": 4, "dropout": 0.1},
        "train": {
            "max_steps": steps,
            "batch_tokens": 4 * TOKENS,
            "learning_rate": 0.01,
            "schedule": "constant",
            "warmup_steps": 0,
            "validate_every_steps": STEPS // 2,
            "precision": bench.precision,
        },
        "release": "none",
        "run": {
            "tensorboard": False,
            "device": bench.kind,
            "micro_batch_size": 2,
            "deterministic": True,
        },
    }


def _inputs(folder: Path) -> dict[str, Artifact]:
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(**DRY)).save_pretrained(folder / "inputs/base/model")
    for name, rows in (("train", 10), ("validation", 4)):
        _write_split(folder / "inputs/prepare" / name, rows=rows)
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
