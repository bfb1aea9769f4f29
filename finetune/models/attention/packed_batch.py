"""Packed rows as a model runs them: documents one after the other, without padding.

A batch is made in numpy, where the lengths of its documents are known, and goes to the device in
one copy; to a GPU from pinned memory, so that the host does not wait. A forward pass then never has
to ask the device for a number.

Legend: B rows, T tokens per row, S tokens that are no padding, N targets, D documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finetune.artefacts.packed_split import PackedSplit, segment_positions


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of a packed sequence."""

    lengths: tuple[int, ...]
    """Tokens of each document, in order."""
    starts: Tensor
    """int32, on the device: the first token of each document, and the end of the last one (what
    kernels call cu_seqlens)."""
    longest: int


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Some rows of a split on a device."""

    tokens_S: Tensor
    positions_S: Tensor
    """They restart in every document."""
    targets_N: Tensor
    """Supervised tokens, in the order of rows."""
    before_N: Tensor
    """Places in S of the tokens before them; there they are predicted."""
    documents: Documents
    row_lengths: tuple[int, ...]
    """Tokens of each row, in order."""
    rows: tuple[int, ...]
    """Global row numbers; they key dropout, so that a batch split changes nothing."""


def make_batch(
    split: PackedSplit, rows: Sequence[int], *, device: torch.device | str
) -> PackedBatch:
    """Read rows of a split onto the device."""
    index = np.asarray(rows, dtype=np.int64)
    return pack_rows(
        split.tokens_NT[index],
        np.asarray(split.segments_NT[index]),
        split.supervised_NT[index],
        rows=tuple(int(r) for r in rows),
        device=device,
    )


def idle_batch(device: torch.device | str) -> PackedBatch:
    """Return a dummy one-token batch; ranks without rows run it to keep collectives matched."""
    nothing = np.zeros((1, 1), np.int32)
    return pack_rows(nothing, nothing, nothing, rows=(0,), device=device)


def pack_rows(
    tokens_BT: NDArray[np.integer],
    segments_BT: NDArray[np.int32],
    supervised_BT: NDArray[np.integer],
    *,
    rows: tuple[int, ...],
    device: torch.device | str,
) -> PackedBatch:
    """Return rows as they stand in a split (finetune/artefacts/packed_split.py) on the device.

    Rows of nothing give one token and no target: a rank that runs them needs one.
    """
    real_BT = segments_BT > 0
    if not real_BT.any():
        real_BT[0, 0] = True
    tokens_S = tokens_BT[real_BT].astype(np.int64)
    positions_S = segment_positions(segments_BT)[real_BT]
    starts = np.append(np.flatnonzero(positions_S == 0), len(positions_S))
    target_at_N = np.flatnonzero(supervised_BT[real_BT])
    lengths = np.diff(starts)
    # two int32 lie in the place of an int64, so that all is one buffer
    halves = np.zeros(len(starts) + len(starts) % 2, np.int32)
    halves[: len(starts)] = starts
    parts = (tokens_S, positions_S, tokens_S[target_at_N], target_at_N - 1, halves.view(np.int64))
    copied = on_device(np.concatenate(parts), device)
    tokens, positions, targets, before, held = copied.split([len(part) for part in parts])
    return PackedBatch(
        tokens_S=tokens,
        positions_S=positions,
        targets_N=targets,
        before_N=before,
        documents=Documents(
            lengths=tuple(lengths.tolist()),
            starts=held.view(torch.int32)[: len(starts)],
            longest=int(lengths.max()),
        ),
        row_lengths=tuple(real_BT.sum(axis=1).tolist()),
        rows=rows,
    )


def on_device(numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
    """Return numbers on a device; a GPU copies them while the host goes on."""
    held = torch.from_numpy(numbers)
    if torch.device(device).type == "cpu":
        return held
    return held.pin_memory().to(device, non_blocking=True)
