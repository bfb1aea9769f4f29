"""Memory of a device: not more by sharding, packing or smaller work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.sizing.memory import Placement, device_memory, weight_bytes, work_on
from finetune.sizing.policy import BUCKET_ELEMENTS, GIB
from finetune.sizing.shape import adapter_parameters, model_shape
from finetune.spec.sections.training import Lora
from tests.support.model_shapes import LLAMA_8B, SMOLLM2_135M

CASES = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 4),
        "sequence_tokens": st.sampled_from([128, 2048]),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "gradient_checkpointing": st.booleans(),
        "lora": st.builds(Lora, rank=st.sampled_from([1, 16, 256])),
    }
)


def _total(placement: Placement, **work: Any) -> int:
    shape = model_shape(LLAMA_8B)
    return device_memory(shape, work_on(shape, placement, **work), placement).total


@given(case=CASES, ranks=st.sampled_from([2, 8, 64]))
@settings(max_examples=100, deadline=None)
def test_sharing_more_never_needs_more(case: dict[str, Any], ranks: int) -> None:
    """A GPU holds no more under zero2 than zero1 than ddp, and less under zero3 where ranks are
    many enough to make up for what is gathered."""
    place = {s: Placement(s, ranks) for s in ("ddp", "zero1", "zero2", "zero3", "fsdp")}
    ddp, zero1, zero2, zero3, _ = (_total(p, **case) for p in place.values())
    trained = sum(adapter_parameters(model_shape(LLAMA_8B), case["lora"]).values())
    # ZeRO's bucket and its float32 copy of the adapter are the price of sharing the moments
    assert zero2 <= zero1 <= ddp + 8 * BUCKET_ELEMENTS["gpu"] + 8 * trained
    assert zero3 < zero2
    offloaded = _total(replace(place["zero3"], offload="all"), **case)
    assert offloaded < _total(replace(place["zero3"], offload="optimizer"), **case) < zero3


@given(case=CASES, sharding=st.sampled_from(["zero1", "zero2", "zero3", "fsdp"]))
@settings(max_examples=50, deadline=None)
def test_more_ranks_never_need_more(case: dict[str, Any], sharding: Any) -> None:
    """A device of 16 ranks holds no more than one of 4, whatever is shared."""
    four, sixteen = (_total(Placement(sharding, ranks), **case) for ranks in (4, 16))
    assert sixteen <= four


def test_packed_weights_have_the_size_bitsandbytes_gives_them() -> None:
    """SmolLM2-135M takes 538 MB, 220 MB in 8 bits and 166 MB in 4, embedding and norms in fp32."""
    shape = model_shape(SMOLLM2_135M)
    place = Placement()
    sizes = [
        weight_bytes(
            shape,
            work_on(
                shape,
                place,
                lora=Lora(),
                rows=1,
                sequence_tokens=16,
                precision="fp32",
                quantization=packed,
            ),
        )
        for packed in ("none", "8bit", "4bit")
    ]
    assert sizes[0] == 4 * 134_515_008
    assert sizes[1] == pytest.approx(220e6, rel=0.01)
    assert sizes[2] == pytest.approx(168e6, rel=0.01)


def test_only_what_splits_weights_makes_a_large_base_fit() -> None:
    """8 billion parameters in fp32 leave a 24 GiB GPU under zero3 alone, not under zero2."""
    case: dict[str, Any] = {
        "lora": Lora(),
        "rows": 1,
        "sequence_tokens": 512,
        "precision": "fp32",
    }
    assert _total(Placement("zero2", 8), **case) > 24 * GIB > _total(Placement("zero3", 8), **case)


def test_attention_in_groups_needs_more_memory_than_flash_attention() -> None:
    """A T4 and an AMD card pad documents and repeat keys; an A100 in bf16 does neither, in fp32 it
    does as they do."""
    case: dict[str, Any] = {"lora": Lora(), "rows": 4, "sequence_tokens": 2048}
    for precision in ("bf16", "fp32"):
        t4, amd, a100 = (
            _total(Placement(capability=capability), **case, precision=precision)
            for capability in ((7, 5), None, (8, 0))
        )
        assert t4 == amd
        assert (a100 < t4) == (precision == "bf16")
