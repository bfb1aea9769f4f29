"""Micro-batches are made one ahead, and numbers come back as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from finetune.train.transfer import on_host, one_ahead


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_next_item_is_made_before_this_one_is_used(count: int) -> None:
    """Order and number stay; at no time are more than two made and not yet used."""
    events: list[str] = []

    def made() -> Iterator[int]:
        for number in range(count):
            events.append(f"make {number}")
            yield number

    used = []
    for number in one_ahead(made()):
        events.append(f"use {number}")
        used.append(number)
    assert used == list(range(count))
    for number in range(1, count):
        assert events.index(f"make {number}") < events.index(f"use {number - 1}")
    for number in range(2, count):
        assert events.index(f"use {number - 2}") < events.index(f"make {number}")


def test_a_number_on_the_host_is_handed_on() -> None:
    """On a CPU nothing is copied."""
    losses = torch.tensor([1.5, 2.5])
    assert on_host(losses)() is losses
