"""Every kernel of attention that a CPU can run gives what documents give one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from finetune.models.attention.grouped import Groups
from finetune.models.attention.packed import Packed, packed_attention_forward
from finetune.models.attention.packed_batch import Documents, make_batch
from finetune.models.attention.softmax import Scores, attend, repeated, seen
from finetune.models.packed_model import PackedModel
from finetune.sizing.attention_paths import CPU, AttentionPath
from tests.support.packing import assert_same, gradients, pack, random_documents, with_adapter
from tests.support.tiny import tiny_model

LENGTHS = (9, 1, 140, 70, 21, 2, 69, 30)
PATHS: tuple[AttentionPath, ...] = ("documents", "grouped")


def _layer(*, keys: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    total, heads = sum(LENGTHS), 4
    shapes = [(1, heads, total, width), (1, keys, total, width), (1, keys, total, width)]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def _one_by_one(query: Tensor, key: Tensor, value: Tensor, scores: Scores) -> Tensor:
    """Products and a softmax over the whole square of each document, in float64."""
    found, start = [], 0
    for length in LENGTHS:
        q, k, v = (x[:, :, start : start + length].double() for x in (query, key, value))
        k, v = (repeated(x, q.shape[1]) for x in (k, v))
        found.append(attend(q, k, v, seen(length, scores.window, device=q.device), scores))
        start += length
    return torch.cat(found, dim=2).transpose(1, 2)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("keys", "window", "cap"),
    [(4, None, None), (2, None, None), (1, 16, None), (2, 16, 3.0), (4, None, 3.0)],
)
def test_outputs_and_gradients_are_those_of_documents_alone(
    path: AttentionPath, dtype: torch.dtype, keys: int, window: int | None, cap: float | None
) -> None:
    """Shared key heads, windows and soft caps, in every type that a GPU trains in."""
    layer = _layer(keys=keys, width=16, dtype=dtype)
    starts = torch.tensor((0, *LENGTHS)).cumsum(0).int()
    packed = Packed(Documents(LENGTHS, starts, max(LENGTHS)), CPU, path)
    settings = {"scaling": 0.3, "sliding_window": window, "softcap": cap, "packed": packed}
    found, _ = packed_attention_forward(torch.nn.Module(), *layer, None, **settings)
    wanted = _one_by_one(*layer, Scores(0.3, window, cap))
    towards = torch.randn_like(found)
    grads = torch.autograd.grad((found * towards).sum(), layer)
    wanted_grads = torch.autograd.grad((wanted * towards).sum(), layer)
    rounding = 2e-5 if dtype == torch.float32 else 4 * torch.finfo(dtype).eps
    for one, other in zip((found, *grads), (wanted, *wanted_grads), strict=True):
        assert one.dtype == dtype
        assert (one - other).abs().max() < rounding * other.abs().max()


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral"])
def test_a_whole_model_has_one_loss_by_every_path(kind: str) -> None:
    """Loss and adapter gradients do not depend on the kernel, nor on recomputed activations."""
    model = with_adapter(kind).eval()
    split = pack(random_documents())
    batch = make_batch(split, range(split.num_rows), device="cpu")
    results = []
    for path in PATHS:
        loss = PackedModel(model, path=path)(batch)
        loss.backward()
        results.append((loss.detach(), gradients(model)))
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    PackedModel(model, path="grouped")(batch).backward()
    results.append((results[0][0], gradients(model)))
    for loss, found in results[1:]:
        torch.testing.assert_close(loss, results[0][0], rtol=1e-5, atol=1e-4)
        assert_same(found, results[0][1])


def test_groups_hold_every_token_once_and_pad_little() -> None:
    """Places are distinct, a document's follow each other, and short documents share a group."""
    lengths = (3, 500, 64, 300, 249, 40, 7)
    groups = Groups.of(lengths, device=torch.device("cpu"))
    assert [group.length for group in groups.of_length] == [500, 249, 64]
    assert [group.count for group in groups.of_length] == [2, 1, 4]
    places = groups.place_S.tolist()
    assert len(set(places)) == len(places) == sum(lengths)
    assert max(places) < groups.places == 2 * 500 + 249 + 4 * 64
    starts = torch.tensor((0, *lengths)).cumsum(0).tolist()
    for start, length in zip(starts, lengths, strict=False):
        assert places[start : start + length] == list(range(places[start], places[start] + length))


def test_a_soft_cap_holds_in_generation_too() -> None:
    """Without packing, with a padded batch, scores are capped as transformers itself caps them."""
    plain = tiny_model("gemma2", attn_logit_softcapping=2.0)
    model = tiny_model("gemma2", attn_logit_softcapping=2.0)
    PackedModel(model)
    tokens = torch.tensor([[3, 3, 10, 11, 12], [20, 21, 22, 23, 24]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    wanted = plain(input_ids=tokens, attention_mask=mask).logits[mask.bool()]
    found = model(input_ids=tokens, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
