"""Merging: what is written is what was proven, for tied and untied heads and every opener."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from peft.tuners.lora import LoraLayer, LoraModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from finetune.artefacts.adapter_source import AdapterSource
from finetune.errors import ReleaseError, StoreError
from finetune.models.load import load_tokenizer
from finetune.output.console import Console
from finetune.release.exports import merged as merging
from finetune.release.exports.merged import LIMITS, Limit, merge
from finetune.spec.tables.export_format import export_format
from finetune.verbs.use.export import write_export
from tests.support.new_tokens import EXTENDED, LEXICON
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


def exported(folder: Path, target: Path, *, dtype: str | None = None) -> None:
    """Write the merged model of `trained` as the verb does."""
    source = AdapterSource(
        name="hausa",
        base=folder / "base" / "model",
        adapter=folder / "train" / "adapter",
        base_id="org/base",
    )
    console = Console(out=io.StringIO())
    write_export(source, export_format("merged"), target=target, console=console, dtype=dtype)


@pytest.mark.parametrize(("dtype", "torch_dtype"), [("bf16", "bfloat16"), ("fp16", "float16")])
def test_a_merged_model_of_half_the_size_is_within_its_limit(tmp_path, dtype, torch_dtype):
    """Its weights are in that format, and its rounding is larger than that of float32."""
    base, adapter = write_trained(tmp_path)
    found = merge(base, adapter, tmp_path / "merged", dtype=dtype)
    assert 1e-5 < found.difference <= LIMITS[dtype].difference
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert config["dtype"] == torch_dtype
    assert "_name_or_path" not in config


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_an_update_scaled_by_two_is_beyond_every_limit(tmp_path, dtype, monkeypatch):
    """The limit of a coarse format hides no wrong sum."""
    base, adapter = write_trained(tmp_path)
    merge_and_unload = LoraModel.merge_and_unload

    def twice(self, *args, **settings):
        for module in self.modules():
            if isinstance(module, LoraLayer):
                module.scaling = {name: 2 * value for name, value in module.scaling.items()}
        return merge_and_unload(self, *args, **settings)

    monkeypatch.setattr(LoraModel, "merge_and_unload", twice)
    with pytest.raises(ReleaseError) as refused:
        merge(base, adapter, tmp_path / "merged", dtype=dtype)
    assert refused.value.codes == ("merged-differs",)


def test_a_model_that_differs_is_not_written(tmp_path, constants):
    """If the logits differ, no file remains."""
    write_trained(tmp_path)
    constants(merging, LIMITS={"fp32": Limit(-1.0, 1.0)})
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
