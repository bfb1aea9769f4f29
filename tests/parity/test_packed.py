"""The packed model computes what plain transformers computes one document at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from finetune.models.attention import packed
from finetune.models.attention.packed import NAME
from finetune.models.attention.packed_batch import make_batch, pack_rows
from finetune.models.packed_model import PackedModel
from finetune.models.score import score_documents
from finetune.sizing import policy
from tests.support.packing import (
    assert_same,
    gradients,
    pack,
    plain_nll,
    random_documents,
    with_adapter,
)
from tests.support.tiny import tiny_model


@pytest.mark.parametrize(
    "kind", sorted({*policy.DOCUMENT_ATTENTION - {"gemma3_text"}, "gemma3", "gpt2"})
)
def test_loss_and_gradients_are_those_of_single_documents(kind: str) -> None:
    """Loss and adapter gradients of packed rows equal those of documents run one by one."""
    documents = random_documents()
    model = with_adapter(kind).eval()
    wanted = sum(plain_nll(model, d).sum() for d in documents)
    wanted.backward()
    wanted_gradients = gradients(model)

    split = pack(documents)
    found = PackedModel(model)(make_batch(split, range(split.num_rows), device="cpu"))
    found.backward()

    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    assert_same(gradients(model), wanted_gradients)


def test_window_shorter_than_a_document_is_honoured() -> None:
    """A sliding window of 8 tokens gives the same loss packed and one document at a time."""
    documents = random_documents()
    model = tiny_model("mistral", sliding_window=8)
    wanted = torch.stack([plain_nll(model, d).sum() for d in documents]).sum()
    split = pack(documents)
    found = PackedModel(model)(make_batch(split, range(split.num_rows), device="cpu"))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


def test_any_batch_split_gives_the_same_loss_and_gradients() -> None:
    """Rows in one batch or one at a time: the sums agree."""
    model = with_adapter()
    split = pack(random_documents())
    packed_model = PackedModel(model)
    together = packed_model(make_batch(split, range(split.num_rows), device="cpu"))
    together.backward()
    wanted = gradients(model)
    alone = [packed_model(make_batch(split, [r], device="cpu")) for r in range(split.num_rows)]
    torch.stack(alone).sum().backward()
    torch.testing.assert_close(torch.stack(alone).sum(), together, rtol=1e-6, atol=1e-4)
    assert_same(gradients(model), wanted)


def test_unknown_architecture_that_leaks_runs_documents_alone() -> None:
    """A model whose packing is not exact is run one document at a time, with the same loss."""
    documents = random_documents()
    model = with_adapter()
    split = pack(documents, prompt=3)
    wanted = torch.stack([plain_nll(model, d)[2:].sum() for d in documents]).sum()
    alone = PackedModel(model, isolates=False)
    found = alone(make_batch(split, range(split.num_rows), device="cpu"))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown architecture packs if its attention takes documents apart, and only then."""
    model = tiny_model("gpt2")
    assert PackedModel(model).isolates
    apart = packed.attend_by_document
    monkeypatch.setattr(
        packed, "attend_by_document", lambda q, k, v, n, s: apart(q, k, v, (sum(n),), s)
    )
    assert not PackedModel(model).isolates
    assert PackedModel(tiny_model("llama")).isolates  # known ones are not tried


@pytest.mark.parametrize(
    ("kind", "packs"),
    [
        ("Gemma2", True),  # a soft cap on scores and on logits
        ("Granite", True),
        ("Cohere", False),  # logits are scaled behind the head
        ("GptOss", False),  # attention sinks
        ("Bloom", False),  # attention of its own
    ],
)
def test_an_unknown_architecture_is_tried(kind: str, *, packs: bool) -> None:
    """Documents run one at a time where packing is wrong; the loss is always the model's own."""
    model = small_unknown(kind)
    documents = random_documents()
    wanted = torch.stack([plain_nll(model, d).sum() for d in documents]).sum()
    split = pack(documents)
    found = PackedModel(model)
    assert found.isolates == packs
    loss = found(make_batch(split, range(split.num_rows), device="cpu"))
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-3)


def small_unknown(kind: str) -> Any:
    """A random model of an architecture that is not in the table."""
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "Bloom":
        sizes = {"vocab_size": 300, "hidden_size": 64, "n_layer": 2, "n_head": 4}
        heads = {}
    config = getattr(transformers, f"{kind}Config")(**sizes, **heads, **ids)
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval().requires_grad_(False)


def test_rows_of_nothing_give_zero_and_a_graph() -> None:
    """A batch without documents has loss 0 and still reaches every adapter parameter."""
    model = with_adapter()
    nothing = np.zeros((2, 40), np.int32)
    empty = pack_rows(nothing + 7, nothing, nothing, rows=(0, 1), device="cpu")
    loss = PackedModel(model)(empty)
    loss.backward()
    assert loss.item() == 0
    found = gradients(model)
    assert len(found) == sum(p.requires_grad for p in model.parameters())
    assert all(bool((g == 0).all()) for g in found.values())


def test_gradient_checkpointing_changes_nothing() -> None:
    """Recomputed activations give the same gradients, documents kept apart."""
    model = with_adapter().train()
    split = pack(random_documents())
    batch = make_batch(split, range(split.num_rows), device="cpu")
    packed_model = PackedModel(model)
    packed_model(batch).backward()
    wanted = gradients(model)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    packed_model(batch).backward()
    assert_same(gradients(model), wanted)


def test_generation_still_sees_its_mask() -> None:
    """After packing was set up, a padded batch gives the logits of the plain model."""
    plain, model = tiny_model("llama"), tiny_model("llama")
    PackedModel(model)
    assert model.config._attn_implementation == NAME
    tokens = torch.tensor([[3, 3, 10, 11, 12], [20, 21, 22, 23, 24]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    wanted = plain(input_ids=tokens, attention_mask=mask).logits[mask.bool()]
    found = model(input_ids=tokens, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3"])
def test_scores_are_those_of_the_plain_model(kind: str) -> None:
    """Each wanted record gets its own nll, whatever order and batch size."""
    documents = random_documents()
    model = tiny_model(kind)
    wanted = [plain_nll(model, d)[1:].double().sum().item() for d in documents]
    split = pack(documents, prompt=2)
    records = np.array([5, 0, 6, 2])
    seen: list[tuple[int, int]] = []
    found = score_documents(
        PackedModel(model),
        split,
        records=records,
        batch_rows=2,
        device="cpu",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    np.testing.assert_allclose(found[:, 0], np.array(wanted)[records], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[:, 1], 0)
    assert seen[-1][0] == seen[-1][1] == len(set(split.documents_D["row"][records]))
