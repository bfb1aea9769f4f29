"""Training new rows: what moves and what does not, from phase to phase, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune.artefacts.job import Artifact
from finetune.errors import RecipeError
from finetune.models.rows import is_row, read_rows, start_rows
from finetune.train.run import run
from tests.support.results import train_result
from tests.support.tiny import tiny_model
from tests.support.training_job import adapter_digest, make_job, write_inputs, write_vocabulary


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    found = write_inputs(tmp_path / "inputs", tie_word_embeddings=False)
    return found | {"vocabulary": write_vocabulary(tmp_path / "inputs")}


def rows_of(workspace: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(workspace / "adapter/adapter_model.safetensors")
    return {name: tensor for name, tensor in tensors.items() if is_row(name)}


def test_rows_are_trained_and_saved_with_their_tokenizer(tmp_path, inputs):
    """Rows of both matrices leave their means; the adapter has them, their ids, the tokenizer."""
    run(make_job(tmp_path / "work", inputs))
    found = rows_of(tmp_path / "work")
    assert len(found) == 2
    fresh = tiny_model(tie_word_embeddings=False)
    start_rows(fresh, read_rows(inputs["vocabulary"].path))
    for name, tensor in found.items():
        layer = fresh.lm_head if "lm_head" in name else fresh.get_input_embeddings()
        assert tensor.shape == (10, 64)
        assert (tensor - layer.weight[110:120]).abs().max() > 0.01
    adapter = tmp_path / "work/adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert list(config["trainable_token_indices"].values()) == [list(range(110, 120))] * 2
    assert (adapter / "tokenizer.json").is_file()


def test_rows_have_a_learning_rate_of_their_own(tmp_path, inputs):
    """With almost no rate for rows, rows stay and the update is trained."""
    job = make_job(tmp_path / "work", inputs)
    settings = job.recipe.vocabulary.model_copy(update={"learning_rate": 1e-12})
    run(replace(job, recipe=job.recipe.model_copy(update={"vocabulary": settings})))
    fresh = tiny_model(tie_word_embeddings=False)
    start_rows(fresh, read_rows(inputs["vocabulary"].path))
    for name, tensor in rows_of(tmp_path / "work").items():
        layer = fresh.lm_head if "lm_head" in name else fresh.get_input_embeddings()
        torch.testing.assert_close(tensor, layer.weight[110:120].detach(), atol=1e-6, rtol=0)


def test_a_next_phase_goes_on_from_the_rows(tmp_path, inputs):
    """A second phase starts with the rows of the first: with no rate to speak of it keeps them."""
    run(make_job(tmp_path / "first", inputs))
    start = {"start": Artifact("train", "t", tmp_path / "first", train_result())}
    still = {"learning_rate": 1e-12}
    job = make_job(tmp_path / "second", inputs | start, train=still)
    settings = job.recipe.vocabulary.model_copy(update=still)
    run(replace(job, recipe=job.recipe.model_copy(update={"vocabulary": settings})))
    first, second = rows_of(tmp_path / "first"), rows_of(tmp_path / "second")
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, atol=1e-6, rtol=0)


def test_an_adapter_with_other_tokens_is_no_start(tmp_path, inputs):
    """Rows of other tokens, none, or rows where none are wanted: each is refused in words."""
    run(make_job(tmp_path / "first", inputs))
    plain = {k: v for k, v in inputs.items() if k != "vocabulary"}
    run(make_job(tmp_path / "plain", plain))
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "first", other)
    (other / "adapter/tokenizer.json").write_text('{"other": 1}')
    for folder, given, code in (
        (other, inputs, "start-of-other-tokens"),
        (tmp_path / "plain", inputs, "start-of-other-tokens"),
        (tmp_path / "first", plain, "start-new-tokens-differ"),
    ):
        job = make_job(tmp_path / "refused", given, train={"start_from": str(folder)})
        with pytest.raises(RecipeError) as refused:
            run(job)
        assert refused.value.codes == (code,)


@pytest.mark.parametrize("init", ["default", "pissa"])
def test_the_same_settings_give_the_same_rows(tmp_path, inputs, init):
    """Two runs give the same bytes, with every start of the update."""
    for name in ("one", "two"):
        run(make_job(tmp_path / name, inputs, lora={"init": init}))
    assert adapter_digest(tmp_path / "one") == adapter_digest(tmp_path / "two")
    assert len(rows_of(tmp_path / "one")) == 2
