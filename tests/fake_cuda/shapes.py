"""Bases of five architectures in three sizes, on a fake GPU.

Widths are those of published models (SmolLM2-135M, Llama-3 8B and 70B); other architectures have
the same widths with their own layers, and head widths of their own (Gemma-3: 256). Layers are few:
what is measured is linear in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bitsandbytes as bnb
import torch
import transformers as hf
from bitsandbytes.functional import QuantState
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily

from finetune.spec.sections.training import Precision

DTYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
LAYERS = 2
SIZES: Mapping[str, Mapping[str, int]] = {
    "135M": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "8B": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "70B": {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
}
KINDS: Mapping[str, tuple[Any, Any, Mapping[str, Any]]] = {
    "llama": (hf.LlamaConfig, hf.LlamaForCausalLM, {}),
    "qwen3": (hf.Qwen3Config, hf.Qwen3ForCausalLM, {"head_dim": 128}),
    "gemma3": (
        hf.Gemma3TextConfig,
        hf.Gemma3ForCausalLM,
        {"head_dim": 256, "sliding_window": 1024, "tie_word_embeddings": True},
    ),
    "mistral": (hf.MistralConfig, hf.MistralForCausalLM, {"sliding_window": 4096}),
    "mixtral": (
        hf.MixtralConfig,
        hf.MixtralForCausalLM,
        {"num_local_experts": 8, "num_experts_per_tok": 2},
    ),
}


def config_of(kind: str, size: str, *, layers: int = LAYERS) -> dict[str, Any]:
    """Return what stands in `config.json`."""
    config_class, _, own = KINDS[kind]
    tied = {"tie_word_embeddings": size == "135M"}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    config = {"num_hidden_layers": layers, "max_position_embeddings": 131072, **ends}
    return {
        "model_type": config_class.model_type,
        **config,
        **SIZES[size],
        **tied,
        **own,
    }


def base_of(config: Mapping[str, Any], *, kind: str, precision: Precision, packed: bool) -> Any:
    """Return a frozen base on the fake GPU, as `load_base` leaves it; `packed`: in 4 bit."""
    config_class, model_class, _ = KINDS[kind]
    settings = config_class(**{k: v for k, v in config.items() if k != "model_type"})
    settings._attn_implementation = "sdpa"
    before = torch.get_default_dtype()
    torch.set_default_dtype(DTYPES[precision])
    try:
        with torch.device("cuda"):
            model = model_class(settings)
    finally:
        torch.set_default_dtype(before)
    model.tie_weights()
    if packed:
        _pack(model, compute=DTYPES[precision])
    return model.requires_grad_(False).eval()


class Params4bit(FakeTensor):
    """A fake of bitsandbytes' class, which PEFT knows by its name."""


def _pack(model: Any, *, compute: torch.dtype) -> None:
    """Put bitsandbytes' own 4-bit layers, with fake weights, where transformers would put them."""
    head = model.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child is not head:
                setattr(module, name, _packed(child, compute=compute))
    model.is_quantized = model.is_loaded_in_4bit = True
    model.quantization_method = "bitsandbytes"


def _packed(linear: Any, *, compute: torch.dtype) -> nn.Module:
    shape, count = linear.weight.shape, linear.weight.numel()
    with unset_fake_temporarily(), torch.device("meta"):
        halves = torch.empty(-(-count // 2), 1, dtype=torch.uint8)
        layer: Any = bnb.nn.modules.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=compute,
            compress_statistics=True,
            quant_type="nf4",
        )
    weight: Any = Params4bit(linear.weight.fake_mode, halves, "cuda:0")
    weight._is_param = True
    weight.compress_statistics, weight.quant_type = True, "nf4"
    weight.bnb_quantized, weight.module = True, layer
    weight.quant_state = _state(shape, count, compute=compute)
    layer.weight, layer.bias = weight, linear.bias
    layer.quant_state = weight.quant_state
    layer.__deepcopy__ = lambda _: layer  # for DoRA: there are no numbers to copy
    return layer


def _state(shape: torch.Size, count: int, *, compute: torch.dtype) -> QuantState:
    """Return the state of NF4 with double quantisation: blocks of 64, their scales by 256."""
    blocks = -(-count // 64)
    scales = QuantState(
        absmax=_on_gpu(-(-blocks // 256)),
        code=_on_gpu(256),
        blocksize=256,
        dtype=torch.float32,
    )
    return QuantState(
        absmax=_on_gpu(blocks, dtype=torch.uint8),
        shape=shape,
        code=_on_gpu(16),
        blocksize=64,
        quant_type="nf4",
        dtype=compute,
        offset=_on_gpu(),
        state2=scales,
    )


def _on_gpu(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="cuda")


def weights_of(model: nn.Module) -> list[Tensor]:
    """Return every tensor that a base holds, scales of 4 bit included."""
    held: list[Tensor] = [*model.parameters(), *model.buffers()]
    for module in model.modules():
        state = getattr(module, "quant_state", None)
        if state is not None:
            held += [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    return held
