"""Base and adapter as functions from a formatted prompt to a generation that is streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.chat.talk import Manner, OnText
from finetune.models.generate import Decoding
from finetune.models.kinds import kind_of
from finetune.models.load import adapter_tokenizer, choose_device, resolve_precision, set_threads
from finetune.models.template import encode

Generator = Callable[[str, OnText], str]


@dataclass(frozen=True, slots=True)
class Systems:
    """Generators by system, and the limit of their prompts."""

    generators: dict[str, Generator]
    fits: Callable[[str], bool]
    """True if a prompt and its generation fit into the model's context."""


def load_systems(
    base_dir: Path, adapter_dir: Path | None, *, tokenizer: Any, manner: Manner
) -> Systems:
    """Load the base once, with the adapter on it if there is one.

    The base generates from the same weights with the adapter switched off, with its own tokenizer
    and none of the tokens that an adapter added.
    """
    set_threads(manner.threads)
    torch.manual_seed(0)  # the same lines get the same generations, sampled ones too
    device = choose_device()
    kind = kind_of(base_dir)
    model = kind.load_base(
        base_dir,
        precision=resolve_precision("auto", device, base=base_dir),
        quantization=manner.quantization,
        device=device,
    )
    own: Any = tokenizer
    added: Sequence[int] = ()
    if adapter_dir is not None:
        model = kind.load_adapter(model, adapter_dir)
        own = adapter_tokenizer(adapter_dir, tokenizer)
        added = range(len(tokenizer), len(own))

    def generator_of(
        switch: Callable[[], AbstractContextManager[Any]], its: Any, barred: Sequence[int] = ()
    ) -> Generator:
        def generate(prompt: str, on_text: OnText) -> str:
            with switch():
                return kind.generate(
                    model,
                    its,
                    [prompt],
                    decoding=Decoding(
                        manner.max_new_tokens, temperature=manner.temperature, barred=barred
                    ),
                    batch_size=1,
                    on_text=lambda _, text: on_text(text),
                )[0]

        return generate

    if adapter_dir is None:
        generators = {"base": generator_of(nullcontext, tokenizer)}
    else:
        generators = {
            "base": generator_of(model.disable_adapter, tokenizer, added),
            "adapter": generator_of(nullcontext, own),
        }
    limit = kind.context_tokens(model)

    def fits(prompt: str) -> bool:
        length = max(len(encode(one, prompt)) for one in (tokenizer, own))
        return limit is None or length + manner.max_new_tokens <= limit

    return Systems(generators=generators, fits=fits)
