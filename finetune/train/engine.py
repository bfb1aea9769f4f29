"""Training engines: one interface over torch (single process, DDP, FSDP) and DeepSpeed (ZeRO).

Gradients are averaged over ranks by all of them, so the loop hands in losses that are multiplied by
the number of ranks. State goes in and out as full tensors by parameter name, whatever the sharding,
through the public functions of the library that shards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finetune.artefacts.job import Job
from finetune.models.kinds import Batch, TrainableModel
from finetune.models.layer_devices import scales_to
from finetune.spec.sections.training import Lora, Train
from finetune.train.checkpoint import Checkpoint
from finetune.train.model import TrainedModel
from finetune.train.optimizer import (
    MOMENTS,
    load_optimizer,
    make_optimizer,
    optimizer_tensors,
    set_learning_rate,
    trainable_parameters,
)
from finetune.train.sharding import Sharing, not_engaged


class Engine(Protocol):
    """A model in training, sharded or not. Every method is collective."""

    model: TrainableModel
    """For scoring: its methods are called on every rank alike."""

    def forward(self, batch: Batch, *, dropout_key: int, last: bool) -> Tensor:
        """Return the differentiable nll of a micro-batch; `last`: the last one of its step."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradients of a micro-batch; after the last one they are summed over ranks."""

    def step(self, *, learning_rate: float, max_grad_norm: float, loss_scale: float) -> float:
        """Clip and step; return the norm (before clipping, unscaled) of all gradients.

        If it is not finite nothing is changed. Gradients are gone afterwards.
        """

    def parameters(self) -> dict[str, Tensor]:
        """Return the full trainable parameters (float32, on the CPU) by name.

        Ranks that do not write take part, and copy and return nothing; `moments` is the same.
        """

    def moments(self) -> dict[str, Tensor]:
        """Return the full moments as `exp_avg.NAME`, `exp_avg_sq.NAME`; none before a step."""

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Set `adapter.NAME` and what `moments` returned after `step` steps; more is ignored."""


class TorchEngine:
    """Training by torch itself: one process, DDP (through Accelerate) or FSDP."""

    def __init__(
        self,
        model: TrainableModel,
        *,
        wrapped: Callable[..., Tensor],
        parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        synced: Callable[[bool], AbstractContextManager[Any]] = lambda _: nullcontext(),
        writes: bool = True,
    ) -> None:
        self.model = model
        self._wrapped = wrapped
        self._parameters = dict(parameters)
        self._optimizer = optimizer
        self._synced = synced
        """Makes gradients of the block be summed over ranks (True) or only kept (False)."""
        self._writes = writes

    def forward(self, batch: Batch, *, dropout_key: int, last: bool) -> Tensor:
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
        return self._on_host({n: p.detach() for n, p in self._parameters.items()})

    def moments(self) -> dict[str, Tensor]:
        """Return the full moments by name."""
        return self._on_host(optimizer_tensors(self._optimizer, self._parameters))

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Set the moments (parameters were set before the model was sharded)."""
        parts = {
            f"{moment}.{name}": _like(tensors[f"{moment}.{name}"], parameter)
            for name, parameter in self._parameters.items()
            for moment in MOMENTS
            if f"{moment}.{name}" in tensors
        }
        load_optimizer(self._optimizer, self._parameters, tensors=parts, step=step)

    def _on_host(self, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in held.items():
            whole = _whole(tensor)  # by all ranks if it is sharded
            if self._writes:
                found[name] = whole.cpu().clone()
        return found


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


def make_engine(
    plan: Sharing,
    *,
    accelerator: Accelerator,
    model: TrainedModel,
    train: Train,
    lora: Lora,
    rows_learning_rate: float | None = None,
) -> Engine:
    """Return the engine of a plan over a model whose adapter is attached and set."""
    parameters, trainable = model.parameters, model.trainable
    if plan.zero_stage:
        from finetune.train.engine_deepspeed import DeepSpeedEngine, gather_whole_layers

        optimizer = make_optimizer(
            parameters, train=train, lora=lora, rows_learning_rate=rows_learning_rate
        )
        if plan.zero_stage == 3:
            gather_whole_layers(trainable.layers)
        engine, _ = accelerator.prepare(trainable, optimizer)
        if engine.zero_optimization_stage() != plan.zero_stage:
            raise not_engaged(plan.sharding, found=f"ZeRO stage {engine.zero_optimization_stage()}")
        writes = accelerator.is_main_process
        return DeepSpeedEngine(engine, kind=model.kind, parameters=parameters, writes=writes)
    if plan.sharding == "fsdp":
        return _fsdp(plan, model, accelerator=accelerator, train=train, lora=lora)
    optimizer = make_optimizer(
        parameters, train=train, lora=lora, rows_learning_rate=rows_learning_rate
    )
    wrapped: Any = trainable
    if plan.sharding == "ddp":
        wrapped = accelerator.prepare(trainable, device_placement=[False])

    def synced(last: bool) -> AbstractContextManager[Any]:
        alone = last or plan.sharding != "ddp"
        return nullcontext() if alone else accelerator.no_sync(wrapped)

    return TorchEngine(
        trainable,
        wrapped=wrapped,
        parameters=parameters,
        optimizer=optimizer,
        synced=synced,
        writes=accelerator.is_main_process,
    )


def _fsdp(
    plan: Sharing, model: TrainedModel, *, accelerator: Accelerator, train: Train, lora: Lora
) -> Engine:
    """Shard by torch's own `fully_shard`: Accelerate's plug-in does not engage on a CPU."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard

    device = accelerator.device
    mesh = init_device_mesh(device.type, (accelerator.num_processes,))
    offload = OffloadPolicy() if plan.offload == "none" else CPUOffloadPolicy()
    scales_to(device, model.peft)  # no parameters, so that nothing splits or moves them
    for part in (*model.trainable.tables, *model.trainable.layers):
        fully_shard(part, mesh=mesh, offload_policy=offload)
    whole: Any = model.trainable
    sharded: Any = fully_shard(whole, mesh=mesh, offload_policy=offload)
    parameters = trainable_parameters(model.peft)  # others than before: each is sharded
    if not all(hasattr(p, "device_mesh") for p in parameters.values()):
        raise not_engaged("fsdp", found="a parameter that is not sharded")

    @contextmanager
    def synced(last: bool) -> Iterator[None]:
        sharded.set_requires_gradient_sync(last)
        yield

    return TorchEngine(
        model.trainable,
        wrapped=sharded,
        parameters=parameters,
        optimizer=make_optimizer(parameters, train=train, lora=lora),
        synced=synced,
        writes=accelerator.is_main_process,
    )


def engine_of(
    job: Job,
    *,
    sharing: Sharing,
    accelerator: Accelerator,
    model: TrainedModel,
    resumed: Checkpoint | None,
) -> Engine:
    """Return the engine, with the state of the optimizer if training resumes."""
    engine = make_engine(
        sharing,
        accelerator=accelerator,
        model=model,
        train=job.phase.train,
        lora=job.recipe.lora,
        rows_learning_rate=getattr(job.recipe.vocabulary, "learning_rate", None),
    )
    if resumed is not None:
        engine.load(resumed.tensors, step=resumed.progress.step)
    return engine
