"""Resources of a recipe on a target: memory, time, energy, and the cheapest settings that fit.

Everything is computed from the recipe, the base's config.json and the sizes of what is in the
store; nothing heavy is imported and nothing is run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from finetune.estimate.base_shape import shape_with_new_tokens
from finetune.estimate.cost import (
    CPU_GFLOPS_PER_CORE,
    POWER_OF_NODE,
    Amount,
    Cost,
    Range,
    cost_of,
    gpu_utilisation,
)
from finetune.estimate.estimate_notes import attempts, main_memory, notes
from finetune.estimate.length import Length, lengths
from finetune.estimate.target import Target
from finetune.pipeline.store import Store
from finetune.sizing.flops import flops_per_token
from finetune.sizing.gpus import find_gpu
from finetune.sizing.memory import (
    MEMORY_LABELS,
    Memory,
    Placement,
    budgeted_bytes,
    device_memory,
    work_on,
)
from finetune.sizing.policy import (
    GIB,
    GPU_CONTEXT_BYTES,
    SPLITS_WEIGHTS,
    Refusal,
    budget_bytes,
    choose_micro_batch_rows,
    choose_precision,
    choose_sharding,
    gpu_budget_bytes,
    handed_on,
    leaves_room,
    packed_bytes,
    refuse_sharding,
    rows_per_rank,
)
from finetune.sizing.shape import ModelShape, adapter_parameters, base_parameters
from finetune.spec.load import Project
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.electricity import Grid
from finetune.spec.sections.training import Lora, Offload, Precision, Sharding


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the training run; all but `quantization` give the same adapter."""

    sharding: Sharding
    gradient_checkpointing: bool
    quantization: Quantization
    offload: Offload = "none"

    @property
    def keys(self) -> dict[str, str]:
        """The recipe keys of this setting."""
        keys: dict[str, str] = {"train.sharding": self.sharding}
        if self.gradient_checkpointing:
            keys["run.gradient_checkpointing"] = "true"
        if self.quantization != "none":
            keys["base.quantization"] = self.quantization
        if self.offload != "none":
            keys["train.offload"] = self.offload
        return keys

    @property
    def text(self) -> str:
        """Short label."""
        again = "gradient checkpointing" if self.gradient_checkpointing else ""
        packed = self.quantization if self.quantization != "none" else ""
        aside = f"offload {self.offload}" if self.offload != "none" else ""
        return ", ".join(part for part in (self.sharding, packed, again, aside) if part)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting, the micro-batch that it leaves room for, and whether it fits."""

    setting: Setting
    rows: int
    memory: Memory
    fits: bool | None
    """None if the memory of the target is not known."""
    why: str
    """Reason why it does not fit; empty if it does."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory, time, energy and cost of a recipe on a target."""

    shape: ModelShape
    target: Target
    precision: Precision
    base_parameters: int
    adapter_parameters: dict[str, int]
    recipe: Candidate
    """The recipe's own setting."""
    candidates: tuple[Candidate, ...]
    """Settings in order of cost, the recipe's among them."""
    lengths: tuple[Length, ...]
    cost: Cost
    utilisation: Range
    """Share of a GPU's peak that the hours assume."""
    notes: tuple[str, ...]

    @property
    def cheapest(self) -> Candidate | None:
        """The first setting that fits."""
        return next((candidate for candidate in self.candidates if candidate.fits), None)


def estimate(
    project: Project,
    target: Target,
    *,
    store: Store,
    watts: float | None = None,
    pue: float,
    grid: Grid | None = None,
) -> Estimate:
    """Return what a recipe needs on a target.

    Raises StoreError if the base is not in the store yet, RecipeError if it cannot be counted.
    """
    lora = _largest_adapter(project)
    shape, unknown = shape_with_new_tokens(project, store=store)
    found = lengths(project, store=store)
    precision = _precision(project, target, model_type=shape.model_type)
    share = rows_per_rank(min(each.rows_per_step for each in found), ranks=target.ranks)
    room = _Room(project, lora, shape, target, precision, share)
    own = _own(project, room)
    candidates = [room.candidate(setting) for setting in _settings(own.setting, room)]
    if own.setting not in [candidate.setting for candidate in candidates]:
        candidates.insert(0, own)
    chosen = own if own.fits is not False else next((t for t in candidates if t.fits), own)
    utilisation = gpu_utilisation(shape.hidden, chosen.setting.quantization)
    cost = cost_of(
        Amount(
            _flops(found, room, chosen),
            sum(each.tokens for each in found),
            _micro_batches(found, target, chosen),
        ),
        peak_flops=_peak(target, precision, utilisation),
        devices=min(target.ranks, max(each.rows_per_step for each in found)),
        watts=_power(target, watts),
        pue=pue,
        grid=grid,
    )
    return Estimate(
        shape=shape,
        target=target,
        precision=precision,
        base_parameters=base_parameters(shape),
        adapter_parameters=adapter_parameters(shape, lora),
        recipe=own,
        candidates=tuple(candidates),
        lengths=tuple(found),
        cost=cost,
        utilisation=utilisation,
        notes=(
            *unknown,
            *notes(shape, target, found, sharding=chosen.setting.sharding),
            *main_memory(shape, target, precision=precision),
            *attempts(target, cost),
        ),
    )


