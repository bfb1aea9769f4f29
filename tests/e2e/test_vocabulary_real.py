"""New tokens for a real model on a real corpus: a few steps of the Bengali recipe (minutes)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from finetune.cli import main
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.spec.load import load_project

ROOT = Path(__file__).parents[2]
RECIPE = "recipes/bengali-school.yaml"
SHORT = [
    "train.max_steps=2",
    "train.warmup_steps=1",
    "train.batch_tokens=1024",
    "train.validation_documents=8",
    "evaluate.max_documents=12",
    "evaluate.generate_items=1",
    "evaluate.max_new_tokens=4",
]


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("workdir")
def test_a_real_model_gets_bengali_tokens(tmp_path):
    """SmolLM2 needs a fifth of the tokens and less, English stays, and merged logits are equal."""
    shutil.copytree(ROOT / "data_cards", tmp_path / "data_cards")
    (tmp_path / "recipes").mkdir()
    shutil.copy(ROOT / RECIPE, tmp_path / "recipes")
    changes = [word for change in SHORT for word in ("--set", change)]
    assert main(["run", RECIPE, *changes]) == 0
    project = load_project(Path(RECIPE), overrides=SHORT)
    store = Store(tmp_path / ".finetune")
    done = {s.label: store.find(s.stage.name, s.key) for s in plan.steps_of(project)}
    cost = done["evaluate"].result["extension"]["bytes_per_token"]["ben_Beng"]
    assert cost["adapter"] > 5 * cost["base"]
    vocabulary = done["vocabulary"].result
    assert vocabulary["protected"]["changed"] == 0
    assert vocabulary["protected_held_back"]["texts"] > 50
    assert (
        main(["export", RECIPE, "--format", "merged", *changes, "--out", str(tmp_path / "merged")])
        == 0
    )

    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune.models.load import load_adapter, load_base

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    text = "".join(vocabulary["samples"])
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert tokenizer.decode(ids[0]) == text
    ours = load_adapter(
        load_base(done["base"].path / "model", precision="fp32"), done["train"].path / "adapter"
    )
    with torch.no_grad():
        expected = ours(input_ids=ids).logits
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(input_ids=ids).logits
    assert float((merged - expected).abs().max() / expected.abs().max()) < 1e-3
