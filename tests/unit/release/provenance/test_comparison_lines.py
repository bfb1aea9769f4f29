"""Lines of a comparison: equal, within the interval, different, not comparable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.artefacts.scores import Score
from finetune.release.provenance.comparison_lines import score_line, weights_line
from finetune.release.provenance.obstacles import other_machine

SCORE = Score("bits_per_byte", "hau_Latn", None, "adapter", 1.5, 1.4, 1.6, 120, "signature")
MACHINE = {"machine": "x86_64", "processor": "A", "python": "3.11", "packages": {"torch": "2.13"}}


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (1.5, "equal"),
        (1.55, "within interval"),
        (1.4, "within interval"),
        (1.61, "different"),
        (float("nan"), "different"),
    ],
)
def test_a_score_is_judged_by_the_interval_of_the_published_one(value: float, state: str) -> None:
    """Equal to the last digit, inside it, or outside."""
    assert score_line(SCORE, replace(SCORE, value=value)).state == state


def test_a_score_on_other_items_is_not_equal() -> None:
    """The same value on one item fewer is not the same result."""
    assert score_line(SCORE, replace(SCORE, n=119)).state == "within interval"
    assert score_line(None, SCORE).state == "different"


def test_weights_are_compared_on_the_same_kind_of_machine_alone() -> None:
    """Equal bytes are equal everywhere; others are different only where nothing else differs."""
    assert weights_line("a" * 64, "a" * 64, differs=["processor"]).state == "equal"
    assert weights_line("a" * 64, "b" * 64, differs=[]).state == "different"
    assert weights_line("a" * 64, "b" * 64, differs=["processor"]).state == "not comparable"


def test_what_differs_between_machines_is_named() -> None:
    """Processor and versions; what was not recorded is not held against it."""
    assert other_machine(MACHINE, MACHINE) == []
    assert other_machine({"python": "3.11"}, MACHINE) == []
    changed = MACHINE | {"processor": "B", "packages": {"torch": "2.14"}}
    assert other_machine(MACHINE, changed) == ["processor: A, here B", "torch: 2.13, here 2.14"]
