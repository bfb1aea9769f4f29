"""Architectures of bases that can be written in GGUF, and their names of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.sources.model_folder import read_object

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Architecture:
    """Form of a model type of transformers in llama.cpp."""

    name: str
    """The key of `gguf.MODEL_ARCH`, in lower case: `general.architecture`."""
    permuted: bool = False
    """Rotary pairs lie side by side in the rows of q and k, as in Meta's own files; transformers
    has them half a head apart."""
    norm_shift: float = 0.0
    """Added to the weights of norms, which multiply by 1 + weight."""
    tied: bool = False
    """The head is always the embedding; a head of its own has no place."""


ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("llama", permuted=True),
    "mistral": Architecture("llama", permuted=True),
    "qwen2": Architecture("qwen2"),
    "qwen3": Architecture("qwen3"),
    "gemma2": Architecture("gemma2", norm_shift=1.0, tied=True),
    "gemma3_text": Architecture("gemma3", norm_shift=1.0, tied=True),
}
"""`model_type` in the config.json of a base -> its row."""
_HEAD_COUNTS = {
    "self_attn.q_proj": "num_attention_heads",
    "self_attn.k_proj": "num_key_value_heads",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of one base: its configuration, architecture and names."""

    config: Mapping[str, Any]
    architecture: Architecture
    names: Any
    """Of `gguf.get_tensor_name_map`."""

    @property
    def tied(self) -> bool:
        """True if the embedding is the head, too."""
        return self.architecture.tied or bool(self.config.get("tie_word_embeddings"))

    def name_of(self, name: str) -> str | None:
        """Return the GGUF name of a tensor of transformers, with `.weight`; None without one."""
        found: str | None = self.names.get_name(name, try_suffixes=(".weight", ".bias"))
        return found

    def rows(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor whose first dimension are output rows, in the order of GGUF.

        As `LlamaModel.permute` of llama.cpp's converter.
        """
        layer = name.rpartition(".")[0]
        heads = next((key for end, key in _HEAD_COUNTS.items() if layer.endswith(end)), None)
        if heads is None or not self.architecture.permuted:
            return tensor
        count = int(self.config.get(heads) or self.config["num_attention_heads"])
        shape = tensor.shape
        halves = tensor.reshape(count, 2, shape[0] // count // 2, *shape[1:])
        return halves.swapaxes(1, 2).reshape(shape)


def layout_of(base: Path) -> Layout:
    """Return the layout of a base's folder. ReleaseError for an architecture without a row."""
    import gguf

    config = read_object(base / "config.json")
    row = ARCHITECTURES.get(str(config.get("model_type")))
    if row is None:
        raise ReleaseError(
            problem(
                "gguf-architecture",
                "a {model_type} base cannot be written in GGUF here ({known}); export it with "
                "--format merged and use a converter of llama.cpp on the folder",
                at=Place(key="base.model"),
                model_type=str(config.get("model_type")),
                known=", ".join(ARCHITECTURES),
            )
        )
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == row.name)
    return Layout(config, row, gguf.get_tensor_name_map(arch, int(config["num_hidden_layers"])))
