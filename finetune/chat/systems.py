"""Base and adapter as functions from a laid-out prompt to an answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.chat.talk import Manner
from finetune.models.generate import generate
from finetune.models.load import (
    choose_device,
    load_adapter,
    load_base,
    resolve_precision,
    set_threads,
)
from finetune.models.packed import causal_lm_of
from finetune.models.template import encode, stop_token_ids

Answer = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Systems:
    """What one can talk to, by name, and how long a prompt may be."""

    answers: dict[str, Answer]
    fits: Callable[[str], bool]
    """Whether a prompt and its answer fit into the model's context."""


def load_systems(
    base_dir: Path, adapter_dir: Path | None, *, tokenizer: Any, manner: Manner
) -> Systems:
    """Load the base once, with the adapter on it if there is one.

    The base's answers come from the same weights with the adapter switched off.
    """
    set_threads(manner.threads)
    torch.manual_seed(0)  # the same lines get the same answers, sampled ones too
    device = choose_device()
    model = load_base(
        base_dir,
        precision=resolve_precision("auto", device),
        quantization=manner.quantization,
        device=device,
    )
    if adapter_dir is not None:
        model = load_adapter(model, adapter_dir)

    def answer_of(switch: Callable[[], AbstractContextManager[Any]]) -> Answer:
        def answer(prompt: str) -> str:
            with switch():
                if manner.temperature > 0:
                    return _sample(model, tokenizer, prompt, manner=manner)
                return generate(
                    model, tokenizer, [prompt], max_new_tokens=manner.max_new_tokens, batch_size=1
                )[0]

        return answer

    if adapter_dir is None:
        answers = {"base": answer_of(nullcontext)}
    else:
        answers = {"base": answer_of(model.disable_adapter), "adapter": answer_of(nullcontext)}
    limit = _context_tokens(model)

    def fits(prompt: str) -> bool:
        return limit is None or len(encode(tokenizer, prompt)) + manner.max_new_tokens <= limit

    return Systems(answers=answers, fits=fits)


def _context_tokens(model: Any) -> int | None:
    config: Any = causal_lm_of(model).config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


@torch.no_grad()
def _sample(model: Any, tokenizer: Any, prompt: str, *, manner: Manner) -> str:
    from transformers import GenerationConfig

    causal: Any = causal_lm_of(model)
    stops = stop_token_ids(tokenizer)
    tokens = torch.tensor([encode(tokenizer, prompt)], device=causal.device)
    out = causal.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        generation_config=GenerationConfig(
            do_sample=True,
            temperature=manner.temperature,
            top_k=0,
            top_p=0.95,
            max_new_tokens=manner.max_new_tokens,
            eos_token_id=stops,
            pad_token_id=stops[0],
        ),
    )
    written = out[0, tokens.shape[1] :]
    return str(tokenizer.decode(written, skip_special_tokens=True)).strip()
