"""Loading bases and adapters, and what is reported when it cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM

from finetune.errors import StoreError, TrainError
from finetune.models import load
from finetune.models.attention.packed_batch import make_batch
from finetune.models.generate import Decoding, generate
from finetune.models.packed_model import PackedModel
from finetune.spec.sections.training import Lora
from tests.support.packing import pack, plain_nll, random_documents
from tests.support.tiny import write_tiny_model


def test_same_seed_same_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter's start follows from the seed alone, and the global generator is untouched; on a
    node with two GPUs theirs are not asked for, which torch would warn of."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    write_tiny_model(tmp_path)
    starts = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        model = load.attach_lora(load.load_base(tmp_path, precision="fp32"), Lora(rank=4), seed=7)
        assert torch.equal(torch.random.get_rng_state(), before)
        starts.append({n: p for n, p in model.named_parameters() if p.requires_grad})
    assert len(starts[0]) == 28
    assert all(torch.equal(starts[0][n], starts[1][n]) for n in starts[0])


@pytest.mark.parametrize(
    "lora",
    [Lora(init="pissa", rank=4), Lora(init="gaussian"), Lora(init="orthogonal"), Lora(dora=True)],
)
def test_every_way_to_start_runs(lora: Lora, tmp_path: Path) -> None:
    """Each LoRA form of the recipe can be attached and leaves the base's output as it was."""
    write_tiny_model(tmp_path)
    base = load.load_base(tmp_path, precision="fp32")
    tokens = torch.arange(10, 30)[None]
    wanted = base(tokens).logits
    model = load.attach_lora(base, lora, seed=0)
    torch.testing.assert_close(model.eval()(tokens).logits, wanted, rtol=1e-3, atol=1e-3)


def test_wrong_target_names_near_ones(tmp_path: Path) -> None:
    """A target that matches nothing is an error that lists what was probably meant."""
    write_tiny_model(tmp_path)
    base = load.load_base(tmp_path, precision="fp32")
    with pytest.raises(TrainError) as refused:
        load.attach_lora(base, Lora(target_modules=["q_porj", "v_proj"]), seed=0)
    [found] = refused.value.problems
    assert (found.code, found.facts["name"]) == ("no-such-layer", "q_porj")
    assert "q_proj" in found.facts["names"]


@pytest.mark.filterwarnings("ignore:The following .* keys did not match:RuntimeWarning")  # PEFT
@pytest.mark.parametrize("lora", [Lora(dropout=0.1), Lora(dora=True)], ids=["dropout", "dora"])
def test_what_peft_cannot_do_on_experts_is_an_error_with_its_reason(
    lora: Lora, tmp_path: Path
) -> None:
    """Dropout and DoRA on the experts of a mixture name the keys to change."""
    write_tiny_model(tmp_path, kind="mixtral")
    base = load.load_base(tmp_path, precision="fp32")
    with pytest.raises(TrainError) as refused:
        load.attach_lora(base, lora, seed=0)
    [found] = refused.value.problems
    assert (found.code, found.facts["kind"]) == ("adapter-refused", "mixtral")
    assert "does not work with" in found.facts["why"]


def test_saved_adapter_comes_back(tmp_path: Path) -> None:
    """An adapter loaded from its folder gives the same logits, with nothing left to train."""
    write_tiny_model(tmp_path / "base")
    base = load.load_base(tmp_path / "base", precision="fp32")
    model = load.attach_lora(base, Lora(), seed=0)
    model.save_pretrained(tmp_path / "adapter")
    tokens = torch.arange(10, 30)[None]
    base = load.load_base(tmp_path / "base", precision="fp32")
    again = load.load_adapter(base, tmp_path / "adapter")
    torch.testing.assert_close(again(tokens).logits, model(tokens).logits)
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_missing_folders_are_explained(tmp_path: Path) -> None:
    """No weights and no adapter are StoreErrors that name the folder."""
    with pytest.raises(StoreError) as refused:
        load.load_base(tmp_path, precision="fp32")
    assert refused.value.codes == ("no-model",)
    write_tiny_model(tmp_path)
    with pytest.raises(StoreError) as refused:
        load.load_adapter(load.load_base(tmp_path, precision="fp32"), tmp_path)
    assert refused.value.codes == ("no-adapter",)


def test_auto_precision_on_a_cpu_is_fp32(tmp_path: Path) -> None:
    """bf16 is 95 times slower on processors without it, so `auto` means fp32."""
    assert load.resolve_precision("auto", "cpu", base=tmp_path) == "fp32"
    assert load.resolve_precision("bf16", "cpu", base=tmp_path) == "bf16"


def test_bases_without_fused_attention_load(tmp_path: Path) -> None:
    """A base whose attention transformers has in no fused form (BLOOM) loads, and scores documents
    as its own forward does."""
    config = BloomConfig(vocab_size=512, hidden_size=64, n_layer=2, n_head=4)
    torch.manual_seed(0)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    model = load.load_base(tmp_path, precision="fp32")
    documents = random_documents()
    split = pack(documents)
    batch = make_batch(split, range(split.num_rows), device="cpu")
    wanted = torch.cat([plain_nll(model, document) for document in documents])
    torch.testing.assert_close(PackedModel(model).score(batch), wanted)


def test_a_saved_gemma_2_loads_and_learns(tmp_path: Path) -> None:
    """Its soft-capped scores have no fused attention in transformers; ours keeps the cap, and
    gradients reach the adapter."""
    write_tiny_model(tmp_path, kind="gemma2", attn_logit_softcapping=2.0)
    model = load.load_base(tmp_path, precision="fp32")
    documents = random_documents()
    split = pack(documents)
    batch = make_batch(split, range(split.num_rows), device="cpu")
    wanted = torch.cat([plain_nll(model, document) for document in documents])
    torch.testing.assert_close(PackedModel(model).score(batch), wanted)
    adapted = load.attach_lora(model, Lora(rank=4), seed=1)
    PackedModel(adapted).train()(batch).backward()
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert any(p.grad is not None and bool(p.grad.any()) for p in trained)


def test_bases_own_dropout_is_off(tmp_path: Path) -> None:
    """A base with dropout gives the same logits in training mode twice."""
    write_tiny_model(tmp_path, kind="gpt2")
    model = load.load_base(tmp_path, precision="fp32").train()
    tokens = torch.arange(10, 30)[None]
    torch.testing.assert_close(model(tokens).logits, model(tokens).logits, rtol=0, atol=0)


def test_generation_in_a_batch_is_generation_alone(tmp_path: Path) -> None:
    """Greedy answers do not depend on the batch, come in order, and the packed model gives them."""
    write_tiny_model(tmp_path)
    tokenizer = load.load_tokenizer(tmp_path)
    model = PackedModel(load.load_base(tmp_path, precision="fp32"))
    prompts = ["the cat", "Order 66 was shipped to Paris", "a", "Ina kwana? Lafiya lau"]
    together = generate(model, tokenizer, prompts, decoding=Decoding(6), batch_size=3)
    alone = [
        generate(model, tokenizer, [p], decoding=Decoding(6), batch_size=1)[0] for p in prompts
    ]
    assert together == alone
    assert generate(model, tokenizer, [], decoding=Decoding(6), batch_size=3) == []
