"""Rows of a micro-batch on a GPU, with a made-up card in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune.sizing.policy import GIB, choose_micro_batch_rows, gpu_budget_bytes
from finetune.train.measured_rows import MOST_TRIALS, Trial, largest_micro_batch


@dataclass
class Card:
    """A card on which a micro-batch takes `fixed + rows * each + squares * rows^2` bytes."""

    total_bytes: int
    held_bytes: int
    fixed: int
    each: int
    squares: int = 0
    peak_bytes: int = 0
    ran: list[int] = field(default_factory=list)
    too_large: list[int] = field(default_factory=list)

    @property
    def available_bytes(self) -> int:
        return self.total_bytes

    def forget(self) -> None:
        self.peak_bytes = 0

    def needed(self, rows: int) -> int:
        return self.held_bytes + self.fixed + self.each * rows + self.squares * rows**2

    def run(self, rows: int) -> None:
        if self.needed(rows) > self.total_bytes:
            self.too_large.append(rows)
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.ran.append(rows)
        self.peak_bytes = self.needed(rows)


def _tried(card: Card, *, budget: int, share: int) -> Trial | None:
    choose = partial(
        choose_micro_batch_rows, "auto", rows_of_rank=share, sequence_tokens=512, device="gpu"
    )
    return largest_micro_batch(
        card.run, memory=card, budget_bytes=budget, choose=lambda fits: choose(fits=fits)
    )


CARDS = st.builds(
    Card,
    total_bytes=st.integers(1, 10**6),
    held_bytes=st.integers(0, 10**5),
    fixed=st.integers(0, 10**5),
    each=st.integers(1, 10**5),
    squares=st.sampled_from([0, 0, 10, 10**4]),
)


@given(card=CARDS, budget_share=st.floats(0.2, 1.5), share=st.integers(1, 300))
def test_rows_that_are_chosen_were_run_and_fit(card: Card, budget_share: float, share: int) -> None:
    """Whatever a row costs, also where memory grows with the square of rows: what is chosen ran on
    the card, its peak is the one that is recorded, and several rows keep within the budget; after
    an out-of-memory nothing larger than half is tried; None only if one row has no room."""
    budget = int(budget_share * card.total_bytes)
    found = _tried(card, budget=budget, share=share)
    assert len(card.ran) + len(card.too_large) <= MOST_TRIALS
    if found is None:
        assert card.needed(1) > card.total_bytes
        return
    assert found.rows in card.ran
    assert found.rows <= share
    assert found.peak_bytes == card.needed(found.rows) <= card.total_bytes
    assert found.rows == 1 or found.peak_bytes <= budget
    for too_large in card.too_large:
        assert found.rows < too_large


def test_memory_that_runs_out_halves_the_rows() -> None:
    """A card on which 20 rows run out, though one row foretold that they fit, gets 10."""
    card = Card(total_bytes=1500, held_bytes=0, fixed=0, each=10, squares=4)
    found = _tried(card, budget=1500, share=20)
    assert card.too_large == [20]
    assert found == Trial(10, 10 * 10 + 4 * 100)


def test_a_fixed_part_is_not_counted_with_every_row() -> None:
    """Chunks of logits are there once: after the second micro-batch the line through both is
    followed, and the largest that fits is found."""
    card = Card(total_bytes=10_000, held_bytes=1000, fixed=2000, each=100)
    found = _tried(card, budget=8000, share=50)
    assert found == Trial(50, 8000)
    assert len(card.ran) == 3


def test_other_errors_are_not_taken_for_memory() -> None:
    """A wrong shape is an error of its own."""

    def run(rows: int) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    card = Card(100, 0, 0, 1)
    with pytest.raises(RuntimeError) as caught:
        largest_micro_batch(run, memory=card, budget_bytes=100, choose=lambda _: 1)
    assert "shapes" in str(caught.value)


@given(
    free=st.floats(2, 200),
    taken=st.floats(0, 10),
    asked=st.one_of(st.none(), st.floats(0.5, 300)),
)
def test_the_budget_of_a_gpu_comes_from_its_free_memory(
    free: float, taken: float, asked: float | None
) -> None:
    """It is less than what is free, however the rest was taken, and never more than was asked."""
    total = free + taken
    found = gpu_budget_bytes(asked, free_bytes=free * GIB, total_bytes=total * GIB)
    assert found < free * GIB
    if asked is not None:
        assert found <= asked * GIB
