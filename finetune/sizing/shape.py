"""The shape of a decoder from its `config.json`: layers and parameter counts.

Counted from the numbers in the file alone, without torch. Architectures in `KNOWN` are counted
exactly (tests/unit/sizing/test_shape.py compares with transformers and PEFT); any other one that
has the usual keys is counted as a Llama, with a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.spec.sections.training import Lora

Reads = Literal["attention", "heads", "mlp", "inner", "hidden"]
"""Input of a linear layer; layers that read the same tensor share it."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer, by its name within a decoder layer (or in the model, for the head)."""

    name: str
    inputs: int
    outputs: int
    reads: Reads
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Weights and bias."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder-only language model in numbers."""

    model_type: str
    exact: bool
    """True if the architecture is known, so that counts are exact."""
    layers: int
    hidden: int
    heads: int
    key_heads: int
    head_width: int
    inner: int
    """Width of the MLP (of one expert)."""
    vocabulary: int
    linears: tuple[Linear, ...]
    """Linear layers of one decoder layer that are no experts."""
    head: Linear
    tied: bool
    """True if the head is the embedding."""
    block_norms: int = 2
    """Norms of the residual stream in a layer."""
    norms_queries: bool = False
    """True if queries and keys are normalised head by head."""
    layer_norm: bool = False
    """LayerNorm with a bias instead of RMSNorm."""
    experts: int = 0
    experts_per_token: int = 0
    positions: int = 0
    """Learned positions; 0 where they are rotary."""
    soft_capped: bool = False
    """True if logits go through a tanh."""
    new_tokens: int = 0
    """Tokens that a recipe adds; their rows are trained."""

    @property
    def row_parameters(self) -> int:
        """Parameters of the rows of new tokens, in the embedding and in a head of its own."""
        return self.new_tokens * self.hidden * (1 if self.tied else 2)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Features of an architecture that are not in its configuration."""

    head_width: int | None = None
    query_bias: bool = False
    block_norms: int = 2
    norms_queries: bool = False
    tied: bool = False
    joined: bool = False
    """One matrix for queries, keys and values, and one for gate and up (Phi-3)."""


KNOWN: Mapping[str, _Kind] = {
    "llama": _Kind(),
    "mistral": _Kind(),
    "mixtral": _Kind(),
    "smollm3": _Kind(tied=True),
    "qwen2": _Kind(query_bias=True),
    "qwen3": _Kind(head_width=128, norms_queries=True),
    "gemma": _Kind(head_width=256, tied=True),
    "gemma2": _Kind(head_width=256, tied=True, block_norms=4),
    "gemma3_text": _Kind(head_width=256, tied=True, block_norms=4, norms_queries=True),
    "phi3": _Kind(joined=True),
    "gpt2": _Kind(tied=True),
}


def model_shape(config: Mapping[str, Any], *, source: str = "config.json") -> ModelShape:
    """Read a transformers configuration. RecipeError if it is no decoder that can be counted."""
    inner = config.get("text_config")
    outer, config = config, inner if inner and isinstance(inner, Mapping) else config
    model_type = str(config.get("model_type", "unknown"))
    if model_type == "gpt2":
        return _gpt2(config, source=source)
    needed = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    numbers = _numbers(config, (*needed, "vocab_size"), source=source)
    hidden, layers, heads, inner, vocabulary = numbers
    kind = KNOWN.get(model_type, _Kind())
    head_width = config.get("head_dim") or kind.head_width or hidden // heads
    key_heads = config.get("num_key_value_heads") or heads
    experts = int(config.get("num_local_experts") or 0)
    shape = ModelShape(
        model_type=model_type,
        exact=model_type in KNOWN and config is outer,  # what reads pictures is not counted
        layers=layers,
        hidden=hidden,
        heads=heads,
        key_heads=int(key_heads),
        head_width=int(head_width),
        inner=inner,
        vocabulary=vocabulary,
        linears=(),
        head=Linear("lm_head", hidden, vocabulary, "hidden"),
        tied=bool(config.get("tie_word_embeddings", kind.tied)),
        block_norms=kind.block_norms,
        norms_queries=kind.norms_queries,
        experts=experts,
        experts_per_token=int(config.get("num_experts_per_tok") or 0) if experts else 0,
        soft_capped=_soft_cap(config, model_type) is not None,
    )
    biases = (
        kind.query_bias or bool(config.get("attention_bias")),
        bool(config.get("attention_bias")),
        bool(config.get("mlp_bias")),
    )
    linears = _joined(shape) if kind.joined else _separate(shape, *biases)
    return replace(shape, linears=linears)


def base_parameters(shape: ModelShape) -> int:
    """Return the parameters of the base; a head that is the embedding counts once."""
    return (
        shape.layers * layer_parameters(shape)
        + embedding_parameters(shape)
        + _norm(shape)
        + (0 if shape.tied else shape.head.parameters)
    )


def layer_parameters(shape: ModelShape) -> int:
    """Return the parameters of one decoder layer."""
    queries = 2 * shape.head_width if shape.norms_queries else 0
    linear = sum(linear.parameters for linear in shape.linears)
    return linear + expert_parameters(shape) + shape.block_norms * _norm(shape) + queries


def linear_parameters(shape: ModelShape) -> int:
    """Return the weights, without biases, of a layer's linear layers: what can be quantised."""
    return sum(linear.inputs * linear.outputs for linear in shape.linears)


def expert_parameters(shape: ModelShape) -> int:
    """Return the parameters of all experts of one layer and of the router that chooses."""
    return shape.experts * (3 * shape.hidden * shape.inner + shape.hidden)


def embedding_parameters(shape: ModelShape) -> int:
    """Return the parameters of the tables of words and of positions."""
    return (shape.vocabulary + shape.positions) * shape.hidden


def targeted(shape: ModelShape, lora: Lora) -> tuple[Linear, ...]:
    """Return the linear layers of one decoder layer that get an update.

    RecipeError if a target is the end of no layer's name.
    """
    if lora.target_modules == "all-linear":
        return shape.linears
    known = (*shape.linears, shape.head)
    unknown = [t for t in lora.target_modules if not any(_is_called(linear, t) for linear in known)]
    if unknown:
        names = list(dict.fromkeys(linear.name.rpartition(".")[2] for linear in known))
        raise RecipeError(
            *(
                problem(
                    "no-such-layer",
                    "a {model_type} model has no linear layer {name!r}; it has: {names} (or write "
                    "all-linear)",
                    at=Place(key="lora.target_modules"),
                    model_type=shape.model_type,
                    name=name,
                    names=names,
                )
                for name in unknown
            )
        )
    return tuple(
        linear
        for linear in shape.linears
        if any(_is_called(linear, t) for t in lora.target_modules)
    )


def head_is_targeted(shape: ModelShape, lora: Lora) -> bool:
    """Return whether the head gets an update; `all-linear` leaves it out."""
    return lora.target_modules != "all-linear" and any(
        _is_called(shape.head, t) for t in lora.target_modules
    )


def adapter_parameters(shape: ModelShape, lora: Lora) -> dict[str, int]:
    """Return the adapter's parameters by the name of what is updated, over all layers."""
    found = {linear.name: shape.layers * _update(linear, lora) for linear in targeted(shape, lora)}
    if head_is_targeted(shape, lora):
        found[shape.head.name] = _update(shape.head, lora)
    if shape.experts and lora.target_modules == "all-linear":
        found["mlp.experts"] = shape.layers * _experts_update(shape, lora)
    if shape.new_tokens:
        found["new tokens"] = shape.row_parameters
    return found


def _update(linear: Linear, lora: Lora) -> int:
    magnitude = linear.outputs if lora.dora else 0
    return lora.rank * (linear.inputs + linear.outputs) + magnitude


