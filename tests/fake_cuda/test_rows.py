"""Rows of a micro-batch that training and the estimate choose fill a card, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from finetune.launch.ranks import ranks_of
from finetune.sizing.policy import GIB, choose_micro_batch_rows, gpu_budget_bytes
from finetune.train.micro_batch import choose_layout
from finetune.train.processes import Processes
from finetune.train.sharding import Sharing
from tests.fake_cuda.fake_gpu import GPUS_BY_NAME, CudaAttention, fake_gpu, total_bytes
from tests.fake_cuda.shapes import weights_of
from tests.fake_cuda.step import Case, bytes_of, estimated, model_of, run
from tests.fake_cuda.watch import Watch
from tests.support.training_job import make_job

CONTEXT_BYTES = GIB // 2
"""Memory of the driver and its libraries."""
ROWS_PER_STEP = 512
CASES = [
    Case(size="8B", gpu=GPUS_BY_NAME["A100 SXM"]),
    Case(size="8B", gpu=GPUS_BY_NAME["T4"], precision="fp16"),
    Case(size="8B", gpu=GPUS_BY_NAME["RTX 4090"], quantization="4bit", feature="checkpointing"),
]
"""Wide bases: few rows fill a card."""


@dataclass(frozen=True, slots=True)
class WatchedMemory:
    """The memory of a fake GPU (finetune.train.measured_rows.DeviceMemory) by its watcher."""

    watch: Watch
    total_bytes: int
    weights_bytes: int

    @property
    def available_bytes(self) -> int:
        return self.total_bytes - CONTEXT_BYTES

    @property
    def held_bytes(self) -> int:
        return self.weights_bytes + self.watch.bytes

    @property
    def peak_bytes(self) -> int:
        return self.weights_bytes + self.watch.peak_bytes

    def forget(self) -> None:
        self.watch.peak_bytes = self.watch.bytes


def chosen_by_training(case: Case, folder: Path) -> tuple[int, int]:
    """Return the rows of a micro-batch that training takes, and the peak that it states."""
    recompute = case.feature == "checkpointing"
    settings = {"micro_batch_size": "auto", "gradient_checkpointing": recompute}
    job = make_job(folder, {}, run=settings)
    with fake_gpu(case.gpu):
        model = model_of(case)
        weights = weights_of(model.peft)
        held = bytes_of(weights)
        room = total_bytes(case.gpu) - CONTEXT_BYTES - held
        watch = Watch(known=weights, room_bytes=room)
        with watch, CudaAttention(watch):
            layout = choose_layout(
                job,
                model=model,
                split=case.split,
                rows_per_step=ROWS_PER_STEP,
                sharing=Sharing("none", "none", case.precision, max_grad_norm=1.0),
                processes=Processes(ranks_of(), torch.device("cuda:0")),
                recorded=None,
                memory=WatchedMemory(watch, total_bytes(case.gpu), held),
            )
    assert layout.peak_bytes is not None
    return layout.micro_batch_rows, layout.peak_bytes


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.gpu.name}-{case}")
def test_rows_that_training_chooses_fill_a_card_and_no_more(case: Case, tmp_path: Path) -> None:
    """The whole step, optimizer included, stays below the card; most of the card is used."""
    rows, said = chosen_by_training(case, tmp_path)
    found = run(case, rows=rows)
    peak = found.weights_bytes + found.peak_bytes
    total = total_bytes(case.gpu)
    assert 0.6 * total < peak < total - CONTEXT_BYTES
    assert said == pytest.approx(peak, rel=0.05)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.gpu.name}-{case}")
def test_rows_that_the_estimate_chooses_fit_the_card(case: Case) -> None:
    """Of its own bytes: `finetune estimate` promises what a card then holds."""
    total = total_bytes(case.gpu)
    room = gpu_budget_bytes(None, free_bytes=total - CONTEXT_BYTES, total_bytes=total)
    rows = choose_micro_batch_rows(
        "auto",
        rows_of_rank=ROWS_PER_STEP,
        sequence_tokens=case.split.tokens_NT.shape[1],
        device="gpu",
        fits=lambda rows: sum(estimated(case, rows=rows)) <= room,
    )
    found = run(case, rows=rows)
    peak = found.weights_bytes + found.peak_bytes
    assert 0.6 * total < peak < total - CONTEXT_BYTES
