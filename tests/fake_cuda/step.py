"""One step of training and one score on a fake GPU: batch, forward, backward, optimizer.

All of it is the project's own code, from the loaded base on; texts are short documents packed into
rows, or one document of the whole context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from torch import Tensor

from finetune.artefacts.packed_split import PackedSplit
from finetune.models.kinds import CAUSAL
from finetune.models.rows import NewRows
from finetune.sizing.gpus import Gpu
from finetune.sizing.memory import Placement, device_memory, work_on
from finetune.sizing.shape import model_shape
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision, Train
from finetune.train.engine import TorchEngine
from finetune.train.model import TrainedModel
from finetune.train.optimizer import MOMENTS, make_optimizer, trainable_parameters
from tests.fake_cuda.fake_gpu import A100, CudaAttention, fake_gpu
from tests.fake_cuda.shapes import LAYERS, base_of, config_of, weights_of
from tests.fake_cuda.watch import Watch
from tests.support.packing import pack, random_documents

LORA: Mapping[str, Mapping[str, Any]] = {
    "dropout": {"dropout": 0.1},
    "dora": {"dora": True},
    "head": {"target_modules": ["q_proj", "lm_head"]},
}
"""Settings of the adapter by feature; other features are no settings of it."""
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
NEW_TOKENS = 10
SHORT = (
    *(37, 61, 130, 45, 88, 99, 52),
    *(73, 110, 61, 35, 140, 67, 26),
    *(97, 81, 120, 44, 90, 80),
    *(150, 31, 77, 64, 102, 87),
)
"""Tokens of short documents, which fill four rows of 512 but for one token."""
CONTEXT = 32768
ONE_GPU = Placement(device="gpu")
FLOAT32_SHARE = 0.01
"""At most so much of the products of a step in half precision is in float32."""


@dataclass(frozen=True, slots=True)
class Case:
    """Base, texts and settings of a step."""

    kind: str = "llama"
    size: str = "135M"
    quantization: Quantization = "none"
    text: str = "short"
    feature: str = ""
    precision: Precision = "bf16"
    layers: int = LAYERS
    gpu: Gpu = A100

    def __str__(self) -> str:
        said = (self.kind, self.size, self.quantization, self.text, self.feature, self.precision)
        return "-".join(word.replace(" ", "_") for word in said if word)

    @property
    def lora(self) -> Lora:
        """The adapter."""
        settings = dict(LORA.get(self.feature, {}))
        if self.kind == "mixtral" and self.feature in ("dropout", "dora"):
            settings["target_modules"] = ATTENTION  # PEFT has neither of them for experts
        return Lora(**settings)

    @property
    def config(self) -> dict[str, Any]:
        """The base's `config.json`."""
        return config_of(self.kind, self.size, layers=self.layers)

    @property
    def split(self) -> PackedSplit:
        """The texts; every row is one micro-batch together with all others."""
        if self.text == "long":
            return pack(random_documents((CONTEXT,)), row=CONTEXT)
        return pack(random_documents(SHORT), row=512)


@dataclass(frozen=True, slots=True)
class Found:
    """Results of one step."""

    tokens: int
    loss: str
    """Type and device."""
    without_gradient: tuple[str, ...]
    types: frozenset[str]
    """Of adapter, gradients and moments."""
    micro_batch_waits: Counter[str]
    """From the batch to the gradients."""
    step_waits: Counter[str]
    """Of clipping and the optimizer."""
    peak_bytes: int
    weights_bytes: int
    watch: Watch = field(repr=False)

    def float32_share(self) -> float:
        """Return the share of float32 in the FLOPs of products."""
        flops = self.watch.product_flops
        return flops["float32"] / sum(flops.values())


