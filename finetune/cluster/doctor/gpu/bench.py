"""Models of random weights on a device, and packed rows for them.

Nothing is downloaded: speed and memory depend on shapes alone.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from finetune.models.arithmetic import DTYPES
from finetune.models.kinds import CAUSAL, TrainableModel
from finetune.models.load import kind_of_device
from finetune.sizing.attention_paths import is_new_enough
from finetune.sizing.policy import Device
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision, Train
from finetune.train.engine import TorchEngine
from finetune.train.optimizer import make_optimizer, trainable_parameters

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "135M": {  # of SmolLM2-135M
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "8B": {  # of Llama 3.1 8B
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": False,
    },
}
"""Shapes of open models, by size."""
DRY: Mapping[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
}
DRY_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Bench:
    """A device on which checks run, until their time is over."""

    device: torch.device
    folder: Path
    """For small models and a training run; empty at the start."""
    dry: bool
    """True: everything is tiny, so that the code itself can be tried on a CPU."""
    limit_seconds: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> Device:
        """`gpu` or `cpu`."""
        return kind_of_device(self.device)

    @property
    def precision(self) -> Precision:
        """Half precision, as `auto` takes it on this GPU."""
        if self.kind == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return "fp16"

    @property
    def too_old(self) -> str | None:
        """The version of torch if its attention cannot keep packed documents apart on a GPU."""
        version = torch.__version__.split("+")[0]
        return None if self.kind == "cpu" or is_new_enough(version) else version

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.begun

    @property
    def is_over(self) -> bool:
        """Return whether the time is over."""
        return self.seconds > self.limit_seconds

    def shape(self, size: str) -> dict[str, Any]:
        """Return the keys of the configuration of a size, or of a tiny one."""
        return dict(DRY if self.dry else SHAPES[size])

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give back the memory of a check."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def random_base(bench: Bench, keys: Mapping[str, Any], *, quantization: Quantization) -> Any:
    """Return a frozen base with random weights on the device, in half precision or 4 bits."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.initialization import no_init_weights

    config = LlamaConfig(**keys, max_position_embeddings=32768)
    config._attn_implementation = "sdpa"
    dtype = DTYPES[bench.precision]
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(bench.device), no_init_weights():
            model: Any = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(std=0.02)
    model.tie_weights()
    if quantization == "4bit":
        _pack(model, dtype=dtype)
    return model.requires_grad_(False).eval()


def _pack(model: Any, *, dtype: torch.dtype) -> None:
    """Pack the linear layers of the decoder in 4 bits, as loading with bitsandbytes does."""
    from bitsandbytes.nn.modules import Linear4bit, Params4bit

    for parent in list(model.model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is not nn.Linear:
                continue
            packed: Any = Linear4bit(
                layer.in_features,
                layer.out_features,
                bias=False,
                compute_dtype=dtype,
                quant_type="nf4",
                device="meta",
            )
            weight: Any = Params4bit(
                layer.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
            )
            packed.weight = weight.to(layer.weight.device)
            setattr(parent, name, packed)
    model.is_quantized = model.is_loaded_in_4bit = True


def engine_of(base: Any, *, lora: Lora, gradient_checkpointing: bool = False) -> TorchEngine:
    """Return training of a fresh adapter on a base, as one process trains it."""
    peft = CAUSAL.attach_lora(base, lora, seed=1)
    if gradient_checkpointing:
        peft.gradient_checkpointing_enable({"use_reentrant": False})
    model: TrainableModel = CAUSAL.wrap(peft)
    parameters = trainable_parameters(peft)
    wrapped: Any = model.train()
    return TorchEngine(
        model,
        wrapped=wrapped,
        parameters=parameters,
        optimizer=make_optimizer(parameters, train=Train(max_steps=1), lora=lora),
    )


def packed_rows(*, rows: int, tokens: int, document: int, vocabulary: int) -> PackedSplit:
    """Return packed rows of random tokens in documents of the same length, all supervised."""
    segments_NT = np.tile((np.arange(tokens) // document + 1).astype(np.int32), (rows, 1))
    supervised_NT = np.ones((rows, tokens), np.uint8)
    supervised_NT[:, ::document] = 0
    drawn = np.random.default_rng(0).integers(10, vocabulary, (rows, tokens))
    nothing = np.zeros(0, DOCUMENT_DTYPE)
    return PackedSplit(
        drawn.astype(np.uint32), segments_NT, supervised_NT, nothing, ("und_Latn",), ("random",)
    )
