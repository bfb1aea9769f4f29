"""Order of rows and shape of the learning rate."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from finetune.artefacts.order import key_of_step, rows_of_step
from finetune.spec.sections.training import Train, total_steps
from finetune.train.schedule import learning_rate_factor
from tests.support.problems import codes_of

SEEDS = st.integers(min_value=-(2**70), max_value=2**70)


@given(seed=SEEDS, rows=st.integers(1, 50), each=st.integers(1, 60), steps=st.integers(1, 20))
def test_every_row_comes_once_before_any_comes_again(
    seed: int, rows: int, each: int, steps: int
) -> None:
    """After any number of steps the counts of two rows differ by at most one."""
    taken = [rows_of_step(seed, s, num_rows=rows, rows_per_step=each) for s in range(steps)]
    counts = Counter(np.concatenate(taken).tolist())
    assert set(counts) <= set(range(rows))
    assert max(counts.values()) - min(counts.get(r, 0) for r in range(rows)) <= 1
    assert all(len(t) == each for t in taken)


@given(seed=SEEDS, step=st.integers(0, 10**6), others=st.lists(st.integers(0, 10**6), max_size=3))
def test_a_step_depends_on_nothing_asked_before(seed: int, step: int, others: list[int]) -> None:
    """Whatever was asked for in between, a step has the same rows."""
    first = rows_of_step(seed, step, num_rows=31, rows_per_step=8).tolist()
    for other in others:
        rows_of_step(seed + 1, other, num_rows=17, rows_per_step=8)
        rows_of_step(seed, other, num_rows=31, rows_per_step=8)
    assert rows_of_step(seed, step, num_rows=31, rows_per_step=8).tolist() == first


def test_seed_and_epoch_change_the_order() -> None:
    """Two epochs of one seed, and two seeds, take the same rows in other orders."""

    def epoch(seed: int, number: int) -> list[int]:
        return rows_of_step(seed, number, num_rows=50, rows_per_step=50).tolist()

    orders = [epoch(1, 0), epoch(1, 1), epoch(2, 0), epoch(2, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(map(tuple, orders))) == 4


def test_global_generators_change_nothing() -> None:
    """Another process with other hash seeds and generators finds the same rows and keys."""
    program = (
        "import numpy, random; numpy.random.seed(5); random.seed(6)\n"
        "from finetune.artefacts.order import *\n"
        "print(rows_of_step(3, 9, num_rows=11, rows_per_step=4).tolist(), key_of_step(3, 9))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    expected = rows_of_step(3, 9, num_rows=11, rows_per_step=4).tolist()
    assert found == f"{expected} {key_of_step(3, 9)}"


@given(
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    warmup=st.integers(0, 30),
    total=st.integers(1, 60),
)
def test_learning_rate_rises_then_falls_and_is_never_zero(
    schedule: str, warmup: int, total: int
) -> None:
    """Every step has a rate in (0, 1]; it never falls during warm-up and never rises after."""
    rates = [
        learning_rate_factor(s, schedule=schedule, warmup_steps=warmup, total_steps=total)
        for s in range(total)
    ]
    assert all(0 < r <= 1 for r in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


@given(epochs=st.floats(0.01, 20), rows=st.integers(1, 500), each=st.integers(1, 64))
def test_epochs_become_steps_that_cover_them(epochs: float, rows: int, each: int) -> None:
    """The steps of some epochs see at least that many rows, and one step less would not."""
    steps = total_steps(Train(epochs=epochs), num_rows=rows, rows_per_step=each)
    assert steps * each >= epochs * rows * (1 - 1e-6)
    assert steps == 1 or (steps - 1) * each < epochs * rows


@pytest.mark.parametrize(
    ("written", "steps", "warmup"),
    [
        ({}, 24, 1),
        ({}, 1000, 30),
        ({}, 1, 1),
        ({"warmup_ratio": 0.0}, 24, 0),
        ({"warmup_ratio": 0.1}, 24, 3),
        ({"warmup_steps": 10}, 4, 10),
    ],
)
def test_warmup_is_a_share_of_the_steps_unless_its_steps_are_given(
    written: dict[str, Any], steps: int, warmup: int
) -> None:
    """The default is 3 %, at least one step, whatever the length of the run."""
    assert Train(max_steps=steps, **written).warmup_of(steps) == warmup


@pytest.mark.parametrize(
    ("written", "steps", "warns"),
    [
        ({}, 1, False),
        ({}, 4, False),
        ({"warmup_steps": 10}, 4, True),
        ({"warmup_steps": 10}, 49, True),
        ({"warmup_steps": 10}, 50, False),
        ({"warmup_ratio": 0.5}, 50, True),
    ],
)
def test_a_warmup_of_more_than_a_fifth_gets_a_warning(
    written: dict[str, Any], steps: int, warns: bool
) -> None:
    """The warning names the key and the steps; the first step alone is never too long."""
    found = Train(max_steps=steps, **written).warmup_warning(steps)
    assert (found is not None) == warns
    if found:
        assert found.facts["steps"] == steps
        assert found.place is not None
        assert found.place.key == f"train.{next(iter(written))}"


@given(steps=st.integers(5, 5000))
def test_validation_runs_at_least_five_times_by_default(steps: int) -> None:
    """Also in a short run; in a long one every 50 steps."""
    every = Train(max_steps=steps).validation_interval(steps)
    assert steps // every >= 5
    assert every == 50 or steps < 250


def test_two_lengths_of_the_warmup_are_refused() -> None:
    """Steps and share together leave open which counts."""
    with pytest.raises(ValidationError) as refused:
        Train(max_steps=8, warmup_steps=1, warmup_ratio=0.1)
    assert codes_of(refused.value) == ["two-warmups"]
