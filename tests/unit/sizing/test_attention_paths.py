"""The table of attention kernels, by device, precision, width and soft cap."""

from __future__ import annotations

import pytest

from finetune.sizing.attention_paths import (
    CPU,
    AttentionPath,
    Chip,
    attention_path,
    is_new_enough,
)
from finetune.spec.sections.training import Precision

V100, T4, A100, A10, L40S = (7, 0), (7, 5), (8, 0), (8, 6), (8, 9)
H100, B200, RTX_5090 = (9, 0), (10, 0), (12, 0)


@pytest.mark.parametrize(
    ("capability", "precision", "head_width", "wanted"),
    [
        (A100, "bf16", 64, "varlen"),
        (A100, "fp16", 128, "varlen"),
        (A100, "fp32", 128, "grouped"),
        (H100, "bf16", 256, "varlen"),
        (A10, "bf16", 256, "varlen"),
        (A10, "bf16", 224, "grouped"),
        (L40S, "bf16", 200, "grouped"),
        (L40S, "bf16", 192, "varlen"),
        (A100, "bf16", 224, "varlen"),
        (RTX_5090, "bf16", 208, "grouped"),
        (RTX_5090, "bf16", 128, "varlen"),
        (B200, "bf16", 128, "varlen"),
        (A100, "bf16", 100, "grouped"),  # no multiple of 8
        (H100, "bf16", 512, "grouped"),
        (V100, "fp16", 64, "grouped"),
        (T4, "fp16", 128, "grouped"),
        ((13, 0), "bf16", 128, "grouped"),  # not known to torch's kernel yet
        (None, "bf16", 128, "grouped"),  # AMD
    ],
)
def test_a_gpu_takes_flash_attention_where_it_can_train(
    capability: tuple[int, int] | None,
    precision: Precision,
    head_width: int,
    wanted: AttentionPath,
) -> None:
    """`varlen` from sm80 on in half precision, for the widths with a backward pass; else groups."""
    chip = Chip("gpu", capability)
    assert attention_path(chip, precision=precision, head_width=head_width) == wanted


def test_a_cpu_runs_documents_and_soft_caps_run_in_groups() -> None:
    """On a CPU only the soft cap decides; on a GPU it overrides everything else."""
    assert attention_path(CPU, precision="bf16", head_width=100) == "documents"
    for chip in (CPU, Chip("gpu", H100)):
        path = attention_path(chip, precision="bf16", head_width=128, soft_capped=True)
        assert path == "grouped"


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("2.11.0", False), ("2.12.0+cu130", True), ("2.13.0+cpu", True), ("2.9.1", False)],
)
def test_versions_of_torch_are_numbers(version: str, *, wanted: bool) -> None:
    """2.9 is older than 2.12, and what follows a plus sign does not matter."""
    assert is_new_enough(version) == wanted
