"""The paired tests against brute force, known cases, false winners and their own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.statistics import bootstrap, significance
from finetune.statistics.bootstrap import ratio_of_sums, resampled_sums
from finetune.statistics.claims import LEVEL, holm
from finetune.statistics.significance import (
    Comparison,
    by_document,
    compare,
    exchange_test,
)


def _ratio(
    first: np.ndarray, second: np.ndarray, *, resamples: int = 500, seed: int = 0
) -> Comparison:
    return compare(first, second, score=ratio_of_sums, resamples=resamples, seed=seed)


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
    found = _ratio(items, items, resamples=4000).first
    mean, half = items[:, 0].mean(), 1.96 * items[:, 0].std() / np.sqrt(2000)
    assert found.value == pytest.approx(mean)
    assert found.low == pytest.approx(mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(mean + half, abs=0.1 * half)


def test_identical_systems_are_never_different():
    """The same statistics twice give difference 0, interval [0, 0] and p = 1."""
    found = _ratio(_items(50), _items(50))
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)
    assert found.p_value == 1


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_shift_of_every_item_has_the_smallest_p_value(factor):
    """A system that differs on every item in one direction is at the floor of the test."""
    base = _items(60)
    found = _ratio(base, base * [factor, 1])
    assert found.p_value == found.p_floor == pytest.approx(1 / 5000)


def test_pairing_finds_what_separate_intervals_hide():
    """A small steady gain is found although the two systems' own intervals overlap."""
    base = _items(100)
    found = _ratio(base, base * [0.99, 1])
    assert found.first.low < found.second.high
    assert found.p_value < 0.001
    assert found.detectable < 0.01 * found.first.value


def test_few_documents_are_tested_exactly():
    """Up to 12 documents p is the share of all exchanges, as a plain loop over them finds it."""
    rng = np.random.default_rng(5)
    first = _items(9)
    second = first + np.stack([rng.normal(-20, 60, 9), np.zeros(9)], axis=1)
    real = abs(ratio_of_sums(second.sum(0)) - ratio_of_sums(first.sum(0)))
    as_large = 0
    for exchange in range(2**9):
        moved = np.array([exchange >> d & 1 for d in range(9)], dtype=bool)[:, None]
        one, two = np.where(moved, second, first), np.where(moved, first, second)
        gap = abs(ratio_of_sums(two.sum(0)) - ratio_of_sums(one.sum(0)))
        as_large += gap >= real * (1 - 1e-9)
    found = exchange_test(first, second, score=ratio_of_sums, seed=0)
    assert found == (as_large / 2**9, 2 / 2**9)


def test_many_documents_in_blocks_are_tested_alike(constants):
    """Random exchanges are those of one Philox stream, whatever the size of a block."""
    first, second = _items(20), _items(20, seed=1)
    whole = exchange_test(first, second, score=ratio_of_sums, seed=3)
    constants(significance, _BLOCK_DRAWS=20 * 7)
    assert exchange_test(first, second, score=ratio_of_sums, seed=3) == whole


def _null(
    kind: str, documents: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two systems that are equally good, and the document of each item.

    `variance`: the second one's scores vary three times as much. `tails`: Student's t with 2
    degrees of freedom, so that single items decide. `clusters`: documents of 1 to 10 items, all of
    which one system happens to find easier.
    """
    items = rng.integers(1, 11, documents) if kind == "clusters" else np.ones(documents, dtype=int)
    document = np.repeat(np.arange(documents), items)
    length = rng.lognormal(4, 1, len(document))
    draw = (
        rng.standard_t(2, (2, len(document)))
        if kind == "tails"
        else rng.normal(size=(2, len(document)))
    )
    noise = draw * np.array([[0.2], [0.6]])
    if kind == "clusters":
        noise[1] += 0.5 * rng.normal(size=documents)[document]
    systems = [np.stack([length * (3 + one), length], axis=1) for one in noise]
    return systems[0], systems[1], document


def _alarms(kind: str, documents: int, *, draws: int, of: str = "documents") -> float:
    """Return how often a test at 5 % finds a difference between equal systems."""
    rng, alarms = np.random.default_rng(documents), 0
    for number in range(draws):
        *systems, document = _null(kind, documents, rng)
        if of == "documents":
            systems = [by_document(system, document.tolist()) for system in systems]
        p_value, _ = exchange_test(*systems, score=ratio_of_sums, seed=number)
        alarms += p_value < LEVEL
    return alarms / draws


@pytest.mark.parametrize("documents", [20, 50, 200])
@pytest.mark.parametrize("kind", ["variance", "tails", "clusters"])
@pytest.mark.parametrize("draws", [200, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_equal_systems_differ_in_at_most_five_percent_of_tests(constants, kind, documents, draws):
    """At most 5 % and two sampling errors, with unequal variances, heavy tails and clusters."""
    constants(significance, EXCHANGES=99)  # as exact as more, with less power
    most = 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)
    assert _alarms(kind, documents, draws=draws) <= most


def test_exchanging_items_instead_of_documents_would_find_false_winners(constants):
    """The nulls above can tell a wrong test: items of one document are not independent."""
    constants(significance, EXCHANGES=99)
    assert _alarms("clusters", 50, draws=200, of="items") > 0.1


@pytest.mark.parametrize("shape", [(0, 2), (3,)])
def test_wrong_shapes_are_refused(shape):
    """No items, or no statistics axis, is a ValueError."""
    with pytest.raises(ValueError, match="need the same items twice"):
        _ratio(np.ones(shape), np.ones(shape))


@given(st.lists(st.floats(0, 1), max_size=8))
def test_adjusted_p_values_are_in_order_and_no_smaller(p_values):
    """Holm's p-values are between p and n times p, at most 1, and in the order of p."""
    found = holm(p_values)
    for p, adjusted in zip(p_values, found, strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p)
    for one, other in zip(
        *(sorted(zip(p_values, found, strict=True))[k:] for k in (0, 1)), strict=False
    ):
        assert one[1] <= other[1]


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
    """Intervals hold their value; exchanging systems mirrors the difference; p is above 0."""
    one, two = pair
    there, back = _ratio(one, two, resamples=200), _ratio(two, one, resamples=200)
    for found in (there.first, there.second, there.difference):
        assert found.low <= found.value <= found.high
    assert 0 < there.p_floor <= there.p_value <= 1
    assert there.p_value == pytest.approx(back.p_value, abs=0.002)
    assert there.difference.value == -back.difference.value
    assert there == _ratio(one, two, resamples=200)
