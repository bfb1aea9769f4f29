"""Kernels that keep packed documents apart: device, precision and architecture -> path.

No path computes scores between documents. `documents` calls the CPU's flash attention once per
document. `varlen` is one call of torch's flash attention for all documents of a batch. `grouped`
pads documents of similar length to a batch and runs causal attention on it, by whatever kernel
torch has for the device; scores with a soft cap (Gemma 2) go this way everywhere.

| device                         | precision  | width of a head                    | path        |
|--------------------------------|------------|------------------------------------|-------------|
| CPU                            | any        | any                                | `documents` |
| NVIDIA, sm80 to sm121          | bf16, fp16 | a multiple of 8, at most 256       | `varlen`    |
| NVIDIA, sm86 to sm89, sm120 on | bf16, fp16 | 200 to 224: no backward pass there | `grouped`   |
| NVIDIA before sm80             | any        | any                                | `grouped`   |
| NVIDIA                         | fp32       | any                                | `grouped`   |
| AMD                            | any        | any                                | `grouped`   |

The limits are those of torch 2.12 and later (`check_flash_attention_hardware_support` and
`check_requires_grad_and_head_dim_gt192_constraints_on_sm86_89_or_120` in ATen's sdp_utils.cpp).
torch has the same call for AMD; it was not run there for this program, and is not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune.sizing.policy import Device
from finetune.spec.sections.training import Precision

AttentionPath = Literal["documents", "varlen", "grouped"]

FIRST_TORCH = (2, 12)
"""First release whose `varlen_attn` has windows and shared key heads."""
_FLASH = ((8, 0), (12, 1))
_FLASH_MULTIPLE, _FLASH_MOST = 8, 256
_SMALL_CHIPS = (((8, 6), (8, 9)), ((12, 0), (12, 1)))
_SMALL_CHIPS_LACK = range(193, 225)


@dataclass(frozen=True, slots=True)
class Chip:
    """Facts of a device that decide on its kernels."""

    kind: Device
    capability: tuple[int, int] | None = None
    """NVIDIA's compute capability; None on AMD and on a CPU."""


CPU = Chip("cpu")


def attention_path(
    chip: Chip, *, precision: Precision, head_width: int, soft_capped: bool = False
) -> AttentionPath:
    """Return the path that training takes; scoring takes the same one, so that both sum alike.

    >>> attention_path(Chip("gpu", (9, 0)), precision="bf16", head_width=128)
    'varlen'
    >>> attention_path(Chip("gpu", (7, 5)), precision="fp16", head_width=64)
    'grouped'
    """
    if soft_capped:
        return "grouped"
    if chip.kind == "cpu":
        return "documents"
    flash = precision != "fp32" and _has_flash(chip.capability, head_width=head_width)
    return "varlen" if flash else "grouped"


def is_new_enough(torch_version: str) -> bool:
    """Return whether this torch has what GPUs need here.

    >>> is_new_enough("2.11.1+cu128"), is_new_enough("2.12.0"), is_new_enough("3.0.0a0")
    (False, True, True)
    """
    major, minor = torch_version.split(".")[:2]
    return (int(major), int(minor)) >= FIRST_TORCH


def _has_flash(capability: tuple[int, int] | None, *, head_width: int) -> bool:
    if capability is None or not _FLASH[0] <= capability <= _FLASH[1]:
        return False
    small = any(first <= capability <= last for first, last in _SMALL_CHIPS)
    if small and head_width in _SMALL_CHIPS_LACK:
        return False
    return head_width % _FLASH_MULTIPLE == 0 and head_width <= _FLASH_MOST
