"""What the loop trains with: one interface over torch (alone, DDP, FSDP) and DeepSpeed (ZeRO).

Gradients are averaged over ranks by all of them, so the loop hands in losses that are multiplied by
the number of ranks. State goes in and out as full tensors by parameter name, whatever the sharding,
through the public functions of the library that shards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from finetune.models.packed_model import PackedBatch, PackedModel
from finetune.train.optimizer import (
    MOMENTS,
    load_optimizer,
    optimizer_tensors,
    set_learning_rate,
)


class Engine(Protocol):
    """A model in training, sharded or not. Every method is collective."""

    packed: PackedModel
    """For scoring: its methods are called on every rank alike."""

    def forward(self, batch: PackedBatch, *, dropout_key: int, last: bool) -> Tensor:
        """Return the differentiable nll of a micro-batch; `last`: the last one of its step."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradients of a micro-batch; after the last one they are summed over ranks."""

    def step(self, *, learning_rate: float, max_grad_norm: float, loss_scale: float) -> float:
        """Clip and step; return the norm (before clipping, unscaled) of all gradients.

        If it is not finite nothing is changed. Gradients are gone afterwards.
        """

    def parameters(self) -> dict[str, Tensor]:
        """Return the full trainable parameters (float32, on the CPU) by name."""

    def moments(self) -> dict[str, Tensor]:
        """Return the full moments as `exp_avg.NAME`, `exp_avg_sq.NAME`; none before a step."""

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Set `adapter.NAME` and what `moments` returned after `step` steps; more is ignored."""


class TorchEngine:
    """Training by torch itself: one process, DDP (through Accelerate) or FSDP."""

    def __init__(
        self,
        packed: PackedModel,
        *,
        wrapped: Callable[..., Tensor],
        parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        synced: Callable[[bool], AbstractContextManager[Any]] = lambda _: nullcontext(),
    ) -> None:
        self.packed = packed
        self._wrapped = wrapped
        self._parameters = dict(parameters)
        self._optimizer = optimizer
        self._synced = synced
        """Makes gradients of the block be summed over ranks (True) or only kept (False)."""

    def forward(self, batch: PackedBatch, *, dropout_key: int, last: bool) -> Tensor:
        """Return the differentiable nll of a micro-batch."""
        with self._synced(last):
            return self._wrapped(batch, dropout_key=dropout_key)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradients of a micro-batch."""
        with self._synced(last):
            loss.backward()

    def step(self, *, learning_rate: float, max_grad_norm: float, loss_scale: float) -> float:
        """Clip and step, unless the norm is not finite; return the norm."""
        parameters = list(self._parameters.values())
        if loss_scale != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(loss_scale)
        norm = float(_whole(nn.utils.clip_grad_norm_(parameters, max_grad_norm)))
        if math.isfinite(norm):
            set_learning_rate(self._optimizer, learning_rate)
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return norm

    def parameters(self) -> dict[str, Tensor]:
        """Return copies of the full trainable parameters by name."""
        return {n: _whole(p.detach()).cpu().clone() for n, p in self._parameters.items()}

    def moments(self) -> dict[str, Tensor]:
        """Return the full moments by name."""
        held = optimizer_tensors(self._optimizer, self._parameters)
        return {name: _whole(tensor).cpu() for name, tensor in held.items()}

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Set the moments (parameters were set before the model was sharded)."""
        parts = {
            f"{moment}.{name}": _like(tensors[f"{moment}.{name}"], parameter)
            for name, parameter in self._parameters.items()
            for moment in MOMENTS
            if f"{moment}.{name}" in tensors
        }
        load_optimizer(self._optimizer, self._parameters, tensors=parts, step=step)


def _whole(tensor: Tensor) -> Tensor:
    """Return a tensor gathered from all ranks if it is a DTensor."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _like(tensor: Tensor, parameter: Any) -> Tensor:
    """Return a full tensor sharded as a parameter is."""
    if not hasattr(parameter, "device_mesh"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = parameter.device_mesh, parameter.placements
    moved = tensor.to(mesh.device_type)
    return distribute_tensor(moved, mesh, placements, src_data_rank=None)