def _flops(found: list[Length], room: _Room, chosen: Candidate) -> float:
    row_tokens = room.project.recipe.prepare.sequence_tokens
    return sum(
        each.tokens
        * flops_per_token(
            room.shape,
            room.lora,
            document_tokens=each.document_tokens or row_tokens,
            gradient_checkpointing=chosen.setting.gradient_checkpointing,
        )
        for each in found
    )


def _micro_batches(found: list[Length], target: Target, chosen: Candidate) -> int:
    """Return the micro-batches of the busiest rank, over all steps."""
    return sum(
        each.steps * math.ceil(rows_per_rank(each.rows_per_step, ranks=target.ranks) / chosen.rows)
        for each in found
    )


@dataclass(frozen=True, slots=True)
class _Room:
    """Facts that all settings share."""

    project: Project
    lora: Lora
    shape: ModelShape
    target: Target
    precision: Precision
    share: int
    """Packed sequences per rank and step."""

    def candidate(self, setting: Setting) -> Candidate:
        """Return the largest micro-batch that fits a setting, and its memory."""
        rows = self._rows(setting)
        memory = self._memory(setting, rows)
        limit = self.limit_bytes
        refused = self.refused(setting)
        if refused is not None:
            return Candidate(setting, rows, memory, False, refused.short)
        if limit is None:
            return Candidate(setting, rows, memory, None, "device memory unknown")
        over = self._budgeted(memory) - limit
        why = "" if over <= 0 else f"exceeds memory by {over / GIB:.1f} GiB: {_largest(memory)}"
        return Candidate(setting, rows, memory, over <= 0, why)

    def refused(self, setting: Setting) -> Refusal | None:
        """Return why a setting cannot train this base, whatever the memory."""
        return refuse_sharding(
            setting.sharding,
            precision=self.precision,
            quantization=setting.quantization,
            new_tokens=bool(self.shape.new_tokens),
        )

    def _budgeted(self, memory: Memory) -> int:
        return budgeted_bytes(memory, device=self.target.device)

    @property
    def limit_bytes(self) -> int | None:
        """Most bytes that a training run may take at its peak, on a GPU for tensors."""
        given = self.target.memory_gib or self.project.recipe.run.memory_gib
        if given is None:
            return None
        return self._gpu_budget(None) if self.target.device == "gpu" else int(given * GIB)

    @property
    def budget_bytes(self) -> int:
        """Bytes that a micro-batch of `auto` may fill; 0 if the memory is not known."""
        asked = self.project.recipe.run.memory_gib
        if self.target.device == "gpu":
            return self._gpu_budget(asked)
        return budget_bytes(asked, device_bytes=GIB * (self.target.memory_gib or 0))

    def _gpu_budget(self, asked_gib: float | None) -> int:
        """Return the budget of a GPU that has no other user."""
        total = GIB * (self.target.memory_gib or 0)
        return gpu_budget_bytes(asked_gib, free_bytes=total - GPU_CONTEXT_BYTES, total_bytes=total)

    def _rows(self, setting: Setting) -> int:
        """Return the packed sequences per micro-batch: of `auto`, or the recipe's own number."""
        return choose_micro_batch_rows(
            self.project.recipe.run.micro_batch_size,
            rows_of_rank=self.share,
            sequence_tokens=self.project.recipe.prepare.sequence_tokens,
            device=self.target.device,
            fits=lambda rows: self._budgeted(self._memory(setting, rows)) <= self.budget_bytes,
        )

    def _memory(self, setting: Setting, rows: int) -> Memory:
        gpu = find_gpu(self.target.gpu)
        placement = Placement(
            sharding=setting.sharding,
            ranks=self.target.ranks,
            offload=setting.offload,
            device=self.target.device,
            capability=gpu.capability if gpu else (8, 0),  # an unknown one is taken to be new
        )
        work = work_on(
            self.shape,
            placement,
            lora=self.lora,
            rows=rows,
            sequence_tokens=self.project.recipe.prepare.sequence_tokens,
            precision=self.precision,
            quantization=setting.quantization,
            gradient_checkpointing=setting.gradient_checkpointing,
        )
        return device_memory(self.shape, work, placement)


