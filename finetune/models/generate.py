"""Greedy generation in batches, left padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from finetune.models.packed_model import causal_lm_of
from finetune.models.template import encode, stop_token_ids


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    *,
    max_new_tokens: int,
    batch_size: int,
    barred: Sequence[int] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the greedy continuation of each prompt, without stop tokens, surrounding space cut.

    `model` is a PackedModel, a PEFT model or a plain one. Prompts are already laid out with the
    chat template. Prompts of about the same length share a batch; the order of the answers is
    that of the prompts. Tokens in `barred` are never written. `on_progress` is called with
    (prompts done, prompts in all).
    """
    from transformers import GenerationConfig

    causal: Any = causal_lm_of(model)
    stops = stop_token_ids(tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=stops,
        pad_token_id=pad,
        bos_token_id=tokenizer.bos_token_id,
        suppress_tokens=list(barred) or None,
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


def _left_padded(ids: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row) for row in ids)
    tokens = torch.full((len(ids), width), pad, dtype=torch.long)
    mask = torch.zeros(len(ids), width, dtype=torch.long)
    for i, row in enumerate(ids):
        tokens[i, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[i, width - len(row) :] = 1
    return tokens, mask
