"""The layout of a training run on a GPU, with a made-up card beside the CPU that runs the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.artefacts.packed_split import open_split
from finetune.errors import TrainError
from finetune.launch.ranks import Ranks
from finetune.models.kinds import CAUSAL
from finetune.sizing.policy import GIB
from finetune.train import micro_batch
from finetune.train.model import TrainedModel, load_model
from finetune.train.processes import Processes
from finetune.train.sharding import Sharing
from finetune.train.state import Layout
from tests.support.training_job import CARDS, LANGUAGES, make_job, write_inputs

WHOLE = Sharing("none", "none", "fp32", 1.0)


@dataclass
class Card:
    """A card of 24 GiB on which every token of a micro-batch takes 16 MiB; rows have up to 16."""

    model: TrainedModel
    total_bytes: int = 24 * GIB
    held_bytes: int = GIB
    peak_bytes: int = 0
    recomputes: list[bool] = field(default_factory=list)

    @property
    def available_bytes(self) -> int:
        return self.total_bytes

    def forget(self) -> None:
        self.peak_bytes = self.held_bytes
        self.model.trainable.register_forward_pre_hook(self._ran)  # type: ignore[operator]

    def _ran(self, _: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        self.recomputes.append(bool(self.model.peft.is_gradient_checkpointing))
        needed = self.held_bytes + len(arguments[0].tokens_S) * GIB // 64
        self.peak_bytes = max(self.peak_bytes, needed)
        if needed > self.total_bytes:
            raise torch.OutOfMemoryError("CUDA out of memory")


def _layout(tmp_path: Path, *, total_gib: float, **run: Any) -> tuple[Layout, Card]:
    inputs = write_inputs(tmp_path)
    asked = {"micro_batch_size": "auto", "gradient_checkpointing": True, **run}
    job = make_job(tmp_path, inputs, run=asked)
    split = open_split(inputs["prepare"].path / "train", languages=LANGUAGES, cards=CARDS)
    model = load_model(job, kind=CAUSAL, sharing=WHOLE, device=torch.device("cpu"))
    card = Card(model, total_bytes=int(total_gib * GIB))
    layout = micro_batch.choose_layout(
        job,
        model=model,
        split=split,
        rows_per_step=10,
        sharing=WHOLE,
        processes=Processes(Ranks(), torch.device("cpu")),
        recorded=None,
        memory=card,
    )
    return layout, card


def test_rows_are_tried_as_they_will_be_trained(tmp_path: Path) -> None:
    """With gradient checkpointing on in every trial; the number that is taken and its peak are in
    the layout, and nothing of a trial is left in the gradients."""
    layout, card = _layout(tmp_path, total_gib=3)
    assert card.recomputes
    assert all(card.recomputes)
    assert 1 < layout.micro_batch_rows < 10
    assert layout.peak_bytes is not None
    assert GIB < layout.peak_bytes < 2 * GIB
    assert all(p.grad is None for p in card.model.parameters.values())


def test_the_recipe_s_memory_is_obeyed_where_it_is_less(tmp_path: Path) -> None:
    """`run.memory_gib` below what is free gives fewer rows, one above it changes nothing."""
    free, less, more = (
        _layout(tmp_path / str(gib), total_gib=3, memory_gib=gib)[0].micro_batch_rows
        for gib in (None, 1.4, 50)
    )
    assert less < free == more


def test_a_card_without_room_for_one_row_is_the_known_error(tmp_path: Path) -> None:
    """It names the next setting, as out of memory in training does."""
    with pytest.raises(TrainError) as refused:
        _layout(tmp_path, total_gib=1.05)
    assert refused.value.codes == ("out-of-memory",)
