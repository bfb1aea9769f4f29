"""Packed splits in memory, and what the plain model says of the same documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from tests.support.tiny import tiny_model

ROW = 40
LENGTHS = (9, 7, 13, 5, 21, 2, 30)


def random_documents(lengths: tuple[int, ...] = LENGTHS, *, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(5, 300, n).tolist() for n in lengths]


def pack(documents: list[list[int]], *, row: int = ROW, prompt: int = 1) -> PackedSplit:
    """First come, first served; all but the first `prompt` tokens of a document are supervised."""
    rows: list[list[list[int]]] = [[]]
    for document in documents:
        if sum(map(len, rows[-1])) + len(document) > row:
            rows.append([])
        rows[-1].append(document)
    tokens = np.zeros((len(rows), row), np.uint32)
    segments = np.zeros((len(rows), row), np.int32)
    supervised = np.zeros((len(rows), row), np.uint8)
    records = np.zeros(len(documents), DOCUMENT_DTYPE)
    number = 0
    for r, group in enumerate(rows):
        at = 0
        for s, document in enumerate(group):
            end = at + len(document)
            tokens[r, at:end], segments[r, at:end] = document, s + 1
            supervised[r, at + prompt : end] = 1
            count = max(len(document) - prompt, 0)
            records[number] = (number, r, at, len(document), count, 4 * count, 0, 0)
            number, at = number + 1, end
    return PackedSplit(tokens, segments, supervised, records, ("hau_Latn",), ("card",))


def with_adapter(kind: str = "llama", *, model: Any = None, **lora: Any) -> Any:
    """A tiny model with an adapter that already does something."""
    from finetune.models.load import attach_lora
    from finetune.spec.sections.training import Lora

    adapted = attach_lora(model or tiny_model(kind).requires_grad_(False), Lora(**lora), seed=1)
    torch.manual_seed(2)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return adapted


def plain_nll(model: Any, document: list[int]) -> torch.Tensor:
    """The nll of every token but the first, by the model's own forward."""
    tokens = torch.tensor([document])
    logits = model(input_ids=tokens, use_cache=False).logits[0, :-1]
    return cross_entropy(logits, tokens[0, 1:], reduction="none")


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert found
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=2e-5, msg=name)
