"""Merging: what is written is what was proven, for tied and untied heads and every opener."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from finetune.artefacts.job import Artifact
from finetune.errors import ReleaseError, StoreError
from finetune.models.load import load_tokenizer
from finetune.output.console import Console
from finetune.pipeline.gate import Opened
from finetune.release.exports import merged as merging
from finetune.release.exports.merged import merge
from finetune.spec.recipe import Recipe
from finetune.spec.tables.export_format import export_format
from finetune.verbs.use.export import write_export
from tests.support.new_tokens import EXTENDED, LEXICON
from tests.support.release_job import RECIPE
from tests.support.trained_adapter import write_trained


@pytest.mark.parametrize(("kind", "tied"), [("llama", True), ("llama", False), ("gemma3", True)])
def test_a_merged_model_is_the_base_with_its_adapter(tmp_path, kind, tied):
    """Read back by transformers alone, logits are equal, the head as tied as the base's."""
    base, adapter = write_trained(tmp_path, kind=kind, tied=tied)
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
    base, adapter = write_trained(tmp_path, kind="qwen2")
    found = merge(base, adapter, tmp_path / "merged")
    assert found.tokenizer_class == "PreTrainedTokenizerFast"
    opened = PreTrainedTokenizerFast.from_pretrained(tmp_path / "merged")
    text = " ".join(LEXICON[:6])
    assert opened(text)["input_ids"] == EXTENDED.extended.tokenizer().encode(text).ids


def exported(folder: Path, target: Path) -> None:
    """Write the merged model of `trained` as the verb does."""
    recipe = Recipe.model_validate(RECIPE)
    write_export(
        Opened(path=folder / "r.yaml", recipe=recipe, cards={}, purpose="export", terms=None),
        export_format("merged"),
        phase=recipe.training_phases[0],
        inputs={role: Artifact(role, "0" * 16, folder / role, {}) for role in ("base", "train")},
        target=target,
        console=Console(out=io.StringIO()),
    )


def test_a_model_that_differs_is_not_written(tmp_path, constants):
    """If the logits differ, no file remains."""
    write_trained(tmp_path)
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
