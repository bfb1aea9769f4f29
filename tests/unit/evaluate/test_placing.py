"""GPUs of the processes of an evaluation: bases that need several, and ranks that take part."""

from __future__ import annotations

import json
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.artefacts.job import Job
from finetune.errors import RecipeError
from finetune.evaluate.asked import asked_of
from finetune.evaluate.measuring import placing
from finetune.evaluate.run import run
from finetune.sizing.policy import GIB
from tests.support.evaluate_job import job_of
from tests.support.model_shapes import LLAMA_1B, LLAMA_70B

pytestmark = pytest.mark.heavy


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An evaluation of a base of which there is a configuration alone."""
    made = job_of(tmp_path, tmp_path / "base")
    (tmp_path / "base/model").mkdir(parents=True)
    (tmp_path / "evaluate").mkdir()
    train = made.recipe.train.model_copy(update={"precision": "bf16"})
    made = replace(made, recipe=made.recipe.model_copy(update={"train": train}))
    return replace(made, inputs={k: v for k, v in made.inputs.items() if k != "train"})


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let torch see GPUs that are not there."""

    def see(count: int, *, gib: float, local_rank: int = 0, ranks: int = 1) -> None:
        for name, value in {
            "is_available": lambda: True,
            "device_count": lambda: count,
            "is_bf16_supported": lambda **_: True,
            "get_device_properties": lambda _: types.SimpleNamespace(total_memory=int(gib * GIB)),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        for name, number in {
            **{"RANK": local_rank, "LOCAL_RANK": local_rank},
            **{"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks},
        }.items():
            monkeypatch.setenv(name, str(number))
        monkeypatch.setenv("MASTER_ADDR", "localhost")
        monkeypatch.setenv("MASTER_PORT", "1")

    return see


def _with_base(job: Job, config: dict[str, Any]) -> Job:
    path = job.inputs["base"].path / "model/config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return job


def test_a_large_base_is_spread_over_the_gpus_that_it_needs(job, cards):
    """Two of eight, from the local rank on; the signature says it, and that of a small base not."""
    cards(8, gib=141, local_rank=2, ranks=8)
    _with_base(job, LLAMA_70B)
    found = placing.base_placing(job)
    assert found.devices == (torch.device("cuda:2"), torch.device("cuda:3"))
    assert set(found.layers) == {0, 1}
    [first, *_] = asked_of(job, [])
    assert "|sharding:layers-over-2|" in first.conditions
    small = placing.base_placing(_with_base(job, LLAMA_1B))
    assert small.devices == (torch.device("cuda:2"),)
    [first, *_] = asked_of(job, [])
    assert "|sharding:none|" in first.conditions


@pytest.mark.parametrize(("count", "taking_part"), [(8, [0, 2, 4, 6]), (4, [0, 2]), (3, [0])])
def test_ranks_take_part_that_begin_a_group_of_gpus(job, cards, count, taking_part):
    """The others, and those whose group is not whole, leave the work to them and end."""
    _with_base(job, LLAMA_70B)
    found = []
    for rank in range(count):
        cards(count, gib=141, local_rank=rank, ranks=count)
        if placing.takes_part(job):
            found.append(rank)
    assert found == taking_part
    cards(count, gib=141, local_rank=1, ranks=count)
    (job.workspace / "shards").mkdir()
    (job.workspace / "shards/conditions.json").write_text('{"folder": "evaluate"}')
    assert run(replace(job, leads=False)) == {"shards": 0}


def test_every_rank_takes_part_with_a_small_base(job, cards):
    """One GPU each, as before."""
    _with_base(job, LLAMA_1B)
    for rank in range(4):
        cards(4, gib=24, local_rank=rank, ranks=4)
        assert placing.takes_part(job)


def test_too_few_gpus_are_an_error_that_says_how_many(job, cards):
    """A task that sees one GPU: number, memory and the line of the site stand in the sentence."""
    cards(1, gib=80)
    _with_base(job, LLAMA_70B)
    with pytest.raises(RecipeError) as refused:
        placing.base_placing(job)
    assert refused.value.codes == ("base-too-large-to-evaluate",)
    assert "(1, 80 GiB each)" in str(refused.value)
    assert "#SBATCH --gpus-per-node=3" in str(refused.value)


def test_a_base_that_is_not_counted_goes_to_one_gpu(job, cards):
    """Of an architecture that is not known here nothing is planned, and nothing refused."""
    cards(4, gib=1)
    _with_base(job, {"model_type": "mamba", "hidden_size": 10**6})
    assert placing.base_placing(job).devices == (torch.device("cuda:0"),)
