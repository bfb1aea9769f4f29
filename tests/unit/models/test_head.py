"""The head's loss and gradient in half precision, beside float64 and the standard loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from finetune.models import head
from finetune.models.rows import HeadRows
from finetune.sizing import policy
from tests.support.surroundings import Constants

TOKENS, WIDTH, VOCABULARY = 48, 32, 400
PROBABILITIES = (0.001, 0.03, 0.3, 0.7, 0.9, 0.97, 0.99, 0.996, 0.999)
HALF = (torch.bfloat16, torch.float16)


def sure(probability: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states that give their targets about this probability, weights, targets."""
    torch.manual_seed(0)
    weight_VE = torch.randn(VOCABULARY, WIDTH) * 0.2
    targets_S = torch.randint(0, VOCABULARY, (TOKENS,))
    hidden_SE = torch.randn(TOKENS, WIDTH) * 0.5
    rows_SE = weight_VE[targets_S]
    for _ in range(20):  # Newton's method on log p / (1 - p)
        log_p = -cross_entropy(hidden_SE @ weight_VE.T, targets_S, reduction="none")
        p = log_p.exp().clamp(1e-6, 1 - 1e-6)
        wanted = torch.tensor(probability).logit()
        step = (wanted - p.logit()) / rows_SE.square().sum(1)
        hidden_SE = hidden_SE + step[:, None] * rows_SE
    return hidden_SE.to(dtype), weight_VE.to(dtype), targets_S


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss.sum(), of)
    return found.double()


def error(found: Tensor, exact: Tensor) -> float:
    """The median over tokens of the relative error of the gradient."""
    return float(((found - exact).norm(dim=1) / exact.norm(dim=1)).median())


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("probability", PROBABILITIES)
def test_gradient_in_half_precision_is_the_standard_one(
    probability: float, dtype: torch.dtype
) -> None:
    """Against float64 the gradient of the hidden states is no further off than that of a plain
    cross entropy in float32, however sure the model is of its target."""
    hidden_SE, weight_VE, targets_S = sure(probability, dtype)
    exact_SE = hidden_SE.double().requires_grad_()
    nll_S = cross_entropy(exact_SE @ weight_VE.double().T, targets_S, reduction="none")
    assert float((-nll_S).exp().median().detach()) == pytest.approx(probability, rel=0.1, abs=0.002)
    exact = gradient(nll_S, exact_SE)

    hidden_SE.requires_grad_()
    found_S = head.chunked_nll(hidden_SE, weight_VE, targets_S)
    found = gradient(found_S, hidden_SE)
    logits_SV = (hidden_SE @ weight_VE.T).float()
    standard_S = cross_entropy(logits_SV, targets_S, reduction="none")
    standard = gradient(standard_S, hidden_SE)

    assert error(found, exact) <= 1.02 * error(standard, exact)
    assert found_S.dtype == torch.float32
    torch.testing.assert_close(found_S, standard_S)


@pytest.mark.parametrize("dtype", HALF)
def test_new_rows_get_the_standard_gradient(dtype: torch.dtype) -> None:
    """New tokens as targets and as others, over several chunks: hidden states and rows get the
    gradients of a head in which the new rows stand."""
    hidden_SE, weight_VE, targets_S = sure(0.9, dtype)
    first, count = 100, 30
    rows_NE = (weight_VE[first : first + count] * 1.1).float().requires_grad_()
    targets_S[::3] = first + torch.arange(TOKENS)[::3] % count
    hidden_SE.requires_grad_()
    found = head.chunked_nll_with_rows(hidden_SE, HeadRows(weight_VE, first, rows_NE), targets_S)
    found_gradients = torch.autograd.grad(found.sum(), (hidden_SE, rows_NE))

    exact_SE, exact_NE = (x.detach().double().requires_grad_() for x in (hidden_SE, rows_NE))
    whole_VE = weight_VE.double().index_copy(0, first + torch.arange(count), exact_NE)
    exact = cross_entropy(exact_SE @ whole_VE.T, targets_S, reduction="none")
    exact_gradients = torch.autograd.grad(exact.sum(), (exact_SE, exact_NE))

    tolerance = 4 * torch.finfo(dtype).eps
    for mine, right in zip(found_gradients, exact_gradients, strict=True):
        assert (mine.double() - right).norm() <= tolerance * right.norm()
    assert found_gradients[1].dtype == torch.float32


def test_uniform_probabilities_of_a_large_vocabulary_do_not_overflow() -> None:
    """The sum over a vocabulary larger than fp16's largest number stays finite."""
    hidden_SE = torch.zeros(2, 4, dtype=torch.float16, requires_grad=True)
    weight_VE = torch.randn(70_000, 4).to(torch.float16)
    nll_S = head.chunked_nll(hidden_SE, weight_VE, torch.tensor([0, 69_999]))
    assert bool(gradient(nll_S, hidden_SE).isfinite().all())


def test_a_chunk_on_a_gpu_keeps_it_busy(constants: Constants) -> None:
    """On a GPU 512 to 1,024 tokens go through the head at a time, whatever the vocabulary; on a
    CPU as many as have 64 MiB of logits."""
    for vocabulary in (32_000, 128_256, 262_144, 1_000_000):
        tokens = policy.head_chunk_tokens(vocabulary, device="gpu")
        assert 512 <= tokens <= 1024
    constants(policy, HEAD_CHUNK_BYTES=4 * 1000 * 7)
    assert policy.head_chunk_tokens(1000) == 7