def run(case: Case, *, rows: int | None = None) -> Found:
    """Train a step of a case, and score its batch: all rows, or `rows` of them, repeated."""
    split, lora = case.split, case.lora
    taken = np.resize(np.arange(split.num_rows), rows or split.num_rows)
    tokens = int(split.tokens_of(taken).sum())
    with fake_gpu(case.gpu):
        model = model_of(case)
        if case.feature == "checkpointing":
            model.peft.gradient_checkpointing_enable({"use_reentrant": False})
        parameters, wrapped = model.parameters, cast(Any, model.trainable)
        optimizer = make_optimizer(parameters, train=Train(max_steps=1), lora=lora)
        engine = TorchEngine(wrapped, wrapped=wrapped, parameters=parameters, optimizer=optimizer)
        weights = weights_of(model.peft)
        watch = Watch(known=weights, tokens=tokens)
        with watch, CudaAttention(watch):
            wrapped.train()
            batch = CAUSAL.make_batch(split, taken.tolist(), device="cuda")
            nll = engine.forward(batch, dropout_key=1, last=True)
            engine.backward(nll / tokens, last=True)
            before = Counter(watch.waits + watch.pageable)
            gradients = {n: p.grad for n, p in parameters.items() if p.grad is not None}
            engine.step(learning_rate=1e-4, max_grad_norm=1.0, loss_scale=1.0)
            step_waits = watch.waits + watch.pageable - before
            peak = watch.peak_bytes
            wrapped.eval()
            wrapped.score(batch)
        moments = [optimizer.state[p][m] for p in parameters.values() for m in MOMENTS]
        held = [*parameters.values(), *gradients.values(), *moments]
    return Found(
        tokens=tokens,
        loss=f"{nll.dtype} {nll.device.type}",
        without_gradient=tuple(sorted(parameters.keys() - gradients.keys())),
        types=frozenset(str(tensor.dtype) for tensor in held),
        micro_batch_waits=before,
        step_waits=step_waits,
        peak_bytes=peak,
        weights_bytes=bytes_of(weights),
        watch=watch,
    )


def estimated(
    case: Case, *, rows: int | None = None, placement: Placement = ONE_GPU
) -> tuple[int, int]:
    """Return the bytes of weights, and of what training holds beside them, by the estimate."""
    shape, split = model_shape(case.config), case.split
    work = work_on(
        shape,
        placement,
        lora=case.lora,
        rows=rows or split.num_rows,
        sequence_tokens=split.tokens_NT.shape[1],
        precision=case.precision,
        quantization=case.quantization,
        gradient_checkpointing=case.feature == "checkpointing",
    )
    memory = device_memory(shape, work, placement)
    weights = memory.weights + memory.adapter
    return weights, memory.total - memory.runtime - weights


def faults(case: Case, found: Found) -> list[str]:
    """Return what no step on a GPU should do, in words."""
    watch = found.watch
    said = [f"waits in a micro-batch: {wait}" for wait in found.micro_batch_waits]
    said += [f"mixed types: {product}" for product in watch.mixed]
    said += [f"a mask over all tokens: {line}" for line in watch.squares]
    said += [f"no gradient: {name}" for name in found.without_gradient]
    if found.step_waits.total() > 1:
        said.append(f"waits in a step: {dict(found.step_waits)}")
    if found.types != {"torch.float32"} or found.loss != "torch.float32 cuda":
        said.append(f"types: {found.loss}, {sorted(found.types)}")
    if case.precision != "fp32" and found.float32_share() > FLOAT32_SHARE:
        lines = sorted(watch.float32_lines.items(), key=lambda line: -line[1])[:3]
        said.append(f"{found.float32_share():.0%} of products in float32: {dict(lines)}")
    return said


def model_of(case: Case) -> TrainedModel:
    """Return the model in training on the fake GPU, without gradient checkpointing."""
    packed = case.quantization == "4bit"
    base = base_of(case.config, kind=case.kind, precision=case.precision, packed=packed)
    peft = CAUSAL.attach_lora(base, case.lora, seed=1, new_rows=_new_rows(case))
    return TrainedModel(
        kind=CAUSAL,
        trainable=CAUSAL.wrap(peft),
        peft=peft,
        parameters=trainable_parameters(peft),
        pissa_start=None,
    )


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Return the bytes of tensors, each counted once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in set(tensors))


def _new_rows(case: Case) -> NewRows | None:
    if case.feature != "new tokens":
        return None
    first = case.config["vocab_size"] - NEW_TOKENS
    starts = tuple({5 + number: 1.0, 40 + number: 1.0} for number in range(NEW_TOKENS))
    return NewRows(first, starts)
