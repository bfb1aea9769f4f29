"""chrF++ of translations: sacrebleu's counts of each item, summed and resampled without rescoring.

chrF++ (Popović 2017) is the F2 score of character 1- to 6-grams and word 1- and 2-grams, from
0 to 100, higher is better. It needs no tokenizer, so it works for any written language.

Legend: N items, K = 3 counts (in the translation, in the reference, in both) x 8 n-gram orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.items import Item
from finetune.evaluate.scores import Pair, Subject, pair_of
from finetune.spec.recipe import Evaluate

METRIC = "chrf++"
_BETA_SQUARED = 4.0


@dataclass(frozen=True, slots=True)
class Translated:
    """One test item and what both systems made of it."""

    item: Item
    base: str
    adapter: str
    phase: str | None = None


def chrf_counts(
    hypotheses: Sequence[str], references: Sequence[str]
) -> tuple[NDArray[np.float64], str]:
    """Return sacrebleu's n-gram counts of each item (N, K), and its signature."""
    from sacrebleu.metrics import CHRF

    metric = CHRF(word_order=2, references=[list(references)])
    # What sacrebleu's own paired bootstrap uses; equality with corpus_score is tested.
    counts = metric._extract_corpus_statistics(list(hypotheses), None)
    return np.array(counts, dtype=np.float64), str(metric.get_signature())


def chrf_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chrF++ of summed counts: (..., K) -> (...), as sacrebleu computes it.

    Orders that occur in no translation or in no reference are left out of the mean (sacrebleu's
    `eff:yes`).
    """
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    in_hypothesis, in_reference, matched = counts[..., 0], counts[..., 1], counts[..., 2]
    used = (in_hypothesis > 0) & (in_reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    precision = (matched / np.where(used, in_hypothesis, 1) * used).sum(axis=-1) / orders
    recall = (matched / np.where(used, in_reference, 1) * used).sum(axis=-1) / orders
    below = _BETA_SQUARED * precision + recall
    above = (1 + _BETA_SQUARED) * precision * recall
    return 100 * above / np.where(below > 0, below, 1)


def compare_translations(translated: Sequence[Translated], *, settings: Evaluate) -> list[Pair]:
    """Compare base and adapter direction by direction; items without a direction are skipped."""
    groups: dict[tuple[str | None, str], list[Translated]] = {}
    for one in translated:
        if one.item.direction:
            groups.setdefault((one.phase, one.item.direction), []).append(one)
    pairs = []
    for (phase, direction), mine in groups.items():
        references = [one.item.reference or "" for one in mine]
        base_NK, signature = chrf_counts([one.base for one in mine], references)
        adapter_NK, _ = chrf_counts([one.adapter for one in mine], references)
        pairs.append(
            pair_of(
                base_NK,
                adapter_NK,
                subject=Subject(METRIC, mine[0].item.language, direction, phase, signature),
                score=chrf_of_sums,
                higher_is_better=True,
                settings=settings,
            )
        )
    return pairs
