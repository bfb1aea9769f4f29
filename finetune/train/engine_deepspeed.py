"""The DeepSpeed engine: ZeRO stages 1, 2 and 3 (Rajbhandari et al. 2020).

The engine reduces gradients, clips and steps; it takes no step when their norm is not finite, and
states that. Its own checkpoints are never used: they are pickles of one layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from finetune.errors import StoreError
from finetune.messages import problem
from finetune.models.kinds import Batch, Kind, TrainableModel
from finetune.train.checkpoint import of_another_run
from finetune.train.optimizer import MOMENTS, set_learning_rate


class DeepSpeedEngine:
    """A DeepSpeed engine as the loop sees it (finetune.train.engine.Engine)."""

    def __init__(
        self,
        engine: Any,
        *,
        kind: Kind,
        parameters: Mapping[str, nn.Parameter],
        writes: bool = True,
    ) -> None:
        self.model: TrainableModel = engine.module
        self._kind = kind
        self._engine = engine
        self._parameters = dict(parameters)
        self._steps = 0
        self._writes = writes

    def forward(self, batch: Batch, *, dropout_key: int, last: bool) -> Tensor:
        """Return the differentiable nll of a micro-batch."""
        self._engine.set_gradient_accumulation_boundary(last)
        nll: Tensor = self._engine(batch, dropout_key=dropout_key)
        return nll

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradients of a micro-batch; the boundary decides whether they are complete."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss, scale_wrt_gas=False)

    def step(self, *, learning_rate: float, max_grad_norm: float, loss_scale: float) -> float:
        """Clip (by the engine's own setting) and step; return the norm, infinite if none."""
        del max_grad_norm, loss_scale  # set when the engine was made; fp16 is refused
        set_learning_rate(self._engine.optimizer, learning_rate)
        self._engine.step()
        if not self._engine.was_step_applied():
            return float("inf")
        if self._steps == 0:
            self._link_moments()
        self._steps += 1
        return float(self._engine.get_global_grad_norm())

    def _link_moments(self) -> None:
        """Let stages 1 and 2 find the moments of every group of parameters.

        The engine links them when its first group has stepped, and the others have none yet.
        """
        from deepspeed.utils import lazy_init_hp_params_optimizer_state

        zero = self._engine.optimizer
        if not hasattr(zero, "bit16_groups"):  # stage 3
            return
        for group, part in zip(
            zero.bit16_groups, zero.single_partition_of_fp32_groups, strict=True
        ):
            lazy_init_hp_params_optimizer_state(group, part, zero.optimizer.state)

    @torch.no_grad()
    def parameters(self) -> dict[str, Tensor]:
        """Return the full float32 parameters by name; every rank takes part."""
        from deepspeed.utils import safe_get_full_fp32_param

        return self._on_host(
            (name, safe_get_full_fp32_param(p)) for name, p in self._parameters.items()
        )

    @torch.no_grad()
    def moments(self) -> dict[str, Tensor]:
        """Return the full moments by name; every rank takes part."""
        from deepspeed.utils import safe_get_full_optimizer_state

        if self._steps == 0:
            return {}
        return self._on_host(
            (f"{moment}.{name}", safe_get_full_optimizer_state(parameter, moment))
            for name, parameter in self._parameters.items()
            for moment in MOMENTS
        )

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Set parameters, in full precision, and moments.

        The engine makes its optimizer's state in its first step only: one step of learning rate 0
        over nothing makes it.
        """
        if step == 0:
            return
        nll = self.forward(self._kind.idle_batch(self._engine.device), dropout_key=0, last=True)
        self.backward(nll, last=True)
        self.step(learning_rate=0.0, max_grad_norm=1.0, loss_scale=1.0)
        for name, parameter in self._parameters.items():
            self._set(name, parameter, tensors)
        for state in self._engine.optimizer.optimizer.state.values():
            state["step"].fill_(float(step))
        self._steps = step

    def _on_host(self, gathered: Iterable[tuple[str, Tensor | None]]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in gathered:  # each by all ranks
            if self._writes:
                found[name] = _known(tensor, name)
        return found

    @torch.no_grad()
    def _set(self, name: str, parameter: nn.Parameter, tensors: Mapping[str, Tensor]) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        wanted = ("adapter", *MOMENTS)
        missing = [part for part in wanted if f"{part}.{name}" not in tensors]
        if missing:
            raise of_another_run([f"{missing[0]}.{name}"])
        adapter, *moments = (tensors[f"{p}.{name}"].to(self._engine.device) for p in wanted)
        safe_set_full_fp32_param(parameter, adapter)
        for moment, value in zip(MOMENTS, moments, strict=True):
            safe_set_full_optimizer_state(parameter, value, moment)


def gather_whole_layers(layers: Sequence[nn.Module]) -> None:
    """Let ZeRO-3 gather the weights of a decoder layer together, not parameter by parameter.

    The gradients of such a layer are reduced by its backward hook, which torch calls before they
    exist if no input of the layer needs a gradient: behind a frozen embedding the first layer's
    input is made to need one.
    """
    from deepspeed.utils import set_z3_leaf_module

    for layer in layers:
        set_z3_leaf_module(layer, True)
    if layers:
        layers[0].register_forward_pre_hook(_needing_gradient)


def _needing_gradient(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    hidden = inputs[0]
    if torch.is_grad_enabled() and not hidden.requires_grad:
        hidden.requires_grad_()


def _known(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise StoreError(
            problem("no-optimizer-state", "DeepSpeed has no optimizer state of {name}", name=name)
        )
    return tensor.detach().float().cpu().clone()
