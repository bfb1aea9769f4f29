"""Validation: bits per byte by language, the measure that selects the best checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.artefacts.prepared_items import PreparedItems
from finetune.messages import Sentence, sentence
from finetune.models.kinds import Kind, TrainableModel
from finetune.output.console import Console
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
    console: Console,
) -> NDArray[np.float64]:
    """Return the nll (nats) of each record of `split.documents_D`, the rows shared out over ranks.

    Every rank runs as many forward passes as the busiest one, since a sharded model's weights are
    gathered by all. `on_batch` is called after each.
    """
    rows_D = split.documents_D["row"][records]
    rows_R = np.unique(rows_D)
    mine_D = np.isin(rows_D, rows_R[processes.ranks.rank :: processes.count])
    nll_D = np.zeros(len(records), dtype=np.float64)
    with console.progress(
        "validation", total=len(np.unique(rows_D[mine_D])), unit="sequences"
    ) as bar:

        def report(done: int, _: int) -> None:
            bar.update(done)
            on_batch()

        nll_D[mine_D] = kind.score(
            model,
            split,
            records=records[mine_D],
            batch_rows=batch_rows,
            device=processes.device,
            on_progress=report,
        ).sum(axis=1)
    most = -(-len(rows_R[:: processes.count]) // batch_rows)
    own = -(-len(rows_R[processes.ranks.rank :: processes.count]) // batch_rows)
    for _ in range(most - own):
        model.score(kind.idle_batch(processes.device))
        on_batch()
    return processes.total(torch.from_numpy(nll_D)).numpy()


def validation_line(
    step: int, bits_per_byte: Mapping[str, float], *, best: tuple[int | None, float | None]
) -> Sentence:
    """Return the result of a validation in a line; `best`: step and mean of the best one so far."""
    best_step, best_mean = best
    several = len(bits_per_byte)
    values = [f"{language} {value:.3f}" for language, value in bits_per_byte.items()]
    shown = sentence("{values}", values=values)
    if several > 1:
        mean = fmean(bits_per_byte.values())
        shown = sentence("mean {mean:.3f} of {count} languages", mean=mean, count=several)
    if several in (2, 3):
        shown = sentence("{values} (mean {mean:.3f})", values=values, mean=mean)
    facts = {"step": step, "shown": shown}
    if best_step == step or best_mean is None:
        return sentence("validation at step {step}: {shown} bits per byte, best so far", **facts)
    return sentence(
        "validation at step {step}: {shown} bits per byte; best {best:.3f} at step {at}",
        best=best_mean,
        at=best_step,
        **facts,
    )


def bits_per_byte_by_language(
    nll_D: NDArray[np.float64], *, documents_D: NDArray[np.void], languages: Sequence[str]
) -> dict[str, float]:
    """Return bits per UTF-8 byte of the supervised text, by language.

    `nll_D` holds nats per record of `documents_D`. Languages without supervised bytes are skipped.
    """
    bits = {}
    for index, language in enumerate(languages):
        mine_D = documents_D["language"] == index
        size_bytes = int(documents_D["supervised_bytes"][mine_D].sum(dtype=np.int64))
        if size_bytes:
            bits[language] = float(nll_D[mine_D].sum()) / math.log(2) / size_bytes
    return bits
