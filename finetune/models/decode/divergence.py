"""KL divergence of an adapter from its base, at every token of what the base would write.

Legend: T tokens of a prompt and its continuation, K distributions compared, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from finetune.models.generate import Decoding, generate
from finetune.models.packed_model import causal_lm_of
from finetune.models.template import encode


@torch.no_grad()
def divergence(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    *,
    new_tokens: int,
    batch_size: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[tuple[float, int]]:
    """Return for each prompt the sum of KL(base || adapter) in nats, and of how many distributions.

    `model` is a PackedModel around a PEFT model. The base continues each prompt greedily by at most
    `new_tokens`; compared are the distributions of each token of that, and of the one behind it.
    One prompt at a time, so that the memory is twice its tokens times the vocabulary.
    """
    adapted: Any = model.model
    with adapted.disable_adapter():
        continuations = generate(
            model, tokenizer, prompts, decoding=Decoding(new_tokens), batch_size=batch_size
        )
    found = []
    for done, (prompt, text) in enumerate(zip(prompts, continuations, strict=True), start=1):
        written = tokenizer.encode(text, add_special_tokens=False)
        tokens_T = torch.tensor([*encode(tokenizer, prompt), *written], device=adapted.device)
        with adapted.disable_adapter():
            base_KV = _log_probabilities(model, tokens_T, last=len(written) + 1)
        adapter_KV = _log_probabilities(model, tokens_T, last=len(written) + 1)
        nats = nn.functional.kl_div(adapter_KV, base_KV, reduction="sum", log_target=True)
        found.append((float(nats), len(written) + 1))
        if on_progress is not None:
            on_progress(done, len(prompts))
    return found


def _log_probabilities(model: Any, tokens_T: Tensor, *, last: int) -> Tensor:
    """Return the log-probabilities (K, V) of the tokens that follow the last K of these."""
    causal = causal_lm_of(model)
    logits_KV: Tensor = causal(input_ids=tokens_T[None], use_cache=False).logits[0, -last:]
    return logits_KV.float().log_softmax(-1)
