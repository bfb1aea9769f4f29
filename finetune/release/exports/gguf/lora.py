"""Export `gguf-lora`: the adapter as a LoRA file that llama.cpp loads on top of a GGUF base.

Names, row order and numbers are those of llama.cpp's own converter (convert_lora_to_gguf.py), to
which tests/parity/test_gguf_lora.py compares them bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from finetune.errors import ReleaseError
from finetune.release.exports.gguf.architectures import Layout, layout_of
from finetune.release.exports.gguf.general_keys import Identity, write_identity
from finetune.release.exports.gguf.lora_limits import of_a_shared_weight, refuse_beyond_lora
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_object

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

Precision = Literal["f32", "f16"]
_PEFT = "base_model.model."
_SHARED = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class Written:
    """A LoRA GGUF."""

    tensors: int
    rank: int
    alpha: float
    """With rsLoRA folded in: llama.cpp multiplies by alpha / rank."""


def write_lora(
    base: Path, adapter: Path, file: Path, *, identity: Identity, precision: Precision = "f16"
) -> Written:
    """Write the adapter in a PEFT folder as a LoRA GGUF for its base's GGUF.

    Raises ReleaseError for an architecture that is not written here, for what a LoRA GGUF cannot
    hold, and for matrices of a weight that the base's GGUF does not have.
    """
    import gguf

    refuse_beyond_lora(adapter)
    layout = layout_of(base)
    config = read_object(adapter / ADAPTER_CONFIG)
    alpha, rank = llama_alpha(config), int(config["r"])
    tensors = dict(_tensors(layout, _weights(adapter), precision=precision))
    writer = gguf.GGUFWriter(file, layout.architecture.name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    write_identity(writer, identity)
    types = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16}
    writer.add_file_type(types[precision])
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return Written(len(tensors), rank, alpha)


def llama_alpha(config: Mapping[str, Any]) -> float:
    """Return the alpha with which alpha / rank is the scale of an adapter of PEFT.

    rsLoRA (Kalajdzievski 2023) scales by alpha / sqrt(rank), which llama.cpp does not know.

    >>> llama_alpha({"lora_alpha": 32, "r": 16})
    32.0
    >>> llama_alpha({"lora_alpha": 32, "r": 16, "use_rslora": True})
    128.0
    """
    alpha = float(config["lora_alpha"])
    return alpha * math.sqrt(int(config["r"])) if config.get("use_rslora") else alpha


def _weights(adapter: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(adapter / ADAPTER_WEIGHTS)


def _tensors(
    layout: Layout, weights: Mapping[str, torch.Tensor], *, precision: Precision
) -> Iterator[tuple[str, NDArray[np.float32 | np.float16]]]:
    """Yield names and values, A (rank, in) and B (out, rank) of each weight."""
    import torch

    dtype = {"f32": torch.float32, "f16": torch.float16}[precision]
    for name, tensor in weights.items():
        layer, _, matrix = name.removeprefix(_PEFT).removesuffix(".weight").rpartition(".lora_")
        weight = f"{layer}.weight"
        target = layout.name_of(weight)
        if target is None or (weight == _SHARED and layout.tied):
            raise ReleaseError(of_a_shared_weight(weight))
        values = tensor.float()
        if matrix == "B":
            values = layout.rows(weight, values)
        yield f"{target}.lora_{matrix.lower()}", values.to(dtype).contiguous().numpy()
