"""Sharding of model, gradients and optimizer state over ranks, and its Accelerator.

Accelerate's plug-ins are filled here and nowhere else. What really engaged is looked at afterwards:
on a CPU a launcher or plug-in that does not fit is otherwise silently one process, or no sharding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DeepSpeedPlugin,
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
)

from finetune.errors import RecipeError, TrainError
from finetune.launch.devices import local_rank_of_device
from finetune.messages import Place, problem
from finetune.models.load import kind_of_device
from finetune.sizing.policy import (
    BUCKET_ELEMENTS,
    NEEDS_LAUNCHER,
    SPLITS_WEIGHTS,
    ZERO_STAGES,
    Device,
    choose_sharding,
    refuse_sharding,
)
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Offload, Precision, Sharding, Train
from finetune.train.processes import Processes, meet_alone

_SHARDING = Place(key="train.sharding")


@dataclass(frozen=True, slots=True)
class Sharing:
    """The sharding of a training run; recorded with its artefact."""

    sharding: Sharding
    offload: Offload
    precision: Precision
    max_grad_norm: float

    @property
    def zero_stage(self) -> int:
        """Stage of ZeRO; 0 for none."""
        return ZERO_STAGES.get(self.sharding, 0)

    @property
    def splits_weights(self) -> bool:
        """Return whether a rank holds only its part of the frozen weights."""
        return self.sharding in SPLITS_WEIGHTS


def choose(
    train: Train,
    *,
    processes: Processes,
    precision: Precision,
    quantization: Quantization,
    new_tokens: bool = False,
    fits: Callable[[], bool],
) -> Sharing:
    """Return how to share; `fits()`: whether one device holds the whole model in training.

    Raises RecipeError for what cannot be had here, with the reason.
    """
    sharding = choose_sharding(
        train.sharding,
        ranks=processes.count,
        precision=precision,
        quantization=quantization,
        new_tokens=new_tokens,
        fits=fits,
    )
    if sharding == "none" and processes.count > 1:
        raise RecipeError(
            problem(
                "sharding-none-with-ranks",
                "none, but {ranks} ranks were launched; write auto or ddp, or launch one rank",
                at=_SHARDING,
                ranks=processes.count,
            )
        )
    if sharding in NEEDS_LAUNCHER and not processes.ranks.launched:
        raise RecipeError(
            problem(
                "sharding-needs-launcher",
                "{sharding} needs a launcher (torchrun, accelerate launch, or `finetune submit`); "
                "for a single process write auto or none",
                at=_SHARDING,
                sharding=sharding,
            )
        )
    refused = refuse_sharding(
        sharding, precision=precision, quantization=quantization, new_tokens=new_tokens
    )
    if refused is not None:
        raise RecipeError(
            problem(
                "sharding-refused",
                "{sharding} {reason}",
                at=_SHARDING,
                sharding=sharding,
                reason=refused.reason,
            )
        )
    return Sharing(sharding, train.offload, precision, train.max_grad_norm)


def not_engaged(sharding: str, *, found: str) -> TrainError:
    """Return the error for a sharding that the libraries did not set up."""
    return TrainError(
        problem(
            "sharding-not-engaged",
            "{sharding} did not engage: found {found}",
            at=_SHARDING,
            sharding=sharding,
            found=found,
        )
    )


@contextmanager
def accelerated(plan: Sharing, *, processes: Processes) -> Iterator[Accelerator]:
    """Give the Accelerator of one training run, and reset it afterwards (there may be phases).

    Raises TrainError if it engaged something else than was planned.
    """
    kept = {k: v for k, v in os.environ.items() if k.startswith("ACCELERATE_")}
    for name in kept:  # `accelerate launch` writes its own choices there; the recipe decides
        del os.environ[name]
    AcceleratorState._reset_state(reset_partial_state=True)
    if plan.zero_stage and not processes.ranks.launched:
        meet_alone(processes.device)
    try:
        with local_rank_of_device(processes.device.index):
            accelerator = _accelerator(plan, processes=processes)
            _engaged(accelerator, plan, processes=processes)
            yield accelerator
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        for name in [n for n in os.environ if n.startswith("ACCELERATE_")]:
            del os.environ[name]
        os.environ.update(kept)


def _accelerator(plan: Sharing, *, processes: Processes) -> Accelerator:
    on_cpu = processes.device.type == "cpu"
    if plan.zero_stage:
        if on_cpu:
            os.environ["DS_ACCELERATOR"] = "cpu"  # read when deepspeed is imported
            _compile_nothing()
        return Accelerator(
            mixed_precision="bf16" if plan.precision == "bf16" else "no",
            deepspeed_plugin=DeepSpeedPlugin(
                hf_ds_config=deepspeed_settings(plan, device=kind_of_device(processes.device)),
                zero3_init_flag=plan.zero_stage == 3,
            ),
            kwargs_handlers=[InitProcessGroupKwargs(backend="gloo")] if on_cpu else [],
        )
    # Buckets are not rebuilt after the first step, as they are by default: a resumed training
    # would sum in another order than one that never stopped.
    ddp = DistributedDataParallelKwargs(
        broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=True
    )
    return Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=[ddp])


def _compile_nothing() -> None:
    """Leave out DeepSpeed's own collective for the ranks of one CPU machine.

    It would be compiled at the first launch: that needs a compiler on the node and half a minute,
    and a build that was killed leaves a lock on which every later launch waits.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _engaged(accelerator: Accelerator, plan: Sharing, *, processes: Processes) -> None:
    found = (accelerator.num_processes, accelerator.device.type)
    if found != (processes.count, processes.device.type):
        raise TrainError(
            problem(
                "ranks-differ",
                "Accelerate sees {found} ranks on {found_device}, not {ranks} on {device}",
                found=found[0],
                found_device=found[1],
                ranks=processes.count,
                device=processes.device.type,
            )
        )
    if processes.device.type == "cuda":
        expected = DistributedType.MULTI_GPU
    else:
        expected = DistributedType.MULTI_CPU
    if plan.zero_stage:
        expected = DistributedType.DEEPSPEED
    if plan.sharding != "none" and accelerator.distributed_type != expected:
        raise not_engaged(plan.sharding, found=str(accelerator.distributed_type))


def deepspeed_settings(plan: Sharing, *, device: Device) -> dict[str, Any]:
    """Return DeepSpeed's configuration of a plan; what is not named is DeepSpeed's default."""
    on_gpu = device == "gpu"
    zero: dict[str, Any] = {"stage": plan.zero_stage, "reduce_bucket_size": BUCKET_ELEMENTS[device]}
    if plan.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": on_gpu}
    if plan.offload == "all":
        zero["offload_param"] = {"device": "cpu", "pin_memory": on_gpu}
    if plan.zero_stage == 3 and not on_gpu:
        # Nothing stays gathered, and no look-ahead over hundreds of small modules, which on a CPU
        # costs more than the step itself. On a GPU small parameters (norms, LoRA) stay gathered:
        # each of them would be a message of its own.
        zero |= {
            "stage3_param_persistence_threshold": 0,
            "stage3_max_reuse_distance": 0,
            "stage3_max_live_parameters": 0,
        }
    return {
        "zero_optimization": zero,
        "train_micro_batch_size_per_gpu": 1,  # unused: the loop cuts its own micro-batches
        "gradient_accumulation_steps": 1,  # the loop sets the boundary itself
        "gradient_clipping": plan.max_grad_norm,
        "bf16": {"enabled": plan.precision == "bf16", "check_grad_overflow": True},
        "zero_allow_untested_optimizer": True,
        # torch's own AdamW runs on offloaded state too: nothing has to be compiled
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
