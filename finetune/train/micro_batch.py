"""How many rows go through the model at once: found by measuring one row.

The loss does not depend on it, so it is chosen by memory and speed alone. On a CPU the bytes that
autograd keeps for the backward pass are counted (the same number every time); on a GPU the
allocator's peak is read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from finetune.errors import TrainError
from finetune.launch.ranks import ranks_of
from finetune.spec.recipe import Run

GIB = 2**30
SHARE_OF_MEMORY = 0.6
PROCESS_BYTES = GIB  # torch, transformers and peft once imported, and the measuring itself
BACKWARD_FACTOR = 2.2
"""What a row adds to the peak of a process, of what it saves: gradients live beside that, and the
C library's allocator holds what it cannot use (2.1 to 2.3 on a 135M model)."""
CPU_TOKENS = 1024  # larger matrix products are no faster on a CPU
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def rows_that_fit(
    *, row_bytes: int, fixed_bytes: int, budget_bytes: int, rows_per_step: int, most_rows: int
) -> int:
    """Return the rows of a micro-batch, so that the micro-batches of a step are of even size.

    >>> rows_that_fit(row_bytes=2, fixed_bytes=3, budget_bytes=14, rows_per_step=16, most_rows=99)
    4
    >>> rows_that_fit(row_bytes=9, fixed_bytes=9, budget_bytes=10, rows_per_step=16, most_rows=99)
    1
    """
    fitting = (budget_bytes - fixed_bytes) // max(1, row_bytes)
    most = max(1, min(fitting, most_rows, rows_per_step))
    return -(-rows_per_step // -(-rows_per_step // most))


def budget_bytes(run: Run, device: torch.device) -> int:
    """Return the bytes that one process may use: `run.memory_gib`, or 60 % of its device's.

    A control group's limit (a container, a Slurm job) counts as the machine's memory; processes on
    one machine without GPUs share it.
    """
    if run.memory_gib is not None:
        return int(run.memory_gib * GIB)
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.get_device_properties(device).total_memory)
    total = psutil.virtual_memory().total
    for limit in map(Path, _CGROUP_LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, int(text))
    return int(SHARE_OF_MEMORY * total) // ranks_of().local_world


def saved_bytes(forward: Callable[[], Tensor], *, frozen: nn.Module) -> int:
    """Return the bytes that one forward pass keeps for its backward pass.

    Every storage counts once; parameters and buffers of `frozen` are there anyway and count not.
    """
    known = {t.untyped_storage().data_ptr() for t in (*frozen.parameters(), *frozen.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # a storage freed meanwhile could hand its address to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()
    del loss
    return sum(kept.values())


def with_gradient_checkpointing(full_bytes: int, *, layers: int, layer_input_bytes: int) -> int:
    """Return what recomputation leaves of `full_bytes`: every layer's input, and a quarter.

    One layer at a time is whole, and the head with its loss is not recomputed; a quarter is what
    a 135M model of 30 layers showed.

    >>> with_gradient_checkpointing(3000, layers=30, layer_input_bytes=10)
    1050
    """
    return layers * layer_input_bytes + full_bytes // 4


def row_peak_bytes(forward: Callable[[], Tensor], *, device: torch.device) -> int:
    """Return the peak of one forward and backward pass on a GPU above what was allocated."""
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    forward().backward()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def fixed_bytes(model: nn.Module, *, device: torch.device) -> int:
    """Return what is held whatever the rows: weights, and gradient, moments and best of each."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trainable = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return weights + 4 * trainable + (PROCESS_BYTES if device.type == "cpu" else 0)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that memory ran out (GPU, or the CPU's allocator)."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def out_of_memory(rows: int, *, sequence_tokens: int, run: Run) -> TrainError:
    """Return the error that says which setting fits."""
    where = f"out of memory with {rows} rows of {sequence_tokens} tokens in one forward pass"
    if rows > 1:
        advice = f"set run.micro_batch_rows: {rows // 2} (the loss does not depend on it)"
    elif not run.gradient_checkpointing:
        advice = "set run.gradient_checkpointing: true"
    else:
        advice = "set a smaller prepare.sequence_tokens, or base.quantization: 4bit"
    return TrainError(f"{where}: {advice} and repeat the same command; it continues from there")


def layer_shape(config: Any) -> tuple[int, int]:
    """Return (number of layers, hidden size) of a transformers configuration."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(text.num_hidden_layers), int(text.hidden_size)
