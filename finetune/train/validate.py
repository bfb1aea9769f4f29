"""Validation: bits per byte by language, the measure that chooses the best checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.artefacts.prepared_items import PreparedItems
from finetune.models.kinds import Kind, TrainableModel
from finetune.train.processes import Processes


def score_together(
    model: TrainableModel,
    split: PreparedItems,
    *,
    kind: Kind,
    records: NDArray[np.int64],
    batch_rows: int,
    processes: Processes,
    on_batch: Callable[[], None],
) -> NDArray[np.float64]:
    """Return the nll (nats) of each record of `split.documents_D`, the rows shared out over ranks.

    Every rank runs as many forward passes as the busiest one, since a sharded model's weights are
    gathered by all. `on_batch` is called after each.
    """
    rows_D = split.documents_D["row"][records]
    rows_R = np.unique(rows_D)
    mine_D = np.isin(rows_D, rows_R[processes.ranks.rank :: processes.count])
    nll_D = np.zeros(len(records), dtype=np.float64)
    nll_D[mine_D] = kind.score(
        model,
        split,
        records=records[mine_D],
        batch_rows=batch_rows,
        device=processes.device,
        on_progress=lambda *_: on_batch(),
    )
    most = -(-len(rows_R[:: processes.count]) // batch_rows)
    own = -(-len(rows_R[processes.ranks.rank :: processes.count]) // batch_rows)
    for _ in range(most - own):
        model.score(kind.idle_batch(processes.device))
        on_batch()
    return processes.total(torch.from_numpy(nll_D)).numpy()


def bits_per_byte_by_language(
    nll_D: NDArray[np.float64], *, documents_D: NDArray[np.void], languages: Sequence[str]
) -> dict[str, float]:
    """Return bits per UTF-8 byte of the supervised text, by language.

    `nll_D` holds nats per record of `documents_D`. Languages without supervised bytes are left out.
    """
    bits = {}
    for index, language in enumerate(languages):
        mine_D = documents_D["language"] == index
        size_bytes = int(documents_D["supervised_bytes"][mine_D].sum(dtype=np.int64))
        if size_bytes:
            bits[language] = float(nll_D[mine_D].sum()) / math.log(2) / size_bytes
    return bits
