"""Document scores: negative log-likelihood of the supervised tokens, end marks apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.artefacts.packed_split import PackedSplit
from finetune.models.attention.packed_batch import make_batch
from finetune.models.packed_model import PackedModel


def score_documents(
    model: PackedModel,
    split: PackedSplit,
    *,
    records: NDArray[Any],
    batch_rows: int,
    device: torch.device | str,
    marks: Sequence[int] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return the nll (nats) of each record, an index into `split.documents_D`, shape (N, 2).

    First that of the supervised tokens that spell text, then that of `marks`, ids that spell none.
    Only rows that hold a wanted record are run. Bits per byte of some records is
    sum(nll[:, 0]) / ln 2 / sum(supervised_bytes). `on_progress` is called with (rows done, rows in
    all).
    """
    records = np.asarray(records, dtype=np.int64)
    wanted_D = split.documents_D[records]
    rows_R = np.unique(wanted_D["row"])
    nll_N2 = np.zeros((len(records), 2), dtype=np.float64)
    was_training = model.training
    model.eval()
    try:
        for begin in range(0, len(rows_R), batch_rows):
            rows = rows_R[begin : begin + batch_rows]
            batch = make_batch(split, [int(r) for r in rows], device=device)
            supervised_BT = split.supervised_NT[rows] > 0
            nll_BT = np.zeros(supervised_BT.shape, dtype=np.float64)
            nll_BT[supervised_BT] = model.score(batch).double().cpu().numpy()
            for place in np.flatnonzero(np.isin(wanted_D["row"], rows)):
                record = wanted_D[place]
                inside = slice(record["start"], record["start"] + record["length"])
                nll_n = nll_BT[np.searchsorted(rows, record["row"])][inside]
                is_mark_n = np.isin(split.tokens_NT[record["row"]][inside], list(marks))
                nll_N2[place] = nll_n[~is_mark_n].sum(), nll_n[is_mark_n].sum()
            if on_progress is not None:
                on_progress(begin + len(rows), len(rows_R))
    finally:
        model.train(was_training)
    return nll_N2
