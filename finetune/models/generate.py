"""Batched generation with left padding: greedy, or sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finetune.models.packed_model import causal_lm_of
from finetune.models.template import encode, stop_token_ids


@dataclass(frozen=True, slots=True)
class Decoding:
    """Generation settings."""

    max_new_tokens: int
    min_new_tokens: int | None = None
    temperature: float = 0.0
    """0 is greedy; above it answers are sampled (nucleus 0.95)."""
    barred: Sequence[int] = ()
    """Tokens that are never written."""


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    *,
    decoding: Decoding,
    batch_size: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the continuation of each prompt, without stop tokens, surrounding space cut.

    `model` is a PackedModel, a PEFT model or a plain one. Prompts are already laid out with the
    chat template. Prompts of about the same length share a batch; the order of the answers is
    that of the prompts. `on_progress` is called with (prompts done, prompts in all).
    """
    from transformers import GenerationConfig

    causal: Any = causal_lm_of(model)
    stops = stop_token_ids(tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    manner: dict[str, Any] = {"do_sample": False}
    if decoding.temperature > 0:
        manner = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 0.95}
    config = GenerationConfig(
        **manner,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=decoding.max_new_tokens,
        min_new_tokens=decoding.min_new_tokens,
        eos_token_id=stops,
        pad_token_id=pad,
        bos_token_id=tokenizer.bos_token_id,
        suppress_tokens=list(decoding.barred) or None,
    )
    ids = [encode(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: (-len(ids[i]), i))
    answers = [""] * len(ids)
    was_training = causal.training
    causal.eval()
    try:
        for begin in range(0, len(order), batch_size):
            group = order[begin : begin + batch_size]
            tokens, mask = _left_padded([ids[i] for i in group], pad)
            out = causal.generate(
                input_ids=tokens.to(causal.device),
                attention_mask=mask.to(causal.device),
                generation_config=config,
            )
            for i, row in zip(group, out[:, tokens.shape[1] :].tolist(), strict=True):
                end = next((k for k, token in enumerate(row) if token in stops), len(row))
                answers[i] = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
            if on_progress is not None:
                on_progress(begin + len(group), len(order))
    finally:
        causal.train(was_training)
    return answers


def context_tokens(model: Any) -> int | None:
    """Return the tokens that prompt and answer may have together; None if there is no limit."""
    config: Any = causal_lm_of(model).config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def _left_padded(ids: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row) for row in ids)
    tokens = torch.full((len(ids), width), pad, dtype=torch.long)
    mask = torch.zeros(len(ids), width, dtype=torch.long)
    for i, row in enumerate(ids):
        tokens[i, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[i, width - len(row) :] = 1
    return tokens, mask
