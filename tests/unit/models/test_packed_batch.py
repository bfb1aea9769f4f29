"""The geometry of a batch is that of its rows, whatever they hold."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.models.attention import packed_batch
from finetune.models.attention.packed_batch import PackedBatch, idle_batch, pack_rows

WIDTH = 12
DOCUMENT = st.tuples(st.integers(1, WIDTH), st.integers(0, WIDTH))
"""Tokens, and how many at its begin are no targets."""
ROWS = st.lists(st.lists(DOCUMENT, max_size=5), min_size=1, max_size=4)


def _arrays(rows: list[list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows as `prepare` writes them; documents that do not fit are omitted."""
    tokens, segments, supervised = (np.zeros((len(rows), WIDTH), np.int32) for _ in range(3))
    for r, row in enumerate(rows):
        at = 0
        for s, (length, prompt) in enumerate(row):
            if at + length > WIDTH:
                continue
            end = at + length
            tokens[r, at:end] = 100 * r + np.arange(at, end)
            segments[r, at:end] = s + 1
            supervised[r, at + max(prompt, 1) : end] = 1
            at = end
    return tokens, segments, supervised


def _slow(rows: list[list[tuple[int, int]]]) -> dict[str, list[int]]:
    """The same, written down token by token."""
    names = ("tokens", "positions", "targets", "before", "lengths", "row_lengths")
    found: dict[str, list[int]] = {name: [] for name in names}
    for r, row in enumerate(rows):
        at = 0
        for length, prompt in row:
            if at + length > WIDTH:
                continue
            for position in range(length):
                if position >= max(prompt, 1):
                    found["targets"].append(100 * r + at + position)
                    found["before"].append(len(found["tokens"]) - 1)
                found["tokens"].append(100 * r + at + position)
                found["positions"].append(position)
            found["lengths"].append(length)
            at += length
        found["row_lengths"].append(at)
    return found


def _batch(rows: list[list[tuple[int, int]]]) -> PackedBatch:
    return pack_rows(*_arrays(rows), rows=tuple(range(len(rows))), device="cpu")


@settings(deadline=None)
@given(ROWS)
def test_a_batch_holds_what_its_rows_hold(rows: list[list[tuple[int, int]]]) -> None:
    """Tokens, positions, targets, the places before them, and lengths, for any documents."""
    wanted, batch = _slow(rows), _batch(rows)
    if not wanted["tokens"]:
        assert batch.documents.lengths == (1,)
        assert len(batch.tokens_S) == sum(batch.row_lengths) == 1
        assert len(batch.targets_N) == 0
        return
    documents = batch.documents
    assert batch.tokens_S.tolist() == wanted["tokens"]
    assert batch.positions_S.tolist() == wanted["positions"]
    assert batch.targets_N.tolist() == wanted["targets"]
    assert batch.before_N.tolist() == wanted["before"]
    assert list(batch.row_lengths) == wanted["row_lengths"]
    assert list(documents.lengths) == wanted["lengths"]
    assert documents.longest == max(wanted["lengths"])
    assert documents.starts.dtype == torch.int32
    assert documents.starts.tolist() == [0, *np.cumsum(wanted["lengths"]).tolist()]


def test_an_idle_batch_is_one_token_without_a_target() -> None:
    """A rank without rows runs it, so that collectives stay matched."""
    batch = idle_batch("cpu")
    assert batch.tokens_S.tolist() == batch.positions_S.tolist() == [0]
    assert batch.documents.starts.tolist() == [0, 1]
    assert len(batch.targets_N) == len(batch.before_N) == 0
    assert batch.rows == (0,)


def test_a_gpu_gets_one_copy_that_is_not_waited_for() -> None:
    """All numbers of a batch travel together, from pinned memory; a CPU copies nothing."""
    copies: list[dict[str, Any]] = []

    class Pinned:
        def __init__(self, held: torch.Tensor) -> None:
            self.held = held

        def to(self, device: Any, **how: Any) -> torch.Tensor:
            copies.append({"device": device} | how)
            return self.held

    def pinned(held: torch.Tensor) -> Pinned:  # a function becomes a method, a class does not
        return Pinned(held)

    with mock.patch.object(torch.Tensor, "pin_memory", pinned):
        batch = pack_rows(*_arrays([[(4, 1), (3, 1)], [(5, 2)]]), rows=(0, 1), device="cuda")
        assert copies == [{"device": "cuda", "non_blocking": True}]
        packed_batch.on_device(np.arange(3), "cpu")
        assert len(copies) == 1
    held = {t.untyped_storage().data_ptr() for t in (batch.tokens_S, batch.documents.starts)}
    assert len(held) == 1
