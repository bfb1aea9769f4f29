"""Lines and rows on other models of a recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.artefacts.model_comparisons import ModelComparison, model_rows, models_ahead
from finetune.artefacts.scores import PairedTest

_TEST = PairedTest(
    **{"metric": "chrf++", "language": "hau_Latn", "direction": "eng_Latn>hau_Latn"},
    **{"base": 30.0, "adapter": 20.0, "difference": -10.0, "low": -12.0, "high": -8.0},
    **{"p_value": 0.001, "n": 60, "better": "neither", "test": "exchange test"},
)
_MODEL = ModelComparison("nllb", "org/nllb", None, "cc-by-nc-4.0", 28.0, 32.0, _TEST)


@pytest.mark.parametrize(
    ("changes", "ahead"),
    [
        ({}, True),
        ({"high": 0.5}, False),
        ({"difference": 10.0, "low": 8.0, "high": 12.0}, False),
        ({"metric": "bits_per_byte"}, False),
        ({"metric": "bits_per_byte", "low": 0.1, "high": 0.2}, True),
    ],
)
def test_a_model_is_ahead_if_the_whole_interval_is_on_its_side(changes, ahead) -> None:
    """Lower bits are better, and so is a higher chrF++."""
    found = replace(_MODEL, test=replace(_TEST, **changes))
    assert bool(models_ahead([found])) is ahead


def test_the_line_names_the_model_and_both_scores() -> None:
    """One sentence per comparison."""
    [line] = map(str, models_ahead([_MODEL]))
    assert line.startswith("org/nllb is better on the same items: English to Hausa, chrF++ 30.0")
    assert model_rows([_MODEL])[0][2] == "nllb (org/nllb, cc-by-nc-4.0)"