def _largest_adapter(project: Project) -> Lora:
    """Return the settings of the adapter of the last phase: none before it has a larger one."""
    lora = project.recipe.lora
    return lora if len(project.recipe.training_phases) == 1 else handed_on(lora)


def _own(project: Project, room: _Room) -> Candidate:
    """The recipe's setting, with what `auto` means."""
    recipe = project.recipe
    train = recipe.training_phases[0].train
    own = Setting(
        sharding="none",
        gradient_checkpointing=recipe.run.gradient_checkpointing,
        quantization=recipe.base.quantization,
        offload=train.offload,
    )
    weights = packed_bytes(
        base_parameters(room.shape), precision=room.precision, quantization=own.quantization
    )
    budget = room.budget_bytes  # where the memory is not known, the base is taken to fit
    sharding = choose_sharding(
        train.sharding,
        ranks=room.target.ranks,
        precision=room.precision,
        quantization=own.quantization,
        new_tokens=bool(room.shape.new_tokens),
        fits=lambda: not budget or leaves_room(weights, budget_bytes=budget),
    )
    return room.candidate(replace(own, sharding=sharding))


def _settings(own: Setting, room: _Room) -> Iterator[Setting]:
    """Settings in order of what they cost, and last those that change the adapter.

    What splits weights is tried only where it could train this base.
    """
    target = room.target
    shared: tuple[Sharding, ...] = ("ddp", "zero2") if target.ranks > 1 else ("none",)
    split = sorted(SPLITS_WEIGHTS, reverse=True) if target.ranks > 1 else []
    packed: tuple[Quantization, ...] = get_args(Quantization)  # from none to the most packed
    packed = packed[packed.index(own.quantization) :]
    for quantization in packed if target.device == "gpu" else packed[:1]:
        for again in (False, True):
            for sharding in shared:
                yield Setting(sharding, again, quantization)
        for again in (False, True):
            for sharding in split:
                setting = Setting(sharding, again, quantization)
                if quantization == "none" or room.refused(setting) is None:
                    yield setting
    if own.quantization == "none" and target.device == "gpu":
        yield Setting("zero3", True, "none", offload="all")
    last = Setting("fsdp", True, "4bit", offload="all")
    if split and target.device == "gpu" and room.refused(last) is None:
        yield last


def _precision(project: Project, target: Target, *, model_type: str) -> Precision:
    asked = project.recipe.training_phases[0].train.precision
    gpu = find_gpu(target.gpu)
    return choose_precision(
        asked,
        device=target.device,
        has_bf16=gpu is None or gpu.has_bf16,
        model_type=model_type,
    )


def _peak(target: Target, precision: Precision, utilisation: Range) -> Range | None:
    if target.device == "cpu":
        fast, slow = (target.cores * gflops * 1e9 for gflops in CPU_GFLOPS_PER_CORE)
        return fast, slow
    gpu = find_gpu(target.gpu)
    if gpu is None:
        return None
    peak = gpu.peak_tflops(precision) * 1e12
    return peak * utilisation[0], peak * utilisation[1]


def _power(target: Target, watts: float | None) -> Range | None:
    if watts is not None:
        return watts, watts
    gpu = find_gpu(target.gpu) if target.device == "gpu" else None
    return None if gpu is None else (gpu.watts * POWER_OF_NODE[0], gpu.watts * POWER_OF_NODE[1])


def _largest(memory: Memory) -> str:
    parts = set(MEMORY_LABELS) - {"gradients", "allocator_overhead", "runtime", "host"}
    name = max(sorted(parts), key=lambda part: getattr(memory, part))
    return f"{MEMORY_LABELS[name]} {getattr(memory, name) / GIB:.1f} GiB"
