"""The table of GPUs: found by the names that drivers and people give them, numbers in order."""

from __future__ import annotations

import pytest

from finetune.sizing.gpus import GPUS, find_gpu, memory_gib_of

NAMES = {  # as torch.cuda.get_device_name and Slurm print them
    "NVIDIA GeForce RTX 4090": ("RTX 4090", 23.6),
    "NVIDIA GeForce RTX 3090": ("RTX 3090", 23.7),
    "Tesla T4": ("T4", 14.6),
    "NVIDIA L40S": ("L40S", 44.4),
    "NVIDIA A10": ("A10", 22.1),
    "Tesla V100-SXM2-32GB": ("V100 SXM2", 31.7),
    "Tesla V100-PCIE-16GB": ("V100 PCIe", 15.8),
    "NVIDIA A100-SXM4-40GB": ("A100 SXM", 39.4),
    "NVIDIA A100 80GB PCIe": ("A100 PCIe", 79.1),
    "NVIDIA H100 80GB HBM3": ("H100 SXM", 79.1),
    "NVIDIA H100 NVL": ("H100 NVL", 93.1),
    "NVIDIA H200": ("H200 SXM", 139.7),
    "AMD Instinct MI250X": ("MI250X (one die)", 64.0),
    "a100": ("A100 SXM", None),
    "rtx4090": ("RTX 4090", 23.6),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_found_by_what_its_driver_calls_it(name: str) -> None:
    """Name and memory follow from the driver's name or a person's; a size that is not stated of a
    card that has several is not guessed."""
    gpu = find_gpu(name)
    assert gpu is not None
    assert (gpu.name, memory_gib_of(name)) == NAMES[name]


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "Voodoo 2",
        "NVIDIA A10G",
        "NVIDIA L40",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
        "NVIDIA GH200 480GB",
    ],
)
def test_another_card_with_a_name_like_it_is_not_taken_for_it(name: str | None) -> None:
    """A smaller card, a laptop's, or a slice of one gets no figures of the whole one."""
    assert find_gpu(name) is None
    assert memory_gib_of(name) is None


def test_peaks_are_dense_and_in_order() -> None:
    """No card is faster in a wider format, and bf16 is as fast as fp16 where it is there; memory
    is never more than the data sheet's gigabytes."""
    for gpu in GPUS:
        half, single = gpu.peak_tflops("fp16"), gpu.peak_tflops("fp32")
        assert half > single >= gpu.fp32, gpu
        assert gpu.bf16 in (None, gpu.fp16), gpu
        assert gpu.has_bf16 == (gpu.capability is None or gpu.capability >= (8, 0)), gpu
        for gigabytes, gib in gpu.memory_gib.items():
            assert 0.9 * gigabytes < gib <= gigabytes, gpu
