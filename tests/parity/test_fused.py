"""Rewritten layers compute what PEFT and transformers compute, gradients included."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from finetune.models import fused, head
from finetune.sizing import policy
from tests.support.packing import assert_same, gradients, with_adapter
from tests.support.surroundings import Constants


def _run(model: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    out = model(input_ids=tokens, labels=tokens, use_cache=False)
    out.loss.backward()
    return out.logits.detach(), gradients(model)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma3", "mistral"])
@pytest.mark.parametrize("tokens", [3, 200])
def test_fused_layers_are_peft(kind: str, tokens: int) -> None:
    """Logits and adapter gradients agree, for few tokens (A, B run) and many (merged weight)."""
    model = with_adapter(kind)
    batch = torch.randint(5, 300, (2, tokens), generator=torch.Generator().manual_seed(3))
    wanted_logits, wanted = _run(model, batch)
    fused.install(model)
    logits, found = _run(model, batch)
    torch.testing.assert_close(logits, wanted_logits, rtol=1e-4, atol=1e-4)
    assert_same(found, wanted)


def test_fusing_is_really_on() -> None:
    """With plain LoRA every adapted layer hands its tensors over; the tests above test them."""
    model = with_adapter()
    layers = [m for m in model.modules() if hasattr(m, "lora_A")]
    assert len(layers) == 14
    assert all(fused.lora_parts(layer) for layer in layers)


@pytest.mark.parametrize("lora", [{"dora": True}, {"dropout": 0.1}])
def test_other_adapters_keep_their_forward(lora: dict[str, Any]) -> None:
    """DoRA and dropout are left to PEFT."""
    model = with_adapter(**lora)
    layers = [m for m in model.modules() if hasattr(m, "lora_A")]
    assert not any(fused.lora_parts(layer) for layer in layers)


@pytest.mark.parametrize("state", ["disabled", "merged"])
def test_switched_off_adapters_are_honoured(state: str) -> None:
    """With the adapter disabled or merged, fused layers give PEFT's logits."""
    plain, model = with_adapter(), with_adapter()
    fused.install(model)
    tokens = torch.arange(10, 40)[None]
    if state == "merged":
        plain.merge_adapter()
        model.merge_adapter()
        torch.testing.assert_close(model(tokens).logits, plain(tokens).logits)
        return
    with plain.disable_adapter(), model.disable_adapter():
        torch.testing.assert_close(model(tokens).logits, plain(tokens).logits)
    torch.testing.assert_close(model(tokens).logits, plain(tokens).logits)


def test_bias_and_rslora() -> None:
    """A linear layer with bias (qwen2's q, k, v) and a rank-stabilised scale agree with PEFT."""
    model = with_adapter("qwen2", rslora=True)
    for name, parameter in model.named_parameters():
        if name.endswith("base_layer.bias"):
            torch.nn.init.normal_(parameter)
    tokens = torch.arange(10, 40)[None]
    wanted_logits, wanted = _run(model, tokens)
    fused.install(model)
    logits, found = _run(model, tokens)
    torch.testing.assert_close(logits, wanted_logits, rtol=1e-4, atol=1e-4)
    assert_same(found, wanted)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_chunked_loss_is_cross_entropy(count: int, constants: Constants) -> None:
    """Values and hidden gradients equal F.cross_entropy's, over several chunks."""
    constants(policy, HEAD_CHUNK_BYTES=4 * 301 * 16)
    torch.manual_seed(0)
    hidden = torch.randn(count, 24, requires_grad=True)
    weight, targets = torch.randn(301, 24), torch.randint(0, 301, (count,))
    weighting = torch.rand(count)
    wanted = cross_entropy(hidden @ weight.T, targets, reduction="none")
    (wanted * weighting).sum().backward()
    wanted_gradient, hidden.grad = hidden.grad, None
    for found in (
        head.chunked_nll(hidden, weight, targets),
        head.head_nll(hidden, lambda h: h @ weight.T, targets, vocabulary=301),
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
        (found * weighting).sum().backward()
        torch.testing.assert_close(hidden.grad, wanted_gradient, rtol=1e-4, atol=1e-5)
        hidden.grad = None
