"""A step of training on a GPU: one device, one type, no waits, no mask over all tokens."""

from __future__ import annotations

import pytest

from tests.fake_cuda.step import Case, faults, run
from tests.fake_cuda.table import TABLE

CASES = [Case(**case) for case in TABLE]
HALF = [Case(precision="fp16"), Case(size="8B", feature="head"), Case(quantization="4bit")]


@pytest.mark.parametrize("case", [*CASES, *HALF], ids=str)
def test_a_step_on_a_gpu_is_without_faults(case: Case) -> None:
    """Every two of architecture, size, quantisation, text and feature meet here."""
    assert faults(case, run(case)) == []
