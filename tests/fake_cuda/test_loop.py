"""The trainer's own loop on a fake GPU: what the host waits for, and what it makes ahead."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from finetune.launch.ranks import ranks_of
from finetune.models.kinds import CAUSAL
from finetune.output.console import Console
from finetune.spec.recipe import Run
from finetune.spec.sections.training import Train
from finetune.train.engine import TorchEngine
from finetune.train.loop import Trainer
from finetune.train.optimizer import make_optimizer
from finetune.train.processes import Processes
from finetune.train.state import Layout, Plan, Progress
from finetune.train.stop import StopFlag
from tests.fake_cuda.fake_gpu import CudaAttention, fake_gpu
from tests.fake_cuda.shapes import weights_of
from tests.fake_cuda.step import Case, model_of
from tests.fake_cuda.watch import Watch

STEPS, ROWS = 2, 4
"""A row is a micro-batch."""


def test_the_host_waits_twice_per_step_and_makes_batches_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the losses, while the last backward pass runs, and for the norm: less than once per
    micro-batch. Each batch but the first is made before the forward pass of the one before it."""
    case, order = Case(), []
    with fake_gpu(case.gpu):
        monkeypatch.setattr(torch.cuda, "Event", lambda: _Event(order))
        monkeypatch.setattr(Trainer, "_finite", _all_finite)
        model = model_of(case)
        wrapped = cast(Any, model.trainable)
        engine = TorchEngine(
            wrapped,
            wrapped=_noted("forward", wrapped, order),
            parameters=model.parameters,
            optimizer=make_optimizer(model.parameters, train=Train(max_steps=1), lora=case.lora),
        )
        trainer = _trainer(case, engine, tmp_path, order)
        watch = Watch(known=weights_of(model.peft))
        with watch, CudaAttention(watch):
            for _ in range(STEPS):
                trainer._step(_ignored("train_step"), _ignored("update"))
    assert watch.pageable.total() == 0, watch.pageable
    assert watch.waits.total() == STEPS, watch.waits
    assert order == STEPS * (2 * ["batch"] + 2 * ["forward", "batch"] + 2 * ["forward"] + ["wait"])
    assert watch.waits.total() + order.count("wait") < STEPS * ROWS


class _Event:
    """A CUDA event that notes when the host waits for it."""

    def __init__(self, order: list[str]) -> None:
        self._order = order

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        self._order.append("wait")


def _trainer(case: Case, engine: TorchEngine, folder: Path, order: list[str]) -> Trainer:
    layout = Layout("bf16", micro_batch_rows=1, memory_gib=None, gradient_checkpointing=False)
    plan = Plan(
        train=Train(max_steps=STEPS),
        run=Run(),
        layout=layout,
        kind=replace(CAUSAL, make_batch=_noted("batch", CAUSAL.make_batch, order)),
        split=case.split,
        validation=case.split,
        total_steps=STEPS,
        rows_per_step=ROWS,
        checkpoints=folder,
    )
    return Trainer(
        plan,
        engine=engine,
        processes=Processes(ranks_of(), torch.device("cuda:0")),
        progress=Progress(),
        best={},
        stop=StopFlag(),
        console=Console(out=io.StringIO()),
    )


def _noted(name: str, call: Callable[..., Any], order: list[str]) -> Callable[..., Any]:
    def noting(*args: Any, **kwargs: Any) -> Any:
        order.append(name)
        return call(*args, **kwargs)

    return noting


def _ignored(method: str) -> Any:
    return SimpleNamespace(**{method: lambda *_, **__: None})


def _all_finite(_: Any, __: int, nll_M: Tensor, **___: Any) -> Any:
    """Numbers of fakes cannot be looked at."""
    return np.ones((1, len(nll_M)))
