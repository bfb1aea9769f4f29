"""The funnel of data of each run: texts read, rejected by reason, split, trained on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.messages import Sentence, phrase
from finetune.prepare.checking.checks import REASONS
from finetune.report.run_facts import Run

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Funnel:
    """Texts of one prepared corpus, of all cards together, and of each."""

    labels: tuple[str, ...]
    """Of the runs that were trained on it."""
    read: int
    rejected: Mapping[str, int]
    """By reason, the most frequent first."""
    kept: Mapping[str, int]
    """By split."""
    trained_tokens: Mapping[str, int]
    """By label: tokens trained on, with repetitions."""
    by_card: tuple[Mapping[str, Any], ...]


def funnels_of(runs: Sequence[Run]) -> list[Funnel]:
    """Return one funnel per corpus; runs of one corpus share it."""
    alike: dict[str, list[Run]] = {}
    for run in runs:
        if run.funnel:
            alike.setdefault(json.dumps(run.funnel, sort_keys=True), []).append(run)
    return [_funnel(same) for same in alike.values()]


def reason_said(reason: str) -> Sentence:
    """Return a reason in words; one of another version as it is."""
    return REASONS[reason].about if reason in REASONS else phrase(reason)


def _funnel(runs: Sequence[Run]) -> Funnel:
    rows = runs[0].funnel
    rejected: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for row in rows:
        rejected.update(row["rejected"])
        kept.update(row["kept"])
    return Funnel(
        tuple(run.label for run in runs),
        sum(row["read"] for row in rows),
        dict(rejected.most_common()),
        {split: kept[split] for split in SPLITS},
        {run.label: run.trained.tokens for run in runs if run.trained},
        tuple(rows),
    )
