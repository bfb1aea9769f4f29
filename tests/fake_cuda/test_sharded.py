"""A base split by FSDP over GPUs that are not there: its shards, its peak, and the estimate."""

from __future__ import annotations

import pytest

from finetune.sizing.memory import Placement
from finetune.sizing.policy import GIB
from finetune.spec.sections.training import Offload
from tests.fake_cuda.sharded import run_rank
from tests.fake_cuda.step import Case, estimated

CASES = [
    (Case(layers=4), 2),
    (Case(size="8B"), 2),
    (Case(size="8B", layers=4, quantization="4bit"), 2),
    (Case(size="8B", layers=4, feature="checkpointing"), 8),
]
LAYERS, LAYERS_OF_70B = (2, 4), 80
"""Those that are run; bytes are linear in layers."""


@pytest.mark.parametrize(("case", "ranks"), CASES, ids=str)
def test_the_estimate_is_within_a_tenth_of_the_peak(case: Case, ranks: int) -> None:
    """Weights are split, scales and what is gathered are not."""
    found = run_rank(case, rank=0, ranks=ranks)
    weights, beside = estimated(case, placement=Placement("fsdp", ranks))
    assert weights == pytest.approx(found.shards + found.scales, rel=0.02)
    assert weights + beside == pytest.approx(found.peak, rel=0.1)
    assert beside == pytest.approx(found.peak - found.shards - found.scales, rel=0.1)


def test_the_shards_of_all_ranks_are_the_model() -> None:
    """Nothing of a base in 4 bits is held twice but its scales."""
    case = Case(size="70B", quantization="4bit", feature="checkpointing")
    held = [run_rank(case, rank=rank, ranks=3) for rank in range(3)]
    print([(rank.shards, rank.scales) for rank in held])
    whole, _ = estimated(case)
    assert sum(rank.shards for rank in held) + held[0].scales == pytest.approx(whole, rel=1e-3)
    assert max(rank.shards for rank in held) < 0.34 * whole
    assert {rank.scales for rank in held} == {held[0].scales}


@pytest.mark.parametrize(("offload", "most_gib"), [("all", 22), ("none", 29)])
def test_70b_in_4_bits_fits_two_cards(offload: Offload, most_gib: int) -> None:
    """24 GB with its parts in the memory of the machine, 32 GB without; 2,048 tokens at a time."""
    few, more = (run_rank(_large(n), rank=0, ranks=2, offload=offload) for n in LAYERS)
    left = (LAYERS_OF_70B - LAYERS[1]) / (LAYERS[1] - LAYERS[0])
    peak = more.peak + left * (more.peak - few.peak)
    shards = more.shards + left * (more.shards - few.shards)
    print(f"{shards / GIB:.1f} GiB of weights per rank, peak {peak / GIB:.1f} GiB")
    assert 18 < shards / GIB < 19
    assert peak / GIB < most_gib
    weights, beside = estimated(_large(LAYERS_OF_70B), placement=Placement("fsdp", 2, offload))
    assert weights + beside == pytest.approx(peak, rel=0.1)


def _large(layers: int) -> Case:
    return Case(size="70B", quantization="4bit", feature="checkpointing", layers=layers)
