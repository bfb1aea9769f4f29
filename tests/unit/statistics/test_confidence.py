"""Confidences calibrated to scores: levels where they say something, none where they do not."""

from __future__ import annotations

import numpy as np

from finetune.statistics.confidence import INNER, area, calibrated


def _sample(*, informed: float, texts: int = 200) -> tuple[list[float], list[float]]:
    rng = np.random.Generator(np.random.Philox(7))
    confidence = rng.normal(-1.0, 0.5, texts)
    score = 40 + 20 * informed * (confidence + 1) + rng.normal(0, 8, texts)
    return confidence.tolist(), np.clip(score, 0, 100).tolist()


def test_levels_rise_with_the_scores_they_stand_for() -> None:
    """An informed confidence has levels whose means rise and whose ranges hold elsewhere."""
    found = calibrated(*_sample(informed=1.0), seed=0)
    means = [level.mean for level in found.levels]
    assert len(means) >= 3
    assert means == sorted(means)
    assert found.auc > 0.7
    assert found.coverage is not None
    assert abs(found.coverage - INNER) < 0.12
    assert found.level_of(-99) == 1
    assert found.level_of(99) == len(means)


def test_a_confidence_that_says_nothing_has_no_levels() -> None:
    """No mark is given if shuffled confidences do as well; so with ties and few texts."""
    confidence, score = _sample(informed=0.0)
    assert calibrated(confidence, score, seed=0).levels == ()
    assert calibrated([0.5] * 60, score[:60], seed=0).levels == ()
    assert calibrated(*_sample(informed=1.0, texts=30), seed=0).levels == ()


def test_the_area_counts_pairs_in_order_and_ties_half() -> None:
    """It is the share of pairs of a good and a bad text in which the good one is higher."""
    confidence, good = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert area(confidence, good) == (1 + 1 + 1 + 0.5) / 4
    assert area(confidence, np.zeros(4, bool)) == 0.5
