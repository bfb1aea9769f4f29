"""The whole trial of a GPU, in less than eight minutes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from finetune.cluster.doctor.gpu.bench import Bench
from finetune.cluster.doctor.gpu.over_ranks import checks_over, shared_folder
from finetune.cluster.doctor.gpu.resumed_run import stopped_and_continued
from finetune.cluster.doctor.gpu.right_numbers import CHECKS
from finetune.cluster.doctor.gpu.speed import checks_of
from finetune.cluster.doctor.gpu.trial_rows import Check, Measured, Row, rows_of
from finetune.launch.devices import takes_gpu
from finetune.launch.ranks import ranks_of
from finetune.messages import Sentence
from finetune.models.load import set_threads, torch_build, visible_gpus
from finetune.train.determinism import ask_cublas
from finetune.train.processes import join
from finetune.train.stop import stop_on_signals

LIMIT_SECONDS = 420.0
"""No check begins later; the longest takes less than a minute."""


def trial(
    *,
    dry: bool,
    measured: dict[str, Measured],
    within: Path,
    say: Callable[[Sentence], None],
) -> Iterator[Row]:
    """Try all checks; speeds go into `measured`, too. `dry`: tiny, on the CPU.

    In a launch of several ranks the checks are those of ranks; `within`: a folder that all of them
    see. `say` gets a line while ranks are missing. Raises TrainError without a GPU, unless it is
    dry, RendezvousError if ranks do not come.
    """
    set_threads(None)
    visible = visible_gpus()
    on_gpu = takes_gpu("cpu" if dry else "gpu", visible=visible, build=torch_build())
    if on_gpu:
        ask_cublas()
    ranks = ranks_of()
    device = torch.device("cuda", ranks.local_rank % visible) if on_gpu else torch.device("cpu")
    if ranks.world > 1:
        with stop_on_signals() as stop:
            processes = join(device, stop=stop, folder=within, say=say)
        with shared_folder(processes, within=within) as shared:
            bench = Bench(device, shared, dry=dry, limit_seconds=math.inf)  # none ends it alone
            yield from rows_of(checks_over(processes), bench)
        return
    with tempfile.TemporaryDirectory(prefix="finetune-doctor-") as folder:
        bench = Bench(device, Path(folder), dry=dry, limit_seconds=LIMIT_SECONDS)
        resumed = Check(
            "training in two parts",
            "the loss falls, both adapters are equal",
            stopped_and_continued,
        )
        yield from rows_of([*CHECKS, resumed, *checks_of(measured)], bench)
