"""Supervised tokens that training drew, by card and contributor.

Each row counts as often as it was drawn: repeated epochs, replay and the weights of a mixture are
in it, and the sum over all is the `supervised_tokens` of the training. Texts that were prepared and
not drawn count 0. D segments.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.credits.shares import Drawn
from finetune.artefacts.drawn_rows import times_seen
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import LEDGER_LINES, PackedSplit, open_split
from finetune.artefacts.results import PrepareResult, TrainResult, read_result

LEDGER_FILE = "ledger.jsonl"


def drawn_tokens(job: Job) -> Drawn:
    """Return what the training of each phase drew, added up.

    Inputs of the job: `train`, and a prepared corpus per phase. Raises StoreError if a result is
    damaged.
    """
    train = read_result(job.inputs["train"], TrainResult)
    phases = {phase.name: phase for phase in job.recipe.training_phases}
    *earlier, last = phases
    steps = {last: train.steps}
    if len(train.steps_before) == len(earlier):
        steps |= dict(zip(earlier, train.steps_before, strict=True))
    found: Counter[tuple[str, str | None]] = Counter()
    for name, prepared in job.prepared:
        of_phase = replace(job, phase=phases[name or last])
        found.update(_of_phase(of_phase, prepared, steps=steps.get(name or last)))
    return found


def _of_phase(job: Job, prepared: Artifact, *, steps: int | None) -> Drawn:
    result = read_result(prepared, PrepareResult)
    folder = prepared.path / "train"
    split = open_split(folder, languages=result.languages, cards=result.cards)
    documents_D = split.documents_D
    times_D = times_seen(job, split, steps=steps)[documents_D["row"]]
    tokens_D = documents_D["supervised_tokens"].astype(np.int64) * times_D
    people_D, people = _contributors(prepared.path, split)
    pairs_D = documents_D["card"].astype(np.int64) * len(people) + people_D
    found: Counter[tuple[str, str | None]] = Counter()
    for pair in np.unique(pairs_D).tolist():
        card, person = divmod(pair, len(people))
        key = split.cards[card], people[person]
        found[key] += int(tokens_D[pairs_D == pair].sum())
    return found


def _contributors(folder: Path, split: PackedSplit) -> tuple[NDArray[np.int64], list[str | None]]:
    """Return the contributor of each segment as a number, and the contributors by number.

    Corpora that were prepared before lines of the ledger were recorded have none.
    """
    documents_D = split.documents_D["document"]
    places = folder / "train" / LEDGER_LINES
    if not places.is_file():
        return np.zeros(len(documents_D), dtype=np.int64), [None]
    numbers: dict[str | None, int] = {None: 0}
    with (folder / LEDGER_FILE).open(encoding="utf-8") as lines:
        of_line = [
            numbers.setdefault(json.loads(line).get("contributor") or None, len(numbers))
            for line in lines
        ]
    lines_N = np.load(places, allow_pickle=False)
    return np.array(of_line, dtype=np.int64)[lines_N[documents_D]], list(numbers)
