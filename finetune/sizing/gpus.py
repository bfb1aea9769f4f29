"""GPUs as their data sheets describe them: memory, peak by precision, power, architecture.

Peaks are those of dense matrix products: where a data sheet states them with sparsity, half of it.
For GeForce cards they are those that accumulate in float32, as training does. Memory is what torch
shows of the card (`total_memory`), as it stands in public reports of CUDA's out-of-memory error:
up to 10 % less than the data sheet, because of ECC and the driver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from finetune.spec.sections.training import Precision

Form = Literal["", "SXM", "PCIE", "NVL"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; of a card with two dies, the die that programs see."""

    name: str
    word: str
    """Its name among the words of a driver's."""
    form: Form
    """The form of the module, where its peak or power depends on it."""
    architecture: str
    """As `torch.cuda.get_arch_list()` names it."""
    memory_gib: Mapping[int, float]
    """By gigabytes of the data sheet."""
    fp16: float
    """Peaks in TFLOP/s."""
    bf16: float | None
    tf32: float | None
    fp32: float
    watts: float
    """Most power it draws."""

    @property
    def has_bf16(self) -> bool:
        """Return whether bf16 is computed by the card itself."""
        return self.bf16 is not None

    @property
    def capability(self) -> tuple[int, int] | None:
        """CUDA's compute capability; None for a card of AMD.

        >>> find_gpu("A10").capability
        (8, 6)
        """
        number = self.architecture.removeprefix("sm_")
        return (int(number[:-1]), int(number[-1])) if number.isdigit() else None

    def peak_tflops(self, precision: Precision) -> float:
        """Return the peak of products in a precision; fp32 means TF32 where the card has it.

        >>> find_gpu("V100").peak_tflops("fp32"), find_gpu("A100").peak_tflops("fp32")
        (15.7, 156)
        """
        if precision == "fp16":
            return self.fp16
        if precision == "bf16":
            return self.bf16 or self.fp32  # emulated
        return self.tf32 or self.fp32


GPUS: tuple[Gpu, ...] = (
    # NVIDIA H200 Tensor Core GPU, data sheet
    Gpu("H200 SXM", "H200", "SXM", "sm_90", {141: 139.7}, 989, 989, 494, 67, 700),
    # NVIDIA H100 Tensor Core GPU, data sheet (SXM5, NVL) and architecture white paper (PCIe)
    Gpu("H100 SXM", "H100", "SXM", "sm_90", {80: 79.1}, 989, 989, 494, 67, 700),
    Gpu("H100 NVL", "H100", "NVL", "sm_90", {94: 93.1}, 835, 835, 417, 60, 400),
    Gpu("H100 PCIe", "H100", "PCIE", "sm_90", {80: 79.1}, 756, 756, 378, 51, 350),
    # NVIDIA A100 Tensor Core GPU, data sheet
    Gpu("A100 SXM", "A100", "SXM", "sm_80", {40: 39.4, 80: 79.1}, 312, 312, 156, 19.5, 400),
    Gpu("A100 PCIe", "A100", "PCIE", "sm_80", {40: 39.4, 80: 79.1}, 312, 312, 156, 19.5, 300),
    # NVIDIA V100 Tensor Core GPU, data sheet
    Gpu("V100 SXM2", "V100", "SXM", "sm_70", {16: 15.8, 32: 31.7}, 125, None, None, 15.7, 300),
    Gpu("V100 PCIe", "V100", "PCIE", "sm_70", {16: 15.8, 32: 31.7}, 112, None, None, 14, 250),
    # NVIDIA L40S GPU, NVIDIA A10 Tensor Core GPU, NVIDIA T4 Tensor Core GPU, data sheets
    Gpu("L40S", "L40S", "", "sm_89", {48: 44.4}, 362, 362, 183, 91.6, 350),
    Gpu("A10", "A10", "", "sm_86", {24: 22.1}, 125, 125, 62.5, 31.2, 150),
    Gpu("T4", "T4", "", "sm_75", {16: 14.6}, 65, None, None, 8.1, 70),
    # NVIDIA Ada GPU architecture, white paper, appendix A
    Gpu("RTX 4090", "4090", "", "sm_89", {24: 23.6}, 165.2, 165.2, 82.6, 82.6, 450),
    # NVIDIA Ampere GA102 GPU architecture, white paper, table 9
    Gpu("RTX 3090", "3090", "", "sm_86", {24: 23.7}, 71, 71, 35.6, 35.6, 350),
    # AMD Instinct MI250X, product page: 383 TFLOP/s in half precision, 95.7 in float32 matrix
    # products, 560 W, 128 GB for both of its dies; each is a GPU to programs
    Gpu("MI250X (one die)", "MI250X", "", "gfx90a", {64: 64.0}, 191.5, 191.5, None, 47.9, 280),
)
"""The most usual form of a card comes first."""

_OTHER_CARDS = frozenset({"TI", "D", "LAPTOP", "MIG", "GRACE"})
"""Words that make of a name another, smaller card, or a part of one."""


def find_gpu(name: str | None) -> Gpu | None:
    """Return the known GPU that a driver or a person calls by a name like `H100 80GB`.

    >>> find_gpu("NVIDIA H100 80GB HBM3").watts, find_gpu("NVIDIA H100 PCIe").watts
    (700, 350)
    >>> find_gpu("NVIDIA A100-SXM4-80GB").name, find_gpu("rtx4090").name
    ('A100 SXM', 'RTX 4090')
    >>> find_gpu("NVIDIA GeForce RTX 3090 Ti") is None
    True
    """
    words = _words(name)
    if words & _OTHER_CARDS:
        return None
    found = [gpu for gpu in GPUS if gpu.word in words]
    forms = [gpu for gpu in found if gpu.form and any(w.startswith(gpu.form) for w in words)]
    return next(iter((*forms, *found)), None)


def memory_gib_of(name: str | None) -> float | None:
    """Return the memory of the named GPU, or None: unknown, or a card of several sizes.

    >>> memory_gib_of("RTX 4090"), memory_gib_of("A100 40GB"), memory_gib_of("A100")
    (23.6, 39.4, None)
    """
    gpu = find_gpu(name)
    if gpu is None:
        return None
    stated = re.search(r"(\d{1,4})\s{0,3}GI?B", (name or "").upper())
    if stated is not None:
        return gpu.memory_gib.get(int(stated[1]))
    sizes = tuple(gpu.memory_gib.values())
    return sizes[0] if len(sizes) == 1 else None


def _words(name: str | None) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Z0-9]+", (name or "").upper().replace("RTX", "RTX ")))
