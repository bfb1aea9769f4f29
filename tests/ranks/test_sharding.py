"""Several processes train what one does, under every sharding, and resume from each other's state.

Two launches of real processes over gloo; one costs many seconds, so each proves several things.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from finetune.artefacts.job import Artifact
from finetune.train.run import run
from tests.ranks.launch import train
from tests.ranks.train import outcome
from tests.support.results import base_result, prepare_result
from tests.support.training_job import (
    CARDS,
    LANGUAGES,
    adapter_digest,
    make_job,
    records,
    write_inputs,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SHARDINGS = ("ddp", "zero1", "zero2", "zero3", "fsdp")
SETTINGS: dict[str, Any] = {"lora": {"dropout": 0.1}, "run": {"micro_batch_size": 1}}
STOP_STEP = 5
MIX: dict[str, Any] = {"max_epochs": 6, "curriculum": [{"until": 0.5}, {"method": "proportional"}]}
"""Eight rows of one card, two of the other; a stop comes in the second stage."""


@dataclass
class Launched:
    """Trainings of one launch, and what came of each, by name."""

    root: Path
    ranks: int
    runs: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, sharding: str, *, workspace: Path | None = None, **more: Any) -> None:
        """Ask for a run, in a folder of its own unless one is given."""
        settings = {k: dict(v) for k, v in SETTINGS.items()}
        changes = {"sharding": sharding, **more.pop("train", {})}
        where = workspace or self.folder(name)
        self.runs.append(
            {"name": name, "workspace": str(where), "inputs": str(self.root / "inputs")}
            | settings
            | {"train": changes}
            | more
        )

    def folder(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.root / f"{name}-{self.ranks}"

    def go(self) -> None:
        """Start the processes, and wait."""
        found = train(self.root / f"launch-{self.ranks}", self.runs, ranks=self.ranks)
        for training, result in zip(self.runs, found, strict=True):
            self.results[training["name"]] = result


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    write_inputs(folder / "inputs")
    write_inputs(folder / "mixed", grouped=True)
    return folder


@pytest.fixture(scope="module")
def inputs(root: Path) -> dict[str, Artifact]:
    prepared = prepare_result(
        languages=["hau_Latn", "yor_Latn"], cards=["hausa-school", "yoruba-school"]
    )
    return {
        "base": Artifact("base", "b", root / "inputs/base", base_result()),
        "prepare": Artifact("prepare", "p", root / "inputs/prepare", prepared),
    }


@pytest.fixture(scope="module")
def alone(root: Path, inputs: dict[str, Artifact]) -> Path:
    """One process, to the end."""
    run(make_job(root / "alone", inputs, **SETTINGS))
    return root / "alone"


@pytest.fixture(scope="module")
def two(root: Path) -> Launched:
    """Two ranks: every sharding straight, stopped and continued, and stopped to go elsewhere."""
    launched = Launched(root, 2)
    for sharding in SHARDINGS:
        launched.add(sharding, sharding)
        launched.add(f"stopped-{sharding}", sharding, stop_at=STOP_STEP)
        launched.add(
            f"continued-{sharding}", sharding, workspace=launched.folder(f"stopped-{sharding}")
        )
    for sharding in ("ddp", "zero3"):
        launched.add(f"to-one-{sharding}", sharding, stop_at=STOP_STEP)
    launched.add("zero2-first", "zero2", stop_at=STOP_STEP)
    launched.add("zero2-then-ddp", "ddp", workspace=launched.folder("zero2-first"))
    launched.add("odd", "zero3", train={"batch_tokens": 3 * 16})
    for sharding in ("ddp", "zero2", "zero3", "fsdp"):
        launched.add(f"nan-{sharding}", sharding, train={"learning_rate": 1e30, "warmup_steps": 0})
    launched.add("optimizer-offloaded", "zero2", train={"offload": "optimizer"})
    launched.add("all-offloaded", "zero3", train={"offload": "all"})
    launched.add("again", "ddp")
    mixed: dict[str, Any] = {"mixture": MIX, "inputs": str(root / "mixed")}
    launched.add("mixed", "ddp", **mixed)
    launched.add("stopped-mixed", "ddp", stop_at=STOP_STEP, **mixed)
    launched.add("continued-mixed", "ddp", workspace=launched.folder("stopped-mixed"), **mixed)
    launched.add("computed-rows", "zero3", run={"micro_batch_size": "auto"})
    launched.go()
    return launched


@pytest.fixture(scope="module")
def four(root: Path) -> Launched:
    """Four ranks: straight, and from a state of one process."""
    launched = Launched(root, 4)
    for sharding in ("ddp", "zero3"):
        launched.add(sharding, sharding)
        launched.add(f"stopped-{sharding}", sharding, stop_at=STOP_STEP)
        launched.add(
            f"continued-{sharding}", sharding, workspace=launched.folder(f"stopped-{sharding}")
        )
    launched.add("from-one", "zero1", workspace=root / "one-to-four")
    begun = launched.runs[-1] | {"train": {}, "stop_at": STOP_STEP}
    assert outcome(begun, stops=True)["error"] == "Stopped"
    launched.go()
    return launched


def assert_same_training(found: Path, expected: Path) -> None:
    """Loss and gradient norm of every step, and the adapter, agree to float32 rounding."""
    for name in ("loss", "grad_norm"):
        values = [[r[name] for r in records(w, "train")] for w in (found, expected)]
        assert values[0] == pytest.approx(values[1], rel=1e-5, abs=1e-6)
    tokens = [[r["tokens"] for r in records(w, "train")] for w in (found, expected)]
    assert tokens[0] == tokens[1], "the ranks trained on other rows"
    file = "adapter/adapter_model.safetensors"
    a, b = load_file(found / file), load_file(expected / file)
    assert a.keys() == b.keys()
    # A hundredth of a step of the learning rate: Adam divides rounding by gradients near 0, and how
    # much that is depends on the processor.
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-4


@pytest.mark.parametrize("sharding", SHARDINGS)
def test_two_ranks_train_what_one_does(two: Launched, alone: Path, sharding: str) -> None:
    """Step by step, dropout included; and what engaged is recorded."""
    result = two.results[sharding]
    assert (result["sharding"], result["ranks"], result["steps"]) == (sharding, 2, 8)
    assert_same_training(two.folder(sharding), alone)


def test_zero3_gathers_layers_and_not_parameters(two: Launched) -> None:
    """585 messages in 8 steps of two micro-batches; one per parameter would be more than 1,600."""
    assert 0 < two.results["zero3"]["gathers"] < 800
    assert two.results["ddp"]["gathers"] == 0


@pytest.mark.parametrize("sharding", ["ddp", "zero3"])
def test_four_ranks_train_what_one_does(four: Launched, alone: Path, sharding: str) -> None:
    """With one row of a step each."""
    assert four.results[sharding]["ranks"] == 4
    assert_same_training(four.folder(sharding), alone)


@pytest.mark.parametrize("sharding", SHARDINGS)
def test_stopped_on_one_rank_all_stop_and_continue_bit_identically(
    two: Launched, sharding: str
) -> None:
    """SIGTERM to the last rank only; the continued training is the same to the last bit."""
    stopped = two.results[f"stopped-{sharding}"]
    assert stopped["error"] == "Stopped"
    assert f"after step {STOP_STEP} of 8" in stopped["message"]
    assert two.results[f"continued-{sharding}"]["steps"] == 8
    assert adapter_digest(two.folder(f"stopped-{sharding}")) == adapter_digest(two.folder(sharding))


@pytest.mark.parametrize("sharding", ["ddp", "zero3"])
def test_four_ranks_continue_bit_identically(four: Launched, sharding: str) -> None:
    """With more than two ranks the order of a sum shows: it must not change on a resume."""
    assert four.results[f"stopped-{sharding}"]["error"] == "Stopped"
    folder = four.folder(f"stopped-{sharding}")
    assert adapter_digest(folder) == adapter_digest(four.folder(sharding))


@pytest.mark.parametrize("sharding", ["ddp", "zero3"])
def test_one_process_continues_what_two_began(
    two: Launched, alone: Path, inputs: dict[str, Artifact], sharding: str
) -> None:
    """A state is of no layout: from two ranks, ZeRO-3 included, to one CPU."""
    folder = two.folder(f"to-one-{sharding}")
    assert two.results[f"to-one-{sharding}"]["error"] == "Stopped"
    assert run(make_job(folder, inputs, **SETTINGS))["ranks"] == 1
    assert_same_training(folder, alone)


def test_four_ranks_continue_what_one_began(four: Launched, alone: Path) -> None:
    """From one process to four under ZeRO-1."""
    assert four.results["from-one"]["steps"] == 8
    assert_same_training(four.root / "one-to-four", alone)


def test_ddp_continues_what_zero2_began(two: Launched, alone: Path) -> None:
    """From one sharding to another on the same ranks."""
    assert two.results["zero2-first"]["error"] == "Stopped"
    assert two.results["zero2-then-ddp"]["sharding"] == "ddp"
    assert_same_training(two.folder("zero2-first"), alone)


def test_a_rank_without_rows_does_not_stop_the_others(
    two: Launched, root: Path, inputs: dict[str, Artifact]
) -> None:
    """Three rows over two ranks: one runs a micro-batch of nothing, and nothing changes."""
    changed = SETTINGS | {"train": {"batch_tokens": 3 * 16}}
    run(make_job(root / "odd-alone", inputs, **changed))
    assert_same_training(two.folder("odd"), root / "odd-alone")


@pytest.mark.parametrize("sharding", ["ddp", "zero2", "zero3", "fsdp"])
def test_a_loss_that_is_not_finite_ends_all_ranks(two: Launched, sharding: str) -> None:
    """No rank hangs, and the message names the documents."""
    result = two.results[f"nan-{sharding}"]
    assert result["error"] == "TrainError"
    assert result["codes"] == ["not-finite"]
    assert "hausa-school documents" in result["message"]


@pytest.mark.parametrize("name", ["optimizer-offloaded", "all-offloaded", "again", "computed-rows"])
def test_offloaded_and_repeated_training_runs_are_the_same(
    two: Launched, alone: Path, name: str
) -> None:
    """Offload changes where state lies, rows may be chosen by what fits, a process trains twice."""
    assert_same_training(two.folder(name), alone)


def test_shares_of_languages_are_the_same_on_two_ranks(two: Launched, root: Path) -> None:
    """Drawn by shares that change, stopped and continued: one process trains on the same rows."""
    prepared = prepare_result(languages=list(LANGUAGES), cards=list(CARDS))
    inputs = {
        "base": Artifact("base", "b", root / "mixed/base", base_result()),
        "prepare": Artifact("prepare", "p", root / "mixed/prepare", prepared),
    }
    alone = run(make_job(root / "mixed-alone", inputs, mixture=MIX, **SETTINGS))
    assert_same_training(two.folder("mixed"), root / "mixed-alone")
    assert two.results["mixed"]["seen"] == alone["seen"]
    assert two.results["stopped-mixed"]["error"] == "Stopped"
    assert adapter_digest(two.folder("stopped-mixed")) == adapter_digest(two.folder("mixed"))
