"""Plan of a base over several GPUs: how many it needs, and which has which layer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.sizing.layers_over_gpus import (
    SHARE,
    Need,
    gpus_needed,
    held_bytes,
    layers_over,
    need_of,
)
from finetune.sizing.memory import Placement, weight_bytes, work_on
from finetune.sizing.policy import GIB
from finetune.sizing.shape import model_shape
from finetune.spec.sections.training import Lora
from tests.support.model_shapes import LLAMA_1B, LLAMA_70B


def _need(config, *, quantization="none"):
    shape = model_shape(config)
    work = work_on(
        shape,
        Placement(device="gpu"),
        lora=Lora(rank=16),
        rows=16,
        sequence_tokens=1024,
        precision="bf16",
        quantization=quantization,
    )
    return shape, work, need_of(shape, work, cache_bytes=4 * GIB)


@pytest.mark.parametrize("quantization", ["none", "8bit", "4bit"])
def test_its_parts_are_the_whole_base_and_its_adapter(quantization):
    """Embedding, layers and head weigh what `estimate` says, with the adapter in the layers."""
    shape, work, need = _need(LLAMA_70B, quantization=quantization)
    whole = need.first + need.layers * need.layer + need.last
    adapter = whole - weight_bytes(shape, work)
    assert 0 < adapter < weight_bytes(shape, work) / 20
    tied = need_of(replace(shape, tied=True), work, cache_bytes=0)
    assert tied.last == 0 < tied.first


@pytest.mark.parametrize(("gib", "gpus"), [(141, 2), (80, 3), (40, 5)])
def test_a_base_takes_as_few_gpus_as_hold_it(gib, gpus):
    """Weights in their precision, the adapter, the cache and a forward pass, 90 % of each GPU."""
    _, _, need = _need(LLAMA_70B)
    assert gpus_needed(need, memory_bytes=gib * GIB, visible=8) == gpus
    assert max(held_bytes(need, gpus)) <= SHARE * gib * GIB < max(held_bytes(need, gpus - 1))


def test_a_quantised_base_takes_fewer():
    """Its layers weigh about a quarter."""
    needs = [_need(LLAMA_70B, quantization=name)[2] for name in ("none", "4bit")]
    plain, quantised = (gpus_needed(n, memory_bytes=40 * GIB, visible=8) for n in needs)
    assert quantised < plain


def test_layers_follow_each_other_and_weigh_alike():
    """Rising numbers, every GPU with some, none with more than a layer and an embedding more."""
    _, _, need = _need(LLAMA_70B)
    for gpus in (2, 3, 4, 8):
        layers = layers_over(need, gpus)
        assert len(layers) == 80
        assert list(layers) == sorted(layers)
        assert set(layers) == set(range(gpus))
        held = held_bytes(need, gpus)
        assert max(held) - min(held) <= 2 * (need.layer + need.cache)


def test_a_small_base_stays_on_one_gpu():
    """Nothing is spread that fits, whatever the number of GPUs."""
    _, _, need = _need(LLAMA_1B)
    assert gpus_needed(need, memory_bytes=24 * GIB, visible=8) == 1


def test_weights_that_fit_are_tried_and_others_are_none():
    """The estimate of what is computed alone refuses no evaluation."""
    need = Need(layers=8, layer=GIB, first=GIB, last=GIB, cache=GIB, work=4 * GIB)
    assert gpus_needed(need, memory_bytes=40 * GIB, visible=1) == 1
    assert gpus_needed(need, memory_bytes=14 * GIB, visible=2) == 2
    assert gpus_needed(need, memory_bytes=14 * GIB, visible=1) == 1  # 10 GiB of weights
    assert gpus_needed(need, memory_bytes=8 * GIB, visible=1) is None
    assert gpus_needed(need, memory_bytes=1 * GIB, visible=8) is None
