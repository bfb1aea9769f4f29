"""A whole model as a GGUF file: settings, tokenizer and tensors, in 16 or fewer bits.

Names, row order and settings are those of llama.cpp's converter (convert_hf_to_gguf.py);
tests/parity/test_gguf_model.py compares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.release.exports.gguf.architectures import Layout, layout_of
from finetune.release.exports.gguf.general_keys import Identity, write_identity
from finetune.release.exports.gguf.written_tokenizer import write_tokenizer

if TYPE_CHECKING:
    import torch

TYPES: Mapping[str, tuple[str, str]] = {
    "f16": ("F16", "MOSTLY_F16"),
    "f32": ("F32", "ALL_F32"),
    "bf16": ("BF16", "MOSTLY_BF16"),
    "q8_0": ("Q8_0", "MOSTLY_Q8_0"),
    "q5_1": ("Q5_1", "MOSTLY_Q5_1"),
    "q5_0": ("Q5_0", "MOSTLY_Q5_0"),
    "q4_1": ("Q4_1", "MOSTLY_Q4_1"),
    "q4_0": ("Q4_0", "MOSTLY_Q4_0"),
}
"""Types of gguf's own quantizer: of matrices, of the file. The embedding has 8 bits at least."""
_EMBEDDING = ("token_embd.weight", "output.weight")
_ROPE = ("default", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """Texts around the texts of a model."""

    tokenizer: Path
    """Folder of tokenizer.json."""
    opened: bool
    """True if a text begins with the bos token."""
    template: str | None = None
    """Chat template (Jinja)."""


def write_model(
    model: Path, file: Path, *, identity: Identity, prompting: Prompting, type_: str = "f16"
) -> int:
    """Write the model in a folder of transformers as a GGUF file; return the number of tensors.

    `type_`: a name in `TYPES`. Raises ReleaseError for an architecture, a scaling of positions or a
    tokenizer that is not written here.
    """
    import gguf

    layout = layout_of(model)
    writer = gguf.GGUFWriter(file, layout.architecture.name)
    matrix, whole = TYPES[type_]
    try:
        writer.add_type(gguf.GGUFType.MODEL)
        write_identity(writer, identity)
        _write_settings(writer, layout)
        writer.add_file_type(gguf.LlamaFileType[whole])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        write_tokenizer(
            writer,
            prompting.tokenizer,
            rows=int(layout.config["vocab_size"]),
            opened=prompting.opened,
            template=prompting.template,
        )
        count = 0
        for name, tensor in _tensors(layout, model):
            kind = _type_of(name, tensor, gguf.GGMLQuantizationType[matrix])
            values = tensor.float().numpy()
            if kind != gguf.GGMLQuantizationType.F32:
                values = gguf.quantize(values, kind)
            writer.add_tensor(name, values, raw_dtype=kind)
            count += 1
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return count


def _type_of(name: str, tensor: torch.Tensor, wanted: Any) -> Any:
    """Return the type of a tensor: vectors stay in 32 bits, rows that no block fits in 16."""
    import gguf

    types = gguf.GGMLQuantizationType
    if tensor.dim() == 1:
        return types.F32
    if name in _EMBEDDING and wanted not in (types.F32, types.F16, types.BF16):
        wanted = types.Q8_0
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if tensor.shape[-1] % block == 0 else types.F16


def _tensors(layout: Layout, model: Path) -> Iterator[tuple[str, torch.Tensor]]:
    from safetensors import safe_open

    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118, it is no mapping
                if name == "lm_head.weight" and layout.tied:
                    continue
                target = layout.name_of(name)
                if target is None:
                    raise ReleaseError(
                        problem(
                            "gguf-tensor",
                            "{name} has no place in GGUF; export with --format merged",
                            at=Place(path.name),
                            name=name,
                        )
                    )
                tensor = layout.rows(name, file.get_tensor(name).float())
                if name.endswith("norm.weight"):
                    tensor = tensor + layout.architecture.norm_shift
                yield target, tensor.contiguous()
    if factors := _rope_factors(layout):
        import torch

        yield "rope_freqs.weight", torch.tensor(factors)


def _write_settings(writer: Any, layout: Layout) -> None:
    config, name = layout.config, layout.architecture.name
    heads = int(config["num_attention_heads"])
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))
    size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    if config.get("head_dim"):
        writer.add_key_length(size)
        writer.add_value_length(size)
    if name == "llama":
        writer.add_rope_dimension_count(size)
    rope = rope_of(config)
    if "rope_theta" in rope:
        writer.add_rope_freq_base(float(rope["rope_theta"]))
    sliding = (config.get("rope_parameters") or {}).get("sliding_attention")
    if sliding and "rope_theta" in sliding:
        writer.add_float32(f"{name}.rope.freq_base_swa", float(sliding["rope_theta"]))
    if name.startswith("gemma"):
        if config.get("sliding_window"):
            writer.add_sliding_window(int(config["sliding_window"]))
        if config.get("attn_logit_softcapping"):
            writer.add_attn_logit_softcapping(float(config["attn_logit_softcapping"]))
        if config.get("final_logit_softcapping"):
            writer.add_final_logit_softcapping(float(config["final_logit_softcapping"]))


def rope_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of rotary positions, of layers with full attention.

    Raises ReleaseError for a scaling other than Llama 3's.
    """
    found = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    found = dict(found.get("full_attention") or found)
    if "rope_theta" not in found and config.get("rope_theta"):
        found["rope_theta"] = config["rope_theta"]
    kind = found.get("rope_type", found.get("type"))
    if kind not in (*_ROPE, "llama3"):
        raise ReleaseError(
            problem(
                "gguf-positions",
                "positions scaled by {kind!r} are not written in GGUF here; export with --format "
                "merged",
                at=Place(key="base.model"),
                kind=str(kind),
            )
        )
    return found


def _rope_factors(layout: Layout) -> list[float]:
    """Return the factor of each rotary frequency of Llama 3; [] for others."""
    import math

    rope = rope_of(layout.config)
    if rope.get("rope_type") != "llama3":
        return []
    heads = int(layout.config["num_attention_heads"])
    size = int(layout.config.get("head_dim") or int(layout.config["hidden_size"]) // heads)
    factor, low, high = (rope[k] for k in ("factor", "low_freq_factor", "high_freq_factor"))
    length = rope["original_max_position_embeddings"]
    factors = []
    for index in range(0, size, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (index / size)
        if wave < length / high:
            factors.append(1.0)
        elif wave > length / low:
            factors.append(float(factor))
        else:
            smooth = (length / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors
