"""A trial of an architecture that is not known here: are packed documents kept apart?

That is a property of the architecture, not of its weights, type or device: a small copy of the
configuration is tried, with random weights, in float32 on the CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from finetune.errors import FinetuneError
from finetune.models.attention.packed_batch import PackedBatch, pack_rows

_LENGTHS = (11, 13)
_WINDOW = 4
"""Windows and chunks of the copy: shorter than the documents, so that they matter."""
_HEADS, _VOCABULARY, _INNER = 2, 64, 64
_SPREAD = 0.2
"""Standard deviation of the copy's weights: large, so that attention matters."""
_TOLERANCE = 1e-4
"""In nats. Rounding in float32 is far less, what another document does far more."""
_FAULTS = (
    FinetuneError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of a copy that cannot be made, and of a model that does not take our attention."""


@torch.no_grad()
def keeps_documents_apart(causal: Any, nll_of: Callable[[Any, PackedBatch], Tensor]) -> bool:
    """Return whether `nll_of`, which packs, finds in a small copy what its own forward finds.

    False, too, if no copy can be made or run.
    """
    try:
        small = small_copy(causal)
        documents = [np.arange(n) * 7 % _VOCABULARY for n in _LENGTHS]
        wanted = torch.cat([_plain_nll(small, torch.from_numpy(d)) for d in documents])
        found = nll_of(small, _packed(documents))
    except _FAULTS:
        return False
    return bool((found - wanted).abs().max() <= _TOLERANCE)


def small_copy(causal: Any) -> Any:
    """Return a random model of the same architecture with a layer of each kind, narrow."""
    config = copy.deepcopy(causal.config)
    _shrink(config.get_text_config())
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        small = type(causal)(config).float().eval()
    for parameter in small.parameters():
        if parameter.dim() > 1:
            parameter.mul_(_SPREAD / parameter.std().clamp(min=1e-6))
    return small


def _shrink(config: Any) -> None:
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = getattr(config, "num_key_value_heads", None)
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or []))
    kinds = kinds * 2 if len(kinds) == 1 else kinds
    wanted = {
        "layer_types": kinds or None,
        "num_hidden_layers": len(kinds) or 2,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS if keys == heads else 1,
        "hidden_size": _HEADS * width,
        "intermediate_size": _INNER,
        "moe_intermediate_size": _INNER,
        "vocab_size": _VOCABULARY,
        "sliding_window": _WINDOW,
        "attention_chunk_size": _WINDOW,
        "pad_token_id": None,
    }
    for name, value in wanted.items():
        if getattr(config, name, None) is not None:
            setattr(config, name, value)


def _plain_nll(model: Any, tokens: Tensor) -> Tensor:
    logits = model(input_ids=tokens[None], use_cache=False).logits[0, :-1].float()
    return cross_entropy(logits, tokens[1:], reduction="none")


def _packed(documents: list[np.ndarray[Any, Any]]) -> PackedBatch:
    segments = np.repeat(np.arange(len(documents), dtype=np.int32) + 1, _LENGTHS)[None]
    supervised = np.ones_like(segments)
    supervised[0, np.cumsum((0, *_LENGTHS[:-1]))] = 0
    return pack_rows(np.concatenate(documents)[None], segments, supervised, rows=(0,), device="cpu")
