"""Deterministic algorithms on a CPU, and on a GPU if asked for."""

from __future__ import annotations

import os

import pytest
import torch

from finetune.errors import TrainError
from finetune.train.determinism import deterministic

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "strict", "expected"),
    [(CPU, False, True), (CPU, True, True), (CUDA, False, False), (CUDA, True, True)],
)
def test_always_on_a_cpu_and_asked_for_on_a_gpu(
    device: torch.device, strict: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the block algorithms are deterministic on a CPU, and on a GPU if it is asked for: not
    as a warning, with which attention would stay as it is. Afterwards all is as before."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with deterministic(device, strict=strict):
        assert torch.are_deterministic_algorithms_enabled() is expected
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        asked = device is CUDA and strict
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (":4096:8" if asked else ":0:0")
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_such_an_algorithm_names_the_key() -> None:
    """The error names an operation without such an algorithm, and the key; other errors stay."""
    with pytest.raises(TrainError) as refused, deterministic(CPU, strict=True):
        torch.zeros(3).put_(torch.tensor([1]), torch.ones(1))
    (found,) = refused.value.problems
    assert (found.code, found.facts["operation"]) == ("not-deterministic", "put_")
    mine = RuntimeError("mine")
    with pytest.raises(RuntimeError) as other, deterministic(CPU, strict=True):
        raise mine
    assert other.value is mine
