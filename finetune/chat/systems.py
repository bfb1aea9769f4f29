"""Base and adapter as functions from a laid-out prompt to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    load_tokenizer,
    resolve_precision,
    set_threads,
)
from finetune.models.packed_model import causal_lm_of
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

    The base's answers come from the same weights with the adapter switched off; with its own
    tokenizer, and none of the tokens that an adapter added.
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
    own: Any = tokenizer
    added: Sequence[int] = ()
    if adapter_dir is not None:
        model = load_adapter(model, adapter_dir)
        own, added = _tokenizer_of(adapter_dir, tokenizer)

    def answer_of(
        switch: Callable[[], AbstractContextManager[Any]], its: Any, barred: Sequence[int] = ()
    ) -> Answer:
        def answer(prompt: str) -> str:
            with switch():
                if manner.temperature > 0:
                    return _sample(model, its, prompt, manner=manner, barred=barred)
                most = manner.max_new_tokens
                return generate(
                    model, its, [prompt], max_new_tokens=most, batch_size=1, barred=barred
                )[0]

        return answer

    if adapter_dir is None:
        answers = {"base": answer_of(nullcontext, tokenizer)}
    else:
        answers = {
            "base": answer_of(model.disable_adapter, tokenizer, added),
            "adapter": answer_of(nullcontext, own),
        }
    limit = _context_tokens(model)

    def fits(prompt: str) -> bool:
        length = max(len(encode(one, prompt)) for one in (tokenizer, own))
        return limit is None or length + manner.max_new_tokens <= limit

    return Systems(answers=answers, fits=fits)


def _tokenizer_of(adapter_dir: Path, tokenizer: Any) -> tuple[Any, Sequence[int]]:
    """Return an adapter's own tokenizer and the tokens that it added, or the base's and none."""
    if not (adapter_dir / "tokenizer.json").is_file():
        return tokenizer, ()
    own = load_tokenizer(adapter_dir)
    own.chat_template = tokenizer.chat_template
    return own, range(len(tokenizer), len(own))


def _context_tokens(model: Any) -> int | None:
    config: Any = causal_lm_of(model).config
    return getattr(config.get_text_config(), "max_position_embeddings", None)


@torch.no_grad()
def _sample(
    model: Any, tokenizer: Any, prompt: str, *, manner: Manner, barred: Sequence[int]
) -> str:
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
            suppress_tokens=list(barred) or None,
        ),
    )
    written = out[0, tokens.shape[1] :]
    return str(tokenizer.decode(written, skip_special_tokens=True)).strip()
