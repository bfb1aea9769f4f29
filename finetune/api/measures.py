"""Measures of models and tokenizers on texts: bits per byte, fertility."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.api.recipes import store_at

if TYPE_CHECKING:
    from finetune.tokenizer.measure import BaseCost

BATCH_TOKENS = 4096


def bits_per_byte(
    model: Any, tokenizer: Any, texts: Iterable[str], *, sequence_tokens: int = 512
) -> float:
    """Return the bits per UTF-8 byte that a causal language model needs for texts; lower is better.

    The sum of the token losses over the bytes that these tokens decode to, as `evaluate` computes
    it on held-out text: without the end mark behind a text; one that is longer than
    `sequence_tokens` is scored in parts. `model` and `tokenizer` are those of transformers or PEFT.
    Raises DataError if there is no text. Source: Gao et al. 2020, The Pile.
    """
    import numpy as np

    from finetune.models.in_memory import split_of_texts
    from finetune.models.kinds import CAUSAL
    from finetune.models.template import special_ids

    split = split_of_texts(texts, tokenizer=tokenizer, sequence_tokens=sequence_tokens)
    nats = CAUSAL.score(
        CAUSAL.wrap(model),
        split,
        records=np.arange(len(split.documents_D)),
        batch_rows=max(1, BATCH_TOKENS // sequence_tokens),
        device=model.device,
        marks=special_ids(tokenizer),
    )
    return float(nats[:, 0].sum() / math.log(2) / split.documents_D["supervised_bytes"].sum())


def fertility(tokenizer: Any, texts: Iterable[str], *, store: Path | str | None = None) -> BaseCost:
    """Return what texts cost with a tokenizer: tokens per word (fertility), bytes per token ...

    `tokenizer` is one of transformers, or the name of a base as `base.model` of a recipe takes it,
    or a recipe. Raises DataError if there is no text, RecipeError if the base cannot be found.
    """
    from finetune.tokenizer.bases import open_bases
    from finetune.tokenizer.measure import Text, audit
    from finetune.tokenizer.vocabulary import vocabulary_of

    if isinstance(tokenizer, str | Path):
        [opened] = open_bases([str(tokenizer)], store=store_at(store)).values()
        vocabulary = opened.vocabulary
    else:
        vocabulary = vocabulary_of(tokenizer.backend_tokenizer)
    lines = (Text(text, f"text {number}") for number, text in enumerate(texts, start=1))
    [cost] = audit(lines, {"tokenizer": vocabulary}).bases
    return cost
