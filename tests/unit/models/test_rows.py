"""New rows beside a frozen matrix: PEFT's own layers are the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from finetune.errors import RecipeError
from finetune.models import rows
from finetune.models.attention.packed_batch import make_batch
from finetune.models.load import attach_lora, load_adapter, load_base
from finetune.models.packed_model import PackedModel
from finetune.models.rows import NewRows
from finetune.spec.sections.base_model import Base
from finetune.spec.sections.training import Lora
from finetune.train.adapter import save_adapter
from tests.support.packing import pack
from tests.support.tiny import tiny_model, write_tiny_model

LORA = Lora(rank=4, alpha=8)
NEW = NewRows(512, tuple({5 + n: 1.0, 90 + n: 3.0} for n in range(6)))
"""Six new tokens, from the end of the tiny vocabulary on."""
KINDS = [("llama", True), ("llama", False), ("qwen3", True), ("gemma3", True), ("mistral", False)]


def adapted(kind: str, *, tied: bool, **settings: Any) -> Any:
    model = attach_lora(
        tiny_model(kind, tie_word_embeddings=tied, **settings).requires_grad_(False),
        LORA,
        seed=1,
        new_rows=NEW,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:  # as after some training
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=_rng(name)))
    return model


def _rng(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(sum(map(ord, name)))


def written_by_peft(model: Any) -> None:
    """Take our forwards off PEFT's layers again."""
    for module in model.modules():
        if type(module).__name__ == "TrainableTokensLayer":
            del module.forward


DOCUMENTS = [[7, 512, 30, 517, 515], [99, 512, 44, 513, 12, 80]]
TOKENS = torch.tensor([[7, 512, 30, 517, 515, 99, 512, 44]])


@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_logits_are_those_of_peft(kind, tied):
    """With tied and untied heads, the logits are what PEFT's own layers give."""
    model = adapted(kind, tied=tied).eval()
    ours = model(input_ids=TOKENS).logits
    written_by_peft(model)
    assert ours.shape[-1] == 518
    torch.testing.assert_close(ours, model(input_ids=TOKENS).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_gradients_are_those_of_peft(kind, tied):
    """The packed loss gives every parameter the gradient that PEFT and a plain loss give."""
    model = adapted(kind, tied=tied)
    split = pack(DOCUMENTS)
    PackedModel(model)(make_batch(split, range(split.num_rows), device="cpu")).backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}

    oracle = adapted(kind, tied=tied)
    written_by_peft(oracle)
    loss = torch.zeros(())
    for document in DOCUMENTS:
        tokens = torch.tensor([document])
        logits = oracle(input_ids=tokens).logits[0, :-1]
        loss = loss + torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum")
    loss.backward()
    wanted = {n: p.grad for n, p in oracle.named_parameters() if p.requires_grad}
    assert found.keys() == wanted.keys()
    assert sum(map(rows.is_row, found)) == (1 if tied else 2)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=2e-5, rtol=2e-4, msg=name)


def test_a_new_row_starts_as_the_weighted_mean():
    """A row starts as the mean of its tokens' rows, in embedding and head; the others stay."""
    model = tiny_model("llama", tie_word_embeddings=False)
    before = model.get_output_embeddings().weight.clone()
    rows.start_rows(model, NEW)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        expected = (layer.weight[6] + 3 * layer.weight[91]) / 4
        torch.testing.assert_close(layer.weight[513], expected)
    assert torch.equal(model.get_output_embeddings().weight[:512], before)


def test_rows_that_a_padded_base_has_are_used():
    """A base with more rows than tokens keeps its size: ids beyond its tokens have rows there."""
    model = tiny_model("llama", vocab=640)
    rows.start_rows(model, NEW)
    assert model.get_input_embeddings().weight.shape[0] == 640


@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_with_new_rows_is_small_and_reads_back(tmp_path, tied):
    """Saved and loaded, logits are equal to the bit; the file holds rows and no whole matrix."""
    model = adapted("llama", tied=tied).eval()
    wanted = model(input_ids=TOKENS).logits
    tensors = {n: p for n, p in model.named_parameters() if p.requires_grad}
    base = Base(model="./tiny", hub_id="org/tiny", licence="mit")
    save_adapter(tmp_path / "adapter", model, tensors=tensors, base=base)
    fresh = load_adapter(
        tiny_model("llama", tie_word_embeddings=tied).requires_grad_(False), tmp_path / "adapter"
    )
    assert torch.equal(fresh(input_ids=TOKENS).logits, wanted)
    size = (tmp_path / "adapter/adapter_model.safetensors").stat().st_size
    assert size < 4 * sum(p.numel() for p in tensors.values()) + 20_000


@pytest.mark.parametrize("tied", [True, False])
def test_merged_rows_give_the_same_logits(tied):
    """Merged into the base, adapter and rows give the logits that they gave beside it."""
    model = adapted("llama", tied=tied).eval()
    wanted = model(input_ids=TOKENS).logits
    merged = model.merge_and_unload()
    torch.testing.assert_close(merged(input_ids=TOKENS).logits, wanted, atol=1e-5, rtol=1e-4)
    same = merged.get_output_embeddings().weight is merged.get_input_embeddings().weight
    assert same == tied


def test_a_head_with_a_bias_is_refused():
    """A head whose bias would need new numbers is refused before anything is changed."""
    model = tiny_model("llama")
    model.lm_head = torch.nn.Linear(64, 512)
    with pytest.raises(RecipeError) as refused:
        rows.start_rows(model, NEW)
    assert refused.value.codes == ("head-takes-no-rows",)
    assert model.get_input_embeddings().weight.shape[0] == 512


def test_rows_are_float32_in_half_precision():
    """Beside a base in bf16 the rows, their gradients and so their steps are float32."""
    base = tiny_model("llama").to(torch.bfloat16).requires_grad_(False)
    model = attach_lora(base, LORA, seed=1, new_rows=NEW)
    split = pack(DOCUMENTS)
    PackedModel(model)(make_batch(split, range(split.num_rows), device="cpu")).backward()
    found = [p for n, p in model.named_parameters() if rows.is_row(n)]
    assert [p.dtype for p in found] == [torch.float32]
    assert found[0].grad.dtype == torch.float32
    assert found[0].grad.abs().sum() > 0


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_rows_beside_a_packed_base(tmp_path, quantization):
    """A base in 4 or 8 bits, whose embedding is not packed, gets new rows that are trained."""
    base = load_base(
        write_tiny_model(tmp_path / "tiny"), precision="fp32", quantization=quantization
    )
    model = attach_lora(base, LORA, seed=1, new_rows=NEW)
    split = pack(DOCUMENTS)
    PackedModel(model)(make_batch(split, range(split.num_rows), device="cpu")).backward()
    [row] = [p for n, p in model.named_parameters() if rows.is_row(n)]
    assert row.grad.abs().sum() > 0


@pytest.mark.parametrize("tied", [True, False])
def test_an_update_of_the_head_beside_new_rows_is_refused(tied):
    """LoRA on the head and rows of its own there are one too many, and said so."""
    base = tiny_model("llama", tie_word_embeddings=tied)
    with pytest.raises(RecipeError) as refused:
        attach_lora(base, Lora(target_modules=["q_proj", "lm_head"]), seed=1, new_rows=NEW)
    assert refused.value.codes == ("target-with-vocabulary",)
