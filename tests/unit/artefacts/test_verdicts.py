"""Verdicts: no claim without a test, enough items, the minimum effect and every yardstick."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from finetune.artefacts.scores import Pair, PairedTest, Rival, Score
from finetune.artefacts.verdicts import claim_p, judged, verdict, warnings
from finetune.statistics.claims import binomial_test

CLEAR = PairedTest(
    *("bits_per_byte", "hau_Latn", None),
    base=2.0,
    adapter=1.5,
    difference=-0.5,
    low=-0.6,
    high=-0.4,
    p_value=0.0002,
    n=60,
    better="neither",
    test="exchange test",
    p_floor=0.0002,
    minimum_effect=0.02,
)
BEATEN = Rival(
    "ngram", 1.8, difference=-0.3, low=-0.4, high=-0.2, p_value=0.001, minimum_effect=0.018
)
AHEAD = replace(BEATEN, value=1.3, difference=0.2, low=0.1, high=0.3)


def _judged(*tests: PairedTest) -> list[PairedTest]:
    none = Score("bits_per_byte", "hau_Latn", None, "base", 2.0, 1.9, 2.1, 60, "")
    return [pair.test for pair in judged([Pair(none, none, test) for test in tests])]


@pytest.mark.parametrize(
    ("changes", "better", "said"),
    [
        ({}, "adapter", "adapter better (-25.0 %)"),
        ({"rivals": (BEATEN,)}, "adapter", "adapter better (-25.0 %)"),
        ({"n": 49}, "neither", "too few items for a claim (n = 49)"),
        ({"metric": "end_mark_bits"}, "neither", "shown only"),
        ({"p_value": 0.06}, "neither", "not significant"),
        ({"rivals": (AHEAD,)}, "neither", "better than the base, not than the byte n-gram model"),
        (
            {"rivals": (replace(BEATEN, p_value=0.2, high=0.1),)},
            "neither",
            "better than the base, not than the byte n-gram model",
        ),
        ({"difference": 0.5, "low": 0.4, "high": 0.6}, "base", "base better (+25.0 %)"),
        ({"difference": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0}, "neither", "no difference"),
    ],
)
def test_the_winner_passes_all_tests(changes, better, said):
    """The adapter beats base and yardsticks on 50 items; the base beats the adapter."""
    [found] = _judged(replace(CLEAR, **changes))
    assert (found.better, verdict(found)) == (better, said)


def test_a_small_gain_is_never_called_better():
    """-0.3 %, however sure, and -5 % with an interval that ends at -0.9 %: the end must pass."""
    small = replace(CLEAR, adapter=1.994, difference=-0.006, low=-0.007, high=-0.005)
    wide = replace(CLEAR, adapter=1.9, difference=-0.1, low=-0.182, high=-0.018)
    for test in _judged(small, wide):
        assert test.better == "neither"
        assert verdict(test) == "less than the minimum effect"


def test_claims_are_adjusted_for_their_number():
    """Of three claims the first two stand at 5 %; a test that can claim nothing is not counted."""
    p_values = (0.02, 0.0002, 0.03)
    few = replace(CLEAR, n=12)
    found = _judged(*(replace(CLEAR, p_value=p) for p in p_values), few)
    assert [test.p_holm for test in found] == [pytest.approx(p) for p in (0.04, 0.0006, 0.04)] + [
        None
    ]
    assert [test.better for test in found] == ["adapter"] * 3 + ["neither"]
    lost = _judged(*(replace(CLEAR, p_value=0.02) for _ in range(3)))
    assert {test.better for test in lost} == {"neither"}


def test_the_p_value_of_a_claim_is_the_largest_of_base_and_yardsticks():
    """An intersection-union test; at the floor of the test it is a bound."""
    [alone] = _judged(CLEAR)
    assert claim_p(alone) == "<= 0.0002"
    [with_rival] = _judged(replace(CLEAR, rivals=(replace(BEATEN, p_value=0.031),)))
    assert claim_p(with_rival) == "0.031"
    first, _ = _judged(CLEAR, CLEAR)
    assert claim_p(first) == "<= 0.0004"
    [hindered] = _judged(replace(CLEAR, rivals=(AHEAD,)))  # no claim: that of the base alone
    assert (hindered.p_holm, claim_p(hindered)) == (1.0, "<= 0.0002")
    [unsure] = _judged(replace(CLEAR, rivals=(replace(BEATEN, p_value=0.87),)))
    assert (unsure.p_holm, claim_p(unsure)) == (0.87, "<= 0.0002")


def test_more_bits_than_the_n_gram_model_are_said_first():
    """The point value decides; fewer bits, and chrF++, warn of nothing."""
    behind = replace(CLEAR, rivals=(AHEAD,))
    [warning] = warnings([replace(CLEAR, rivals=(BEATEN,)), behind])
    assert str(warning) == (
        "The adapter predicts held-out text worse than a byte n-gram model counted from its "
        "training texts, which takes no GPU: Hausa 1.500 against 1.300 bits per byte (lower is "
        "better)."
    )
    assert warnings([replace(CLEAR, rivals=(BEATEN,)), replace(behind, metric="chrf++")]) == []


CHRF = replace(
    CLEAR,
    **{"metric": "chrf++", "direction": "eng_Latn>hau_Latn", "base": 5.0, "adapter": 15.0},
    **{"difference": 10.0, "low": 8.0, "high": 12.0, "minimum_effect": 1.0},
)
COPY = Rival("copy", 10.0, difference=5.0, low=4.0, high=6.0, p_value=0.001, minimum_effect=1.0)


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({}, "adapter"),
        ({"p_value": 0.06}, "neither"),
        ({"low": 0.5}, "neither"),
        ({"difference": -1.0, "low": -2.0, "high": 0.5}, "neither"),
        ({"rivals": (COPY,)}, "adapter"),
        ({"rivals": (replace(COPY, p_value=0.2),)}, "neither"),
        ({"direction": "fra_Latn>hau_Latn", "p_value": 0.06}, "adapter"),
    ],
)
def test_a_gain_in_chrf_holds_without_markup_too(changes, better):
    """Of the same direction, in the paired test, by the minimum effect, against each yardstick."""
    found, plain = _judged(CHRF, replace(CHRF, metric="chrf++_plain", **changes))
    assert (found.better, plain.better) == (better, "neither")
    expected = (
        "adapter better" if better == "adapter" else "better, but not in chrF++ without markup"
    )
    assert (verdict(found), verdict(plain)) == (expected, "shown only")
    assert found.fails_in == (None if better == "adapter" else "chrf++_plain")


def test_a_choice_is_shown_beside_chance():
    """Share, number of items, chance, and the exact p-values of adapter and base."""
    test = replace(CLEAR, metric="choice_accuracy", adapter=41 / 60, base=15 / 60)
    expected = sum(math.comb(60, k) * 3 ** (60 - k) for k in range(15, 61)) / 4**60
    assert binomial_test(15, 60, chance=0.25) == pytest.approx(expected)
    assert verdict(test) == f"68 % of 60 (chance 25 %, p < 0.0001; base p = {expected:.3f})"
