"""Merging: what is written is what was proven, for tied and untied heads and every opener."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from finetune.artefacts.job import Artifact
from finetune.errors import ReleaseError, StoreError
from finetune.models.load import attach_lora, load_base, load_tokenizer
from finetune.models.rows import NewRows
from finetune.output.console import Console
from finetune.pipeline.gate import Opened
from finetune.release.exports import merged as merging
from finetune.release.exports.merged import merge
from finetune.spec.recipe import Recipe
from finetune.spec.sections.base_model import Base
from finetune.spec.sections.training import Lora
from finetune.spec.tables.export_format import export_format
from finetune.tokenizer.folder import write_tokenizer
from finetune.tokenizer.start import means
from finetune.train.adapter import save_adapter
from finetune.verbs.use.export import write_export
from tests.support.new_tokens import EXTENDED, LEXICON
from tests.support.release_job import RECIPE
from tests.support.tiny import write_tiny_model


def trained(folder: Path, *, kind: str = "llama", tied: bool = True) -> tuple[Path, Path]:
    """Write a base and an adapter with new tokens, as after some training; return both folders."""
    base = write_tiny_model(folder / "base", kind=kind, tie_word_embeddings=tied)
    write_tokenizer(base, folder / "tokenizer", extended=EXTENDED.extended)
    tokens = EXTENDED.extended.tokens
    rows = NewRows(tokens[0].id, means(tokens))
    model = attach_lora(load_base(base, precision="fp32"), Lora(rank=4), seed=0, new_rows=rows)
    torch.manual_seed(1)
    tensors = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.add_(0.05 * torch.randn_like(tensor))
    released = Base(model="./base", hub_id="org/base", licence="mit")
    adapter, tokenizer = folder / "adapter", folder / "tokenizer"
    save_adapter(adapter, model, tensors=tensors, base=released, tokenizer=tokenizer)
    return base, adapter


@pytest.mark.parametrize(("kind", "tied"), [("llama", True), ("llama", False), ("gemma3", True)])
def test_a_merged_model_is_the_base_with_its_adapter(tmp_path, kind, tied):
    """Read back by transformers alone, logits are equal, the head as tied as the base's."""
    base, adapter = trained(tmp_path, kind=kind, tied=tied)
    found = merge(base, adapter, tmp_path / "merged")
    assert found.difference < 1e-5
    assert found.tokenizer_class == "AutoTokenizer"
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied
    text = " ".join(LEXICON[:6])
    tokenizer = load_tokenizer(tmp_path / "merged")
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) == EXTENDED.extended.tokens[-1].id + 1


def test_a_tokenizer_that_auto_would_open_otherwise_is_reported(tmp_path):
    """For Qwen 2 AutoTokenizer has its own splitting, so the class without it is named."""
    base, adapter = trained(tmp_path, kind="qwen2")
    found = merge(base, adapter, tmp_path / "merged")
    assert found.tokenizer_class == "PreTrainedTokenizerFast"
    opened = PreTrainedTokenizerFast.from_pretrained(tmp_path / "merged")
    text = " ".join(LEXICON[:6])
    assert opened(text)["input_ids"] == EXTENDED.extended.tokenizer().encode(text).ids


def exported(folder: Path, target: Path) -> None:
    """Write the merged model of `trained` as the verb does."""
    recipe = Recipe.model_validate(RECIPE)
    (folder / "model").symlink_to(folder / "base")  # where a base is in the store
    write_export(
        Opened(path=folder / "r.yaml", recipe=recipe, cards={}, purpose="export", terms=None),
        export_format("merged"),
        phase=recipe.training_phases[0],
        inputs={role: Artifact(role, "0" * 16, folder, {}) for role in ("base", "train")},
        target=target,
        console=Console(out=io.StringIO()),
    )


def test_a_model_that_differs_is_not_written(tmp_path, constants):
    """If the logits differ, no file remains."""
    trained(tmp_path)
    constants(merging, TOLERANCE=-1.0)
    with pytest.raises(ReleaseError) as refused:
        exported(tmp_path, tmp_path / "merged")
    assert refused.value.codes == ("merged-differs",)
    assert not (tmp_path / "merged").exists()
    assert not (tmp_path / "merged.partial").exists()


def test_nothing_is_written_over(tmp_path):
    """A folder that is there stays as it is."""
    (tmp_path / "merged").mkdir()
    with pytest.raises(StoreError):
        exported(tmp_path, tmp_path / "merged")
    assert list((tmp_path / "merged").iterdir()) == []
