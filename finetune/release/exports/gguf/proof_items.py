"""Test texts of a recipe for a proof: tokens as training had them, and texts to tokenize."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.items import read_items
from finetune.models.encode import Encoded, Encoder
from finetune.models.in_memory import segment_of

MOST_ITEMS = 64
MOST_TOKENS = 512
"""Of an item; the beginning of a longer one."""
MOST_NUMBERS = 2**26
"""Log-probabilities that are compared in full: 256 MiB."""
TEXTS = (
    "Ina kwana? Lafiya lau, na gode ƙwarai. 12 + 30 = 42; 2024-05-01.",
    "Nanga def? Maa ngi fi rekk.\n\n  Ñaata la? 5.000 XOF\tbu baax",
    "नमस्ते, आप कैसे हैं? १२३ — ठीक हूँ।",
    "Bonjour, l'école ouvre à 8 h 30 : « entrez ! »",
    "سلام، حالك؟ 🙂 don't WON'T we'll",
)
"""Of adapters whose test texts are not at hand."""


@dataclass(frozen=True, slots=True)
class ProofItem:
    """One text: its tokens, targets (1) among them, and the bytes that targets spell."""

    tokens: Sequence[int]
    supervised: Sequence[int]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ProofItems:
    """Items to score and texts to tokenize."""

    items: Sequence[ProofItem]
    texts: Sequence[str]
    of_recipe: bool
    """True: test texts of the recipe; False: five sentences of this module."""

    @property
    def bytes_per_word(self) -> float:
        """UTF-8 bytes per word of the texts, with the space behind it."""
        text = " ".join(self.texts)
        return len(text.encode()) / max(1, len(text.split()))

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes per supervised token."""
        tokens = sum(sum(item.supervised) for item in self.items)
        return sum(item.size_bytes for item in self.items) / max(1, tokens)


def proof_items(source: AdapterSource, tokenizer: Any) -> ProofItems:
    """Return the first test items by content hash; without a recipe's, five sentences."""
    found = _of_recipe(source)
    if found is not None:
        return found
    encoder = Encoder(tokenizer)
    segments = [encoder.document(((text, True),), row_tokens=MOST_TOKENS)[0] for text in TEXTS]
    return ProofItems([_item(one) for one in segments], TEXTS, of_recipe=False)


def _of_recipe(source: AdapterSource) -> ProofItems | None:
    folder = source.prepared / "test" if source.prepared else None
    if folder is None or not (folder / "items.jsonl").is_file():
        return None
    split = _split(folder, source)
    records = read_items(folder, split)
    spelled = [n for n, one in enumerate(split.documents_D) if one["supervised_bytes"] > 0]
    if not spelled:
        return None
    chosen = sorted(spelled, key=lambda n: (int(split.documents_D[n]["document"]), n))[:MOST_ITEMS]
    texts: dict[str, None] = {}
    for number in chosen:
        one = records[number]
        texts |= dict.fromkeys(t for t in (one.reference, one.source) if t)
    if not texts:
        texts = dict.fromkeys(TEXTS)
    items = [_item(segment_of(split, number)) for number in chosen]
    return ProofItems([i for i in items if sum(i.supervised)], list(texts), of_recipe=True)


def _split(folder: Path, source: AdapterSource) -> Any:
    from finetune.models.kinds import kind_of

    return kind_of(source.base).open_split(folder, languages=("",), cards=("",))


def _item(segment: Encoded) -> ProofItem:
    tokens = [int(token) for token in segment.tokens_n[:MOST_TOKENS]]
    supervised = [int(one) for one in segment.supervised_n[:MOST_TOKENS]]
    whole = int(segment.supervised_n.sum())
    share = sum(supervised) / whole if whole else 0.0
    return ProofItem(tokens, supervised, max(1, round(segment.supervised_bytes * share)))
