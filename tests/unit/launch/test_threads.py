"""CPU threads of a rank."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.launch import threads


def test_two_hardware_threads_are_one_core(tmp_path: Path):
    """Cores are counted by their siblings, among the allowed CPUs only."""
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / str(cpu)).write_text(siblings + "\n")
    pattern = f"{tmp_path}/{{cpu}}"
    assert threads.cores_of({0, 1, 2, 3}, siblings=pattern) == 2
    assert threads.cores_of({0, 1}, siblings=pattern) == 2  # --hint=nomultithread
    assert threads.cores_of({0, 2}, siblings=pattern) == 1
    assert threads.cores_of({7, 8}, siblings=pattern) == 2  # not known


@pytest.mark.parametrize(
    ("allowed", "launcher", "expected"),
    [
        (96, {}, 24),  # srun without binding, or accelerate: the node is divided
        (24, {}, 24),  # srun --cpus-per-task=24 bound this rank already
        (24, {"TORCHELASTIC_RUN_ID": "none"}, 6),  # torchrun in a job of 24 CPUs binds none
    ],
)
def test_cpus_are_divided_once(allowed, launcher, expected):
    """Four ranks on a node of 96."""
    shared = threads.is_shared(allowed, of=96, environment=launcher)
    assert threads.share_of(allowed, is_shared=shared, ranks=4) == expected


def test_what_is_asked_for_comes_first_then_the_variable(variables):
    """`run.threads`, then OMP_NUM_THREADS, which batch scripts set."""
    variables(OMP_NUM_THREADS="7")
    assert threads.threads_of(3) == 3
    assert threads.threads_of(None) == 7
    variables(OMP_NUM_THREADS="")
    assert threads.threads_of(None) >= 1