def _experts_update(shape: ModelShape, lora: Lora) -> int:
    """PEFT gives each expert its own update: twice the rank where gate and up are one matrix."""
    gate_up = 2 * lora.rank * (shape.hidden + 2 * shape.inner)
    down = lora.rank * (shape.inner + shape.hidden)
    router = lora.rank * (shape.hidden + shape.experts)
    return shape.experts * (gate_up + down) + router


def _is_called(linear: Linear, target: str) -> bool:
    return linear.name == target or linear.name.endswith(f".{target}")


def _norm(shape: ModelShape) -> int:
    return 2 * shape.hidden if shape.layer_norm else shape.hidden


def _separate(
    shape: ModelShape, query_bias: bool, output_bias: bool, mlp_bias: bool
) -> tuple[Linear, ...]:
    hidden, inner = shape.hidden, shape.inner
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    attention = (
        Linear("self_attn.q_proj", hidden, queries, "attention", query_bias),
        Linear("self_attn.k_proj", hidden, keys, "attention", query_bias),
        Linear("self_attn.v_proj", hidden, keys, "attention", query_bias),
        Linear("self_attn.o_proj", queries, hidden, "heads", output_bias),
    )
    if shape.experts:
        return attention
    return (
        *attention,
        Linear("mlp.gate_proj", hidden, inner, "mlp", mlp_bias),
        Linear("mlp.up_proj", hidden, inner, "mlp", mlp_bias),
        Linear("mlp.down_proj", inner, hidden, "inner", mlp_bias),
    )


def _joined(shape: ModelShape) -> tuple[Linear, ...]:
    hidden, inner = shape.hidden, shape.inner
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    return (
        Linear("self_attn.qkv_proj", hidden, queries + 2 * keys, "attention"),
        Linear("self_attn.o_proj", queries, hidden, "heads"),
        Linear("mlp.gate_up_proj", hidden, 2 * inner, "mlp"),
        Linear("mlp.down_proj", inner, hidden, "inner"),
    )


def _gpt2(config: Mapping[str, Any], *, source: str) -> ModelShape:
    names = ("n_embd", "n_layer", "n_head", "n_positions", "vocab_size")
    hidden, layers, heads, positions, vocabulary = _numbers(config, names, source=source)
    inner = int(config.get("n_inner") or 4 * hidden)
    return ModelShape(
        model_type="gpt2",
        exact=True,
        layers=layers,
        hidden=hidden,
        heads=heads,
        key_heads=heads,
        head_width=hidden // heads,
        inner=inner,
        vocabulary=vocabulary,
        linears=(
            Linear("attn.c_attn", hidden, 3 * hidden, "attention", bias=True),
            Linear("attn.c_proj", hidden, hidden, "heads", bias=True),
            Linear("mlp.c_fc", hidden, inner, "mlp", bias=True),
            Linear("mlp.c_proj", inner, hidden, "inner", bias=True),
        ),
        head=Linear("lm_head", hidden, vocabulary, "hidden"),
        tied=bool(config.get("tie_word_embeddings", True)),
        layer_norm=True,
        positions=positions,
    )


def _soft_cap(config: Mapping[str, Any], model_type: str) -> float | None:
    default = 30.0 if model_type == "gemma2" else None
    cap: float | None = config.get("final_logit_softcapping", default)
    return cap


def _numbers(config: Mapping[str, Any], names: tuple[str, ...], *, source: str) -> tuple[int, ...]:
    missing = [name for name in names if not _is_size(config.get(name))]
    optional = ("head_dim", "num_key_value_heads", "num_local_experts", "num_experts_per_tok")
    missing += [n for n in (*optional, "n_inner") if config.get(n) and not _is_size(config[n])]
    if missing:
        raise RecipeError(
            problem(
                "unknown-architecture",
                "model_type {model_type!r} without a usable {missing}: not a decoder with a size "
                "in its configuration. Known architectures: {known}",
                at=Place(source),
                model_type=str(config.get("model_type", "unknown"))[:100],
                missing=missing,
                known=list(KNOWN),
            )
        )
    return tuple(int(config[name]) for name in names)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**40
