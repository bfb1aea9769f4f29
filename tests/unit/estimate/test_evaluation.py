"""GPUs that an evaluation needs: said by `estimate`, asked for before `submit` queues anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.pipeline import plan
from finetune.spec.load import load_project
from tests.support.artefacts import finished
from tests.support.model_shapes import LLAMA_8B, LLAMA_70B
from tests.support.project import write_project
from tests.support.surroundings import Inside

SITE = """\
name: here
description: A cluster of 80 GiB cards.
gpus_per_node: 8
gpu_memory_gib: 79.6
train: {nodes: 2, ranks_per_node: 8}
evaluate: {sbatch: ["#SBATCH --gres=gpu:ASKED"]}
"""


@pytest.fixture
def recipe(tmp_path: Path, inside: Inside) -> Path:
    inside(tmp_path)
    return write_project(tmp_path)


def of_base(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the options that put a base of this shape in the recipe's place."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return ["--set", f"base.model={folder}", "--set", "train.batch_tokens=16384"]


def in_store(recipe: Path, config: dict[str, Any]) -> None:
    """Write what `fetch` makes, with a base of this shape, into the default store."""
    for step in plan.steps_of(load_project(recipe)):
        if step.stage.needs_network:
            fetched = Path(".finetune") / step.stage.name / step.key
            (fetched / "model").mkdir(parents=True)
            (fetched / "model/config.json").write_text(json.dumps(config))
            finished(fetched)


def estimated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["estimate", *arguments, "--json"]) == 0
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    (found,) = [line["evaluation"] for line in lines if "evaluation" in line]
    return dict(found)


@pytest.mark.parametrize(
    ("config", "gpu", "seen", "gpus", "fits"),
    [
        (LLAMA_8B, "H100 80GB", 1, 1, True),
        (LLAMA_70B, "H100 80GB", 1, 3, False),
        (LLAMA_70B, "H100 80GB", 4, 3, True),
        (LLAMA_70B, "T4", 4, None, False),
    ],
)
def test_estimate_says_how_many_gpus_an_evaluation_needs(
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    config: dict[str, Any],
    gpu: str,
    seen: int,
    gpus: int | None,
    fits: bool,
) -> None:
    """8B on one GPU of 80 GB; 70B on three of them, or on none that is there."""
    words = [*of_base(tmp_path / "base", config), "--gpu", gpu, "--gpus-per-node", str(seen)]
    found = estimated(capsys, str(recipe), *words)
    assert found["fits"] is fits
    if gpus is not None:
        assert found["gpus"] == gpus
    assert main(["estimate", str(recipe), *words]) == 0
    said = capsys.readouterr().out
    assert ("the base does not fit on the GPUs that its process sees" in said) is not fits


@pytest.mark.parametrize(("asked", "refused"), [(1, True), (4, False)])
def test_submit_refuses_a_base_that_its_evaluation_could_not_hold(
    recipe: Path, capsys: pytest.CaptureFixture[str], asked: int, refused: bool
) -> None:
    """Before the hours of training, with the line for the site; not where enough GPUs are asked."""
    Path("site.yaml").write_text(SITE.replace("ASKED", str(asked)))
    in_store(recipe, LLAMA_70B)
    code = main(["submit", str(recipe), "--site", "site.yaml", "--dry-run"])
    said = " ".join(capsys.readouterr().err.split())
    assert code == (2 if refused else 0)
    assert ("the evaluation would fail after training" in said) is refused
    assert ("#SBATCH --gpus-per-node=3" in said) is refused


def test_a_quantised_base_needs_fewer_gpus(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """70B in 4 bits is evaluated on one GPU of 80 GB."""
    words = [*of_base(tmp_path / "base", LLAMA_70B), "--gpu", "H100 80GB"]
    found = estimated(capsys, str(recipe), *words, "--set", "base.quantization=4bit")
    assert (found["gpus"], found["fits"]) == (1, True)


@pytest.mark.parametrize(("config", "refused"), [(LLAMA_70B, True), (LLAMA_8B, False)])
def test_submit_packs_only_what_fits_on_one_gpu(
    recipe: Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any], refused: bool
) -> None:
    """A run of a pack cannot be split over the GPUs of its neighbours."""
    lines = 'train: {sbatch: ["#SBATCH --gres=gpu:8"], '
    Path("site.yaml").write_text(SITE.replace("train: {nodes: 2, ", lines).replace("ASKED", "8"))
    in_store(recipe, config)
    words = ["--sweep", "lora.rank=2,4", "--pack", "2", "--until", "train", "--dry-run"]
    code = main(["submit", str(recipe), "--site", "site.yaml", *words])
    assert code == (2 if refused else 0)
    said = " ".join(capsys.readouterr().err.split())
    assert ("does not fit on a GPU of site here" in said) is refused
