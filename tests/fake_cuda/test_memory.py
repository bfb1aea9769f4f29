"""Memory on a fake GPU against the estimate that `finetune estimate` and `finetune train` take."""

from __future__ import annotations

import pytest

from tests.fake_cuda.step import Case, estimated, run

CASES = [
    Case(size=size, quantization=quantization, text=text, feature=feature)
    for size, quantization, text, feature in (
        ("135M", "none", "short", ""),
        ("8B", "none", "short", ""),
        ("135M", "4bit", "short", ""),
        ("8B", "4bit", "short", ""),
        ("135M", "none", "long", "checkpointing"),
        ("8B", "none", "long", "checkpointing"),
        ("135M", "none", "short", "dora"),
        ("8B", "none", "short", "dora"),
        ("135M", "4bit", "short", "dora"),
        ("8B", "4bit", "short", "dora"),
        ("135M", "none", "short", "dropout"),
        ("8B", "none", "short", "dropout"),
        ("135M", "none", "short", "new tokens"),
        ("8B", "none", "short", "new tokens"),
    )
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_estimate_is_within_a_tenth_of_the_peak(case: Case) -> None:
    """At two sizes, of the weights and of what is held beside them."""
    found = run(case)
    weights, beside = estimated(case)
    assert weights == pytest.approx(found.weights_bytes, rel=0.02)
    assert beside == pytest.approx(found.peak_bytes, rel=0.1)
