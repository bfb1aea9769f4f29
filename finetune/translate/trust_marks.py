"""Marks of how far to trust a translation: its log-probability, calibrated on validation texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from finetune.artefacts.items import Item, choose_prompts, read_items
from finetune.evaluate.metrics.chrf import chrf_of_sums, statistics
from finetune.evaluate.outputs import Generation
from finetune.messages import Sentence, sentence
from finetune.models.in_memory import NO_NAMES
from finetune.models.kinds import Kind
from finetune.statistics.confidence import INNER, Calibration, calibrated
from finetune.translate.translations_made import Made

VALIDATION_TEXTS = 200
MIN_TEXTS = 40
"""Fewer validation texts make no two levels of confidence."""
SEED = 0


def validation_pairs(prepared: Path, *, direction: str, kind: Kind) -> dict[str, str]:
    """Return source -> reference of validation texts, a random sample that is always the same.

    `prepared`: folder of a prepared corpus.
    """
    folder = prepared / "validation"
    split = kind.open_split(folder, languages=NO_NAMES, cards=NO_NAMES)
    items = choose_prompts(
        read_items(folder, split), split, per_direction=VALIDATION_TEXTS, per_language=0
    )
    found: Iterable[Item] = (item for item in items if item.direction == direction)
    return {item.source: item.reference for item in found if item.source and item.reference}


def calibration_of(made: Mapping[str, Made], references: Mapping[str, str]) -> Calibration | None:
    """Return what confidences say about chrF++; None for too few texts."""
    outputs: list[Generation] = []
    confidences: list[float] = []
    for source, reference in references.items():
        one = made[source]
        if one.text is not None and one.confidence is not None:
            outputs.append(Generation(one.text, reference, source))
            confidences.append(one.confidence)
    if len(outputs) < MIN_TEXTS:
        return None
    scores = chrf_of_sums(statistics(outputs))
    return calibrated(confidences, np.asarray(scores).tolist(), seed=SEED)


def said(found: Calibration | None) -> Sentence:
    """Return a calibration in words."""
    if found is None:
        return sentence(
            "no marks of trust: too few validation texts of this direction are translated "
            "(at least {least})",
            least=MIN_TEXTS,
        )
    if not found.levels:
        return sentence(
            "not calibrated, no marks: shuffled confidences separate better and worse "
            "translations of validation texts as well (n {texts}, AUC {auc:.2f}, p {p:.3f})",
            texts=found.texts,
            auc=found.auc,
            p=found.p_value,
        )
    return sentence(
        "marks of trust: levels 1 to {levels} from validation texts (n {texts}), AUC {auc:.2f} "
        "(p {p:.3f}); the {inner:.0%} ranges of chrF++ hold for {coverage:.0%} of held-out ones",
        levels=len(found.levels),
        texts=found.texts,
        auc=found.auc,
        p=found.p_value,
        inner=INNER,
        coverage=found.coverage or 0.0,
    )
