"""Order of rows and shape of the learning rate."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.spec.recipe import Train
from finetune.train.order import key_of_step, rows_of_step
from finetune.train.schedule import learning_rate_factor, total_steps

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


def test_global_generators_change_nothing() -> None:
    """Another process with other hash seeds and generators finds the same rows and keys."""
    program = (
        "import numpy, random; numpy.random.seed(5); random.seed(6)\n"
        "from finetune.train.order import *\n"
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
