"""The paired bootstrap against brute force, known cases and its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.statistics import bootstrap
from finetune.statistics.bootstrap import MIN_ITEMS, ratio_of_sums, resampled_sums
from finetune.statistics.significance import Comparison, compare


def _ratio(base: np.ndarray, adapter: np.ndarray, *, resamples: int = 500) -> Comparison:
    return compare(
        base,
        adapter,
        score=ratio_of_sums,
        higher_is_better=False,
        resamples=resamples,
        seed=0,
    )


def _items(num_items: int, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    length = rng.integers(5, 200, num_items).astype(float)
    return np.stack([length * rng.normal(3.0, 0.4, num_items), length], axis=1)


def test_resampling_equals_a_plain_loop_over_the_same_draws(constants):
    """The vectorised sums are those of drawing items one by one, in blocks of any size."""
    system = _items(7)
    constants(bootstrap, _BLOCK_DRAWS=7 * 20)
    (sums,) = resampled_sums((system,), resamples=50, seed=3)
    rng = np.random.Generator(np.random.Philox(3))
    expected = []
    for block in (20, 20, 10):
        for draw in rng.integers(7, size=(block, 7)):
            expected.append(system[draw].sum(axis=0))
    np.testing.assert_allclose(sums, expected, rtol=1e-12)


def test_interval_of_a_mean_agrees_with_theory():
    """For a mean of many items the interval is the normal one, mean +- 1.96 s / sqrt(n)."""
    rng = np.random.default_rng(1)
    items = np.stack([rng.normal(5, 2, 2000), np.ones(2000)], axis=1)
    found = _ratio(items, items, resamples=4000).base
    mean, half = items[:, 0].mean(), 1.96 * items[:, 0].std() / np.sqrt(2000)
    assert found.value == pytest.approx(mean)
    assert found.low == pytest.approx(mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(mean + half, abs=0.1 * half)


def test_identical_systems_are_never_different():
    """The same statistics twice give difference 0, interval [0, 0], p = 1 and no winner."""
    found = _ratio(_items(50), _items(50))
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)
    assert found.p_value == 1
    assert found.better == "neither"


@pytest.mark.parametrize(
    ("factor", "higher_is_better", "better"),
    [(0.9, False, "adapter"), (0.9, True, "base"), (1.1, False, "base"), (1.1, True, "adapter")],
)
def test_a_shift_has_the_right_winner(factor, higher_is_better, better):
    """A system that differs on every item in one direction wins, in the metric's direction."""
    base = _items(60)
    found = compare(
        base,
        base * [factor, 1],
        score=ratio_of_sums,
        higher_is_better=higher_is_better,
        resamples=1000,
        seed=0,
    )
    assert found.better == better
    assert found.p_value == pytest.approx(2 / 1001)


def test_pairing_finds_what_separate_intervals_hide():
    """A small steady gain is found although the two systems' own intervals overlap."""
    base = _items(100)
    found = _ratio(base, base * [0.99, 1])
    assert found.base.low < found.adapter.high
    assert found.better == "adapter"


def test_a_handful_of_items_proves_nothing():
    """Below MIN_ITEMS there is no winner, however large the gain."""
    base = _items(MIN_ITEMS)
    assert _ratio(base, base * [0.5, 1]).better == "adapter"
    assert _ratio(base[:-1], base[:-1] * [0.5, 1]).better == "neither"


def test_false_alarms_are_about_five_percent():
    """Two systems that differ by noise alone get a winner in about 1 of 20 comparisons."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(300):
        base = _items(80, seed=int(rng.integers(1 << 30)))
        noise = rng.normal(0, 0.2, 80) * base[:, 1]
        alarms += _ratio(base, base + np.stack([noise, 0 * noise], 1)).better != "neither"
    assert 3 <= alarms <= 33  # binomial(300, 0.05): mean 15, five sigma above is 34


@pytest.mark.parametrize("shape", [(0, 2), (3,)])
def test_wrong_shapes_are_refused(shape):
    """No items, or no statistics axis, is a ValueError."""
    with pytest.raises(ValueError, match="need the same items twice"):
        _ratio(np.ones(shape), np.ones(shape))


_pairs = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        *(
            st.lists(
                st.tuples(st.floats(0, 1e6), st.integers(1, 10_000)), min_size=n, max_size=n
            ).map(np.array)
            for _ in range(2)
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(_pairs)
def test_laws(pair):
    """Intervals hold their value; exchanging systems mirrors everything; p agrees with winner."""
    one, two = pair
    there, back = _ratio(one, two, resamples=200), _ratio(two, one, resamples=200)
    for found in (there.base, there.adapter, there.difference):
        assert found.low <= found.value <= found.high
    assert 0 < there.p_value <= 1
    assert there.p_value == back.p_value
    assert there.difference.value == -back.difference.value
    swapped = {"base": "adapter", "adapter": "base", "neither": "neither"}
    assert there.better == swapped[back.better]
    if there.better != "neither":
        assert there.p_value < 0.06
    again = _ratio(one, two, resamples=200)
    assert there == again
