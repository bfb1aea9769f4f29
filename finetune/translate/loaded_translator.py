"""Base with adapter as a translator of many texts at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from finetune.evaluate.base_and_adapter import System
from finetune.evaluate.likelihoods import likelihoods
from finetune.models.conversation import lay_out_of
from finetune.models.encode import Encoded, Encoder
from finetune.models.generate import BATCH_ROWS, Decoding
from finetune.models.kinds import kind_of
from finetune.models.load import (
    adapter_tokenizer,
    choose_device,
    load_tokenizer,
    resolve_precision,
    set_threads,
)
from finetune.models.template import encode, special_ids
from finetune.spec.sections.base_model import Quantization
from finetune.translate.translations_made import Written

_LINE_ENDS = re.compile("[^\\S\u00a0]{0,9}[\r\n\v\f\x1c-\x1e\x85\u2028\u2029][\\s]{0,9}")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_SPACES = re.compile(r"[ \t\r\n]{2,99}|[\t\r\n]")
_ANY_LENGTH = 2**31 - 1
_ROW_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Loading:
    """Base, adapter and layout of prompts."""

    base: Path
    """A transformers folder."""
    adapter: Path
    template: Literal["model", "chatml", "plain"] = "model"
    system_prompt: str = "base"
    quantization: Quantization = "none"
    threads: int | None = None
    max_new_tokens: int = 96


@dataclass(frozen=True, slots=True)
class Translator:
    """A model that translates."""

    rows: int
    """Texts that are translated at a time."""
    device: str
    precision: str
    translate: Callable[[Sequence[str]], list[Written | None]]


def load_translator(loading: Loading, question: Callable[[str], str]) -> Translator:
    """Load base and adapter; `question` returns what the model is asked for a text.

    Greedy: the same batch of texts gets the same translations. Raises RecipeError for a base
    without the chat template that is asked for.
    """
    set_threads(loading.threads)
    kind, device = kind_of(loading.base), choose_device()
    own = load_tokenizer(loading.base)
    lay_out = lay_out_of(own, template=loading.template, system_prompt=loading.system_prompt)
    precision = resolve_precision("auto", device, base=loading.base)
    base = kind.load_base(
        loading.base, precision=precision, quantization=loading.quantization, device=device
    )
    model = kind.wrap(kind.load_adapter(base, loading.adapter))
    model.train(False)
    tokenizer = adapter_tokenizer(loading.adapter, own)
    system = System("adapter", kind, model, tokenizer, device, nullcontext)
    asked = _Asked(system, lambda text: lay_out(_turn(question(text))), loading.max_new_tokens)
    return Translator(BATCH_ROWS[device.type], device.type, precision, asked.translations)


def _turn(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A system, and how it is asked."""

    system: System
    prompt: Callable[[str], str]
    most: int
    """New tokens of a translation."""

    def translations(self, texts: Sequence[str]) -> list[Written | None]:
        """Return what the model writes for each text."""
        prompts = [self.prompt(_SPACES.sub(" ", text)) for text in texts]
        takes = [
            self._fits(prompt) and not self._has_marks(text)
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        asked = [prompt for prompt, fits in zip(prompts, takes, strict=True) if fits]
        if not asked:
            return [None] * len(texts)
        system = self.system
        answers = system.kind.generate(
            system.model,
            system.tokenizer,
            asked,
            decoding=Decoding(self.most),
            batch_size=BATCH_ROWS[torch.device(system.device).type],
        )
        written = iter(self._with_likelihoods(asked, [_one_line(one) for one in answers]))
        return [next(written) if fits else None for fits in takes]

    def _with_likelihoods(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Written]:
        encoder = Encoder(self.system.tokenizer)
        documents: dict[int, Encoded] = {}
        for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            pieces = ((prompt, False), (text, True))
            if text:
                [documents[number]] = encoder.document(pieces, row_tokens=_ANY_LENGTH)
        found = likelihoods(self.system, list(documents.values()), row_tokens=_ROW_TOKENS)
        written = [Written(text, 0.0, 0) for text in texts]
        for (number, document), one in zip(documents.items(), found, strict=True):
            tokens = int(document.supervised_n.sum())
            written[number] = Written(texts[number], one.nats, tokens, tokens >= self.most)
        return written

    def _fits(self, prompt: str) -> bool:
        limit = self.system.kind.context_tokens(self.system.model)
        return limit is None or len(encode(self.system.tokenizer, prompt)) + self.most <= limit

    def _has_marks(self, text: str) -> bool:
        """Return whether a text spells a token that marks turns, which would end the question."""
        tokenizer: Any = self.system.tokenizer
        ids = tokenizer.encode(text, add_special_tokens=False)
        return not set(special_ids(tokenizer)).isdisjoint(ids)


def _one_line(text: str) -> str:
    """Return an answer as one line, without control characters."""
    return _CONTROLS.sub("", _LINE_ENDS.sub(" ", text)).strip()
