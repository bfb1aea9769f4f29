"""One rank of several under FSDP on a fake GPU: its shards, and the peak of a step.

Ranks talk through torch's own fake process group, which answers at once. Streams are those of the
CPU's backend, which do nothing: memory is counted in the order in which the host asks for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import bitsandbytes as bnb
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.distributed import device_mesh
from torch.distributed.fsdp._fully_shard import _fsdp_param
from torch.testing._internal.distributed.fake_pg import FakeStore

from finetune.models.kinds import CAUSAL
from finetune.spec.sections.training import Offload, Train
from finetune.train.engine import make_engine
from finetune.train.optimizer import MOMENTS
from finetune.train.sharding import Sharing
from tests.fake_cuda.fake_gpu import CudaAttention, fake_gpu
from tests.fake_cuda.shapes import weights_of
from tests.fake_cuda.step import Case, bytes_of, model_of
from tests.fake_cuda.watch import Watch

_WRITTEN_MESH = device_mesh.init_device_mesh
_SCALES_BACK = "fix_4bit_weight_quant_state_from_module"


@dataclass(frozen=True, slots=True)
class Rank:
    """Bytes of one rank."""

    shards: int
    """Its part of weights and adapter."""
    scales: int
    """Of weights in 4 bits, whole."""
    peak: int
    """Of a step, weights and the optimizer's state included."""


@dataclass(frozen=True, slots=True)
class _Accelerator:
    """The attributes that an engine reads of Accelerate."""

    device: torch.device
    num_processes: int
    is_main_process: bool


def run_rank(
    case: Case, *, rank: int, ranks: int, rows: int | None = None, offload: Offload = "none"
) -> Rank:
    """Train a step of a case as one of several ranks, on all rows of its batch or on some."""
    split = case.split
    taken = np.arange(rows or split.num_rows)
    with fake_gpu(case.gpu), _fake_ranks(rank, ranks=ranks):
        model = model_of(case)
        if case.feature == "checkpointing":
            model.peft.gradient_checkpointing_enable({"use_reentrant": False})
        engine = make_engine(
            Sharing("fsdp", offload, case.precision, max_grad_norm=1.0),
            accelerator=_Accelerator(torch.device("cuda:0"), ranks, rank == 0),  # type: ignore[arg-type]
            model=model,
            train=Train(max_steps=1),
            lora=case.lora,
        )
        held = [_local(tensor) for tensor in weights_of(model.peft)]
        parameters = [_local(parameter) for parameter in model.peft.parameters()]
        adapter = [_local(p) for p in model.peft.parameters() if p.requires_grad]
        watch = Watch(known=held)
        with watch, _watched_storages(watch), CudaAttention(watch):
            batch = CAUSAL.make_batch(split, taken.tolist(), device="cuda")
            nll = engine.forward(batch, dropout_key=1, last=True)
            engine.backward(nll, last=True)
    return Rank(
        shards=bytes_of(parameters),
        scales=bytes_of(held) - bytes_of(parameters),
        peak=_on_gpu(held) + watch.peak_bytes + len(MOMENTS) * _on_gpu(adapter),
    )


def _on_gpu(tensors: Iterable[Tensor]) -> int:
    return bytes_of([tensor for tensor in tensors if tensor.device.type == "cuda"])


def _local(tensor: Any) -> Tensor:
    found: Tensor = tensor._local_tensor if hasattr(tensor, "_local_tensor") else tensor
    return found


@contextlib.contextmanager
def _fake_ranks(rank: int, *, ranks: int) -> Iterator[None]:
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
    try:
        with contextlib.ExitStack() as stack:
            for name in ("Event", "Stream", "current_stream", "stream"):
                stack.enter_context(mock.patch.object(torch.cuda, name, getattr(torch.cpu, name)))
            stack.enter_context(mock.patch.object(Tensor, "pin_memory", lambda tensor: tensor))
            stack.enter_context(mock.patch.object(device_mesh, "init_device_mesh", _mesh))
            stack.enter_context(mock.patch.object(bnb.nn.modules, _SCALES_BACK, _scales_back))
            yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _watched_storages(watch: Watch) -> Iterator[None]:
    """FSDP frees and takes memory of gathered weights by the size of their storage."""
    with (
        mock.patch.object(_fsdp_param, "free_storage", lambda tensor: watch.resize(tensor, 0)),
        mock.patch.object(_fsdp_param, "alloc_storage", lambda t: watch.resize(t, _bytes_of(t))),
    ):
        yield


def _bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _mesh(*args: Any, **kwargs: Any) -> device_mesh.DeviceMesh:
    """A mesh reads the ranks that it is made of."""
    with unset_fake_temporarily():
        return _WRITTEN_MESH(*args, **kwargs)


def _scales_back(layer: Any) -> None:
    """Do what bitsandbytes does, whose class of a weight cannot hold a fake."""
    if getattr(layer.weight, "quant_state", None) is None:
        layer.weight.quant_state = layer.quant_state
