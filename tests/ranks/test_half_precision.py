"""Training in bf16 and fp16 under every sharding, stopped and continued, by the attention of GPUs.

On real numbers, on CPUs: attention runs in padded groups of documents, as it does on a GPU without
a kernel for sequences of any length, and products in half precision by autocast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact
from finetune.train.run import run
from tests.ranks.launch import train
from tests.support.training_job import adapter_digest, make_job, records, write_inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CASES = [
    *(("bf16", sharding) for sharding in ("ddp", "zero1", "zero2", "zero3", "fsdp")),
    *(("fp16", sharding) for sharding in ("ddp", "fsdp")),  # refused under ZeRO, with its reason
]
STOP_STEP = 5
SETTINGS: dict[str, Any] = {"run": {"micro_batch_size": 1}}


def runs_of(root: Path, precision: str, sharding: str) -> list[dict[str, Any]]:
    """A training to its end, the same stopped, and continued."""
    chosen = {"sharding": sharding, "precision": precision}
    asked = SETTINGS | {"train": chosen, "inputs": str(root / "inputs"), "attention": "grouped"}
    whole, stopped = (str(folder_of(root, precision, sharding, kind)) for kind in ("whole", "part"))
    return [
        asked | {"workspace": whole},
        asked | {"workspace": stopped, "stop_at": STOP_STEP},
        asked | {"workspace": stopped},
    ]


def folder_of(root: Path, precision: str, sharding: str, kind: str) -> Path:
    return root / f"{precision}-{sharding}-{kind}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("half")


@pytest.fixture(scope="module")
def inputs(root: Path) -> dict[str, Artifact]:
    return write_inputs(root / "inputs")


@pytest.fixture(scope="module")
def alone(root: Path, inputs: dict[str, Artifact]) -> list[float]:
    """The losses of one process in float32."""
    run(make_job(root / "alone", inputs, **SETTINGS))
    return [record["loss"] for record in records(root / "alone", "train")]


@pytest.fixture(scope="module")
def two(root: Path, inputs: dict[str, Artifact]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Results of two ranks, of the three runs of each case."""
    asked = [one for case in CASES for one in runs_of(root, *case)]
    said = train(root / "launch", asked, ranks=2)
    return {case: said[3 * n : 3 * n + 3] for n, case in enumerate(CASES)}


@pytest.mark.parametrize(("precision", "sharding"), CASES)
def test_two_ranks_learn_in_half_precision_and_continue_bit_identically(
    two: dict[tuple[str, str], list[dict[str, Any]]],
    root: Path,
    alone: list[float],
    precision: str,
    sharding: str,
) -> None:
    """The losses are those of float32 to the rounding of the type; a stop changes no bit."""
    whole, stopped, continued = two[precision, sharding]
    assert (whole["precision"], whole["sharding"]) == (precision, sharding)
    assert stopped["error"] == "Stopped"
    assert continued["steps"] == 8
    folders = [folder_of(root, precision, sharding, kind) for kind in ("whole", "part")]
    losses = [record["loss"] for record in records(folders[0], "train")]
    assert losses == pytest.approx(alone, rel=5e-3)
    assert adapter_digest(folders[1]) == adapter_digest(folders[0])
