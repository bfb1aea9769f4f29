"""A tiny training: packed splits made with numpy and a job from a recipe, for the tests here."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import DOCUMENT_DTYPE
from finetune.models.rows import NewRows, write_rows
from finetune.output.console import Console
from finetune.spec.recipe import Recipe
from finetune.train.metrics import TIMES
from tests.support.results import base_result, prepare_result, vocabulary_result
from tests.support.tiny import write_tiny_model

LANGUAGES = ("hau_Latn", "yor_Latn")
CARDS = ("hausa-school", "yoruba-school")
TOKENS = 16
QUIET = {"tensorboard": False, "micro_batch_size": 2, "checkpoint_every_steps": 3}


def write_split(directory: Path, *, rows: int, seed: int, grouped: bool = False) -> None:
    """Write a split of two documents per sequence, one of each language, with a padded end.

    `grouped`: every fifth row has two documents of the second language, the others of the first,
    as `prepare` writes them for a mixture.
    """
    rng = np.random.default_rng(seed)
    tokens_NT = np.zeros((rows, TOKENS), np.uint32)
    segments_NT = np.zeros((rows, TOKENS), np.int32)
    supervised_NT = np.zeros((rows, TOKENS), np.uint8)
    records = []
    for row in range(rows):
        start = 0
        for segment in (1, 2):
            length = int(rng.integers(4, TOKENS // 2 + 1))
            inside = slice(start, start + length)
            # Few distinct tokens, so that there is something to learn in a few steps.
            tokens_NT[row, inside] = rng.integers(100, 120, length)
            segments_NT[row, inside] = segment
            supervised_NT[row, start + 1 : start + length] = 1
            language = int(row % 5 == 4) if grouped else segment - 1
            records.append(
                (
                    2 * row + segment - 1,
                    row,
                    start,
                    length,
                    length - 1,
                    3 * length,
                    language,
                    language,
                )
            )
            start += length
    directory.mkdir(parents=True)
    np.save(directory / "tokens.npy", tokens_NT)
    np.save(directory / "segments.npy", segments_NT)
    np.save(directory / "supervised.npy", supervised_NT)
    np.save(directory / "documents.npy", np.array(records, DOCUMENT_DTYPE))


def write_inputs(directory: Path, *, grouped: bool = False, **model: Any) -> dict[str, Artifact]:
    """Write the artefacts that the stage `train` takes; `grouped`: rows as a mixture needs them."""
    write_tiny_model(directory / "base/model", **model)
    write_split(directory / "prepare/train", rows=10, seed=1, grouped=grouped)
    write_split(directory / "prepare/validation", rows=4, seed=2)
    prepared = prepare_result(languages=list(LANGUAGES), cards=list(CARDS))
    return {
        "base": Artifact(stage="base", key="b", path=directory / "base", result=base_result()),
        "prepare": Artifact(stage="prepare", key="p", path=directory / "prepare", result=prepared),
    }


def write_vocabulary(directory: Path) -> Artifact:
    """Write the artefact of an extended vocabulary: half of the tokens in the splits are new."""
    rows = NewRows(110, tuple({5 + n: 1.0, 40 + n: 1.0} for n in range(10)))
    (directory / "vocabulary/tokenizer").mkdir(parents=True)
    write_rows(directory / "vocabulary", rows, names=[f"new-{n}" for n in rows.ids])
    (directory / "vocabulary/tokenizer/tokenizer.json").write_text("{}\n")
    return Artifact("vocabulary", "v", directory / "vocabulary", vocabulary_result())


def make_job(
    workspace: Path,
    inputs: dict[str, Artifact],
    *,
    train: dict[str, Any] | None = None,
    lora: dict[str, Any] | None = None,
    run: dict[str, Any] | None = None,
    mixture: dict[str, Any] | None = None,
    base: dict[str, Any] | None = None,
) -> Job:
    """Return a job of 8 steps of 4 rows (3.2 epochs), with these changes.

    With a `mixture` by card the inputs must be grouped.
    """
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"model": "/models/tiny", "hub_id": "org/tiny", "licence": "apache-2.0"}
            | (base or {}),
            "corpora": [{"card": CARDS[0]}, {"card": CARDS[1]}],
            "mixture": mixture and {"by": "card"} | mixture,
            "prepare": {"sequence_tokens": TOKENS},
            "vocabulary": {"learning_rate": 0.02} if "vocabulary" in inputs else None,
            "lora": {"rank": 4, "alpha": 8} | (lora or {}),
            "train": {
                "max_steps": None if "epochs" in (train or {}) else 8,
                "batch_tokens": 4 * TOKENS,
                "learning_rate": 0.01,
                "warmup_steps": 2,
                "validate_every_steps": 4,
            }
            | (train or {}),
            "release": {"repo": "org/tiny-hausa"},
            "run": QUIET | (run or {}),
        }
    )
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={},
        inputs=inputs,
        workspace=workspace,
        console=Console(out=io.StringIO()),
    )


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def adapter_digest(workspace: Path) -> tuple[str, str]:
    """Return the checksums of the two files of an adapter."""
    folder = workspace / "adapter"
    return digest(folder / "adapter_model.safetensors"), digest(folder / "adapter_config.json")


def records(workspace: Path, kind: str) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl of one kind, without their times."""
    lines = (workspace / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [{k: v for k, v in r.items() if k not in TIMES} for r in found if r["kind"] == kind]
