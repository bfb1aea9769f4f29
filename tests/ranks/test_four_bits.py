"""A base in 4 bits whose weights are split over ranks trains what one process does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from finetune.artefacts.job import Artifact
from finetune.train.run import run
from tests.ranks.launch import train
from tests.support.training_job import adapter_digest, make_job, records, write_inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STOP_STEP = 5
PACKED = {"quantization": "4bit"}
SETTINGS: dict[str, Any] = {"lora": {"dropout": 0.1}, "run": {"micro_batch_size": 1}}
CASES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"train": {"precision": "bf16"}},
    "dora": {"lora": {"dora": True}},
    "checkpointing": {"run": {"micro_batch_size": "auto", "gradient_checkpointing": True}},
}


def settings_of(name: str) -> dict[str, Any]:
    """Return what a case changes of a recipe."""
    return SETTINGS | {"base": PACKED} | CASES[name]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packed")


@pytest.fixture(scope="module")
def inputs(root: Path) -> dict[str, Artifact]:
    return write_inputs(root / "inputs", layers=4, tie_word_embeddings=False)


@pytest.fixture(scope="module")
def two(root: Path, inputs: dict[str, Artifact]) -> dict[str, dict[str, Any]]:
    """Results of two ranks under FSDP: each case, and the first one stopped and continued."""
    asked = []
    for name in CASES:
        settings = settings_of(name)
        chosen = {"train": settings.get("train", {}) | {"sharding": "fsdp"}}
        asked.append(settings | chosen | {"workspace": str(root / name)})
    first = asked[0]
    stopped = first | {"stop_at": STOP_STEP}
    asked += [stopped | {"workspace": str(root / folder)} for folder in ("part", "elsewhere")]
    asked.append(first | {"workspace": str(root / "part")})
    asked = [one | {"inputs": str(root / "inputs")} for one in asked]
    names = (*CASES, "stopped", "elsewhere", "continued")
    return dict(zip(names, train(root / "launch", asked, ranks=2), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_train_what_one_does(
    two: dict[str, dict[str, Any]], root: Path, inputs: dict[str, Artifact], name: str
) -> None:
    """Four layers in 4 bits, split by FSDP: step by step, and in the adapter."""
    assert (two[name]["sharding"], two[name]["ranks"]) == ("fsdp", 2)
    run(make_job(root / f"alone-{name}", inputs, **settings_of(name)))
    assert_same(root / name, root / f"alone-{name}", rounding=1e-2 if name == "bf16" else 1e-5)


def test_a_stop_changes_no_bit(two: dict[str, dict[str, Any]], root: Path) -> None:
    """The scales are not in a checkpoint, since they come with the base."""
    assert two["stopped"]["error"] == "Stopped"
    assert two["continued"]["steps"] == 8
    assert adapter_digest(root / "part") == adapter_digest(root / "fp32")


def test_one_process_continues_what_two_began(
    two: dict[str, dict[str, Any]], root: Path, inputs: dict[str, Artifact]
) -> None:
    """The format of a checkpoint is the same for a base in 4 bits, split or whole."""
    assert two["elsewhere"]["error"] == "Stopped"
    assert run(make_job(root / "elsewhere", inputs, **settings_of("fp32")))["ranks"] == 1
    assert_same(root / "elsewhere", root / "fp32", rounding=1e-5)


def assert_same(found: Path, expected: Path, *, rounding: float) -> None:
    """Losses of every step agree to a relative error, and adapters to a few times the same."""
    losses = [[r["loss"] for r in records(w, "train")] for w in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=rounding)
    file = "adapter/adapter_model.safetensors"
    a, b = load_file(found / file), load_file(expected / file)
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 2 * rounding
