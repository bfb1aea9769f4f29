"""Base and adapter as functions from a laid-out prompt to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.chat.talk import Manner
from finetune.models.generate import Decoding
from finetune.models.kinds import kind_of
from finetune.models.load import choose_device, load_tokenizer, resolve_precision, set_threads
from finetune.models.template import encode

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
    kind = kind_of(base_dir)
    model = kind.load_base(
        base_dir,
        precision=resolve_precision("auto", device),
        quantization=manner.quantization,
        device=device,
    )
    own: Any = tokenizer
    added: Sequence[int] = ()
    if adapter_dir is not None:
        model = kind.load_adapter(model, adapter_dir)
        own, added = _tokenizer_of(adapter_dir, tokenizer)

    def answer_of(
        switch: Callable[[], AbstractContextManager[Any]], its: Any, barred: Sequence[int] = ()
    ) -> Answer:
        def answer(prompt: str) -> str:
            with switch():
                return kind.generate(
                    model,
                    its,
                    [prompt],
                    decoding=Decoding(
                        manner.max_new_tokens, temperature=manner.temperature, barred=barred
                    ),
                    batch_size=1,
                )[0]

        return answer

    if adapter_dir is None:
        answers = {"base": answer_of(nullcontext, tokenizer)}
    else:
        answers = {
            "base": answer_of(model.disable_adapter, tokenizer, added),
            "adapter": answer_of(nullcontext, own),
        }
    limit = kind.context_tokens(model)

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
