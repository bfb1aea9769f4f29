"""The watcher sees what a GPU would wait for, mix, compute and hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn.attention.varlen import varlen_attn

from tests.fake_cuda.fake_gpu import CudaAttention, fake_gpu
from tests.fake_cuda.watch import Watch


@pytest.fixture(autouse=True)
def _gpu() -> Iterator[None]:
    with fake_gpu():
        yield


def on_gpu(*shape: int, dtype: torch.dtype = torch.float32, grad: bool = False) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="cuda", requires_grad=grad)


def test_a_number_that_the_host_reads_is_a_wait() -> None:
    """`.item()`, a condition, and a copy to the CPU; a copy that does not wait is none."""
    number = on_gpu()
    with Watch() as watch:
        number.item()
        bool(number > 0)
        number.cpu()
        number.to("cpu", non_blocking=True)
    kinds = sorted(wait.partition(" at ")[0] for wait in watch.waits)
    assert kinds == ["_local_scalar_dense", "copy to the CPU"]
    assert sum(watch.waits.values()) == 3


def test_a_copy_to_the_gpu_waits_unless_it_is_pinned() -> None:
    """Both are needed: pinned memory, and a copy that is asked not to wait."""
    there = torch.zeros(4)
    with Watch() as watch:
        assert there.pin_memory().is_pinned()
        there.pin_memory().to("cuda", non_blocking=True)
        assert watch.pageable.total() == 0
        there.to("cuda", non_blocking=True)
        there.pin_memory().to("cuda")
        there.to("cuda")
        assert watch.pageable.total() == 3


def test_products_of_two_types_are_mixed() -> None:
    """Fakes compute them without a word."""
    with Watch() as watch:
        torch.ops.aten.mm(on_gpu(3, 4), on_gpu(4, 5, dtype=torch.bfloat16))
        on_gpu(3, 4) @ on_gpu(4, 5)
    assert [name.partition(" at ")[0] for name in watch.mixed] == ["mm of bfloat16 and float32"]


def test_products_are_counted_by_type() -> None:
    """Two FLOPs per multiplication; twice as many in the backward pass."""
    left, right = on_gpu(3, 4, grad=True), on_gpu(4, 5, grad=True)
    with Watch() as watch:
        (left @ right).sum().backward()
        on_gpu(7, 7, dtype=torch.bfloat16) @ on_gpu(7, 7, dtype=torch.bfloat16)
    assert watch.product_flops == {"float32": 3 * 2 * 60, "bfloat16": 2 * 343}


def test_the_peak_is_that_of_storages_that_live_together() -> None:
    """A view adds nothing, what is freed goes, and a gradient counts."""
    with Watch() as watch:
        first = on_gpu(256)
        first.view(16, 16)
        del first
        second = on_gpu(128, grad=True)
        assert watch.peak_bytes == 1024
        third = second * 2
        third.backward(torch.ones_like(third))
    assert watch.peak_bytes == 4 * 512


def test_known_tensors_are_not_counted() -> None:
    """Weights are there anyway."""
    weight = on_gpu(1000)
    with Watch(known=[weight]) as watch:
        weight.view(10, 100)
        weight.mul_(2)
    assert watch.peak_bytes == 0


def test_attention_over_all_tokens_is_seen_as_a_square() -> None:
    """With its mask in the type of the queries, kept for the backward pass."""
    query = on_gpu(1, 2, 33, 8, dtype=torch.bfloat16, grad=True)
    mask = on_gpu(1, 1, 33, 33, dtype=torch.bool)
    with Watch(known=[query, mask], tokens=33) as watch, CudaAttention(watch):
        torch.nn.functional.scaled_dot_product_attention(query, query, query, mask).sum().backward()
    assert watch.squares
    assert watch.attention_flops == {"efficient, with a mask bfloat16": 3.5 * 4 * 2 * 33 * 33 * 8}


def test_attention_by_documents_is_counted_by_the_longest() -> None:
    """No square, no wait, and keys that are not repeated."""
    query, key = (on_gpu(33, n, 8, dtype=torch.bfloat16, grad=True) for n in (4, 2))
    ends = on_gpu(4, dtype=torch.int32)
    with Watch(known=[query, key, ends], tokens=33) as watch:
        out = varlen_attn(query, key, key, ends, ends, 11, 11, window_size=(-1, 0), enable_gqa=True)
        out.sum().backward()
    assert not watch.squares + watch.waits + watch.mixed
    assert sum(watch.attention_flops.values()) == 3.5 * 2 * 4 * 33 * 11 * 8


def test_a_wrong_device_is_an_error() -> None:
    """Of the fakes themselves."""
    with pytest.raises(RuntimeError) as caught:
        on_gpu(3, 4) @ torch.zeros(4, 5)
    assert "device" in str(caught.value)
