"""Generation for many prompts: continuous batching where a model's layers are known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from finetune.messages import Sentence, sentence
from finetune.models.decode import row_attention
from finetune.models.decode.by_transformers import write_in_batches
from finetune.models.decode.continuous import (
    LOOK_EVERY,
    PROMPT_TOKENS,
    OnTokens,
    write_continuously,
)
from finetune.models.decode.folded_layers import folded
from finetune.models.decode.next_tokens import Decoding
from finetune.models.packed_model import causal_lm_of
from finetune.models.template import encode, stop_token_ids
from finetune.sizing.policy import DOCUMENT_ATTENTION

__all__ = ["BATCH_ROWS", "Decoding", "batch_shape", "context_tokens", "generate", "write_tokens"]

BATCH_ROWS = {"cpu": 64, "cuda": 64}
"""Prompts that are answered at a time. Fixed, not measured: the size of a batch changes the last
bits of a logit, and the same recipe must give the same text on the same machine."""
_LOG = logging.getLogger(__name__)


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    *,
    decoding: Decoding,
    batch_size: int,
    on_progress: Callable[[float, int], None] | None = None,
    on_text: Callable[[int, str], None] | None = None,
) -> list[str]:
    """Return the continuation of each prompt, without stop tokens, surrounding space cut.

    `model` is a PackedModel, a PEFT model or a plain one. Prompts are already laid out with the
    chat template. `batch_size` prompts are answered at a time; the order of the answers is
    that of the prompts. `on_progress` is called with (prompts done, prompts in all), `on_text` with
    (prompt, text so far) while an answer is written; its end may be half a character (U+FFFD).
    """

    def text_of(tokens: Sequence[int]) -> str:
        text: str = tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    stops = stop_token_ids(tokenizer)
    written = write_tokens(
        model,
        [encode(tokenizer, prompt) for prompt in prompts],
        decoding=decoding,
        stops=stops,
        pad=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0],
        batch_size=batch_size,
        on_progress=on_progress,
        on_tokens=None if on_text is None else lambda n, tokens: on_text(n, text_of(tokens)),
    )
    return [text_of(tokens) for tokens in written]


@torch.no_grad()
def write_tokens(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    decoding: Decoding,
    stops: Sequence[int],
    pad: int,
    batch_size: int,
    on_progress: Callable[[float, int], None] | None = None,
    on_tokens: OnTokens | None = None,
) -> list[list[int]]:
    """Return the tokens that a model writes after each prompt, up to and without a stop token."""
    causal: Any = causal_lm_of(model)
    was_training = causal.training
    causal.eval()
    try:
        why = why_by_transformers(causal)
        if why is not None:
            said = sentence(
                "generating with transformers, {rows} prompts at a time: {why}",
                rows=batch_size,
                why=why,
            )
            _LOG.warning("%s", said)
            return write_in_batches(
                causal,
                prompts,
                decoding=decoding,
                stops=stops,
                pad=pad,
                rows=batch_size,
                on_progress=on_progress,
                on_tokens=on_tokens,
            )
        rows = min(batch_size, len(prompts))
        with _row_attention(causal), folded(causal, rows=rows):
            return write_continuously(
                causal,
                prompts,
                decoding=decoding,
                stops=stops,
                rows=rows,
                on_progress=on_progress,
                on_tokens=on_tokens,
            )
    finally:
        causal.train(was_training)


def why_by_transformers(causal: Any) -> Sentence | None:
    """Return why transformers itself has to write; None where attention and positions are known."""
    kind = causal.config.model_type
    if kind not in DOCUMENT_ATTENTION:
        return sentence("the architecture {kind} is not known here", kind=kind)
    scalings = str(getattr(causal.config.get_text_config(), "rope_parameters", None))
    for scaling in ("dynamic", "longrope"):
        if scaling in scalings:  # frequencies follow the longest sequence of a batch
            return sentence("its positions are scaled by {scaling}", scaling=scaling)
    parameters = list(causal.parameters())
    if any(hasattr(one, "ds_id") or hasattr(one, "placements") for one in parameters):
        return sentence("its weights are sharded")
    return None


def batch_shape(device: str) -> dict[str, int]:
    """Return what fixes the shapes of forward passes in generation, for a signature."""
    return {
        "rows": BATCH_ROWS[device],
        "prompt_tokens": PROMPT_TOKENS[device],
        "look_every": LOOK_EVERY[device],
    }


def context_tokens(model: Any) -> int | None:
    """Return the tokens that prompt and answer may have together; None if there is no limit."""
    config: Any = causal_lm_of(model).config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


@contextmanager
def _row_attention(causal: Any) -> Iterator[None]:
    row_attention.register()
    before = causal.config._attn_implementation
    causal.set_attn_implementation(row_attention.NAME)
    try:
        yield
    finally:
        causal.set_attn_implementation(before)
