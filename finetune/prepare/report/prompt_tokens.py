"""Tokens per document that are the same in every document: system prompt and instruction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from finetune.artefacts.job import Job
from finetune.messages import Sentence, sentence
from finetune.models.encode import Encoder
from finetune.output.fields import filled
from finetune.prepare.packing.write import Segments
from finetune.prepare.reading.document_layout import Layout
from finetune.prepare.reading.drafts import entry_of
from finetune.prepare.reading.phase_corpora import corpora_of


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Tokens per training document of a corpus, on average, and those of its fixed texts."""

    card: str
    language: str
    document: float
    system: int
    """Of the system prompt of a document without one of its own."""
    instruction: int
    """Of the prompt template around a source text."""

    def line(self) -> Sentence:
        """Return the numbers as a line, with the keys that change them."""
        facts: dict[str, Any] = {
            "card": self.card,
            "document": f"{self.document:,.0f}",
            "system": self.system,
            "instruction": self.instruction,
        }
        if not self.instruction:
            return sentence(
                "{card}: {document} tokens per document, of them {system} of the system prompt "
                "(prepare.system_prompt)",
                **facts,
            )
        return sentence(
            "{card}: {document} tokens per document, of them {system} of the system prompt "
            "(prepare.system_prompt) and {instruction} of the instruction (corpora.prompt)",
            **facts,
        )


def prompt_tokens(
    job: Job, segments: Segments, *, layout: Layout, encoder: Encoder, cards: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the fixed tokens of each corpus of pairs or conversations, from its training split."""
    return [asdict(found) for found in _found(job, segments, layout, encoder, cards)]


def prompt_lines(found: list[dict[str, Any]]) -> Iterator[Sentence]:
    """Yield a line per corpus."""
    for one in found:
        yield PromptTokens(**one).line()


def _found(
    job: Job, segments: Segments, layout: Layout, encoder: Encoder, cards: tuple[str, ...]
) -> Iterator[PromptTokens]:
    system = encoder.count(layout.system_prompt.shown) if layout.chat_template else 0
    lengths_D, seen = segments.lengths_D, set()
    for corpus in corpora_of(job, job.phase):
        entry = entry_of(corpus, job.cards[corpus.card])
        instruction = 0
        if entry.use == "translation":
            instruction = encoder.count(filled(corpus.prompt, {"text": "", **entry.names}))
        mine_D = segments.cards_D == cards.index(corpus.card)
        if (
            entry.use == "text"
            or corpus.card in seen
            or not mine_D.any()
            or not system + instruction
        ):
            continue
        seen.add(corpus.card)
        documents = len(np.unique(segments.documents_D[mine_D]))
        mean = float(lengths_D[mine_D].sum()) / documents
        yield PromptTokens(corpus.card, entry.language, round(mean, 1), system, instruction)
