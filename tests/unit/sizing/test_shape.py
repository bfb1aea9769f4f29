"""Parameters counted from config.json are those of the models that transformers and PEFT build."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune.errors import RecipeError
from finetune.sizing import shape
from finetune.spec.sections.training import Lora
from tests.support.model_shapes import SMOLLM2_135M
from tests.support.tiny import KINDS, tiny_model


def _config(model: Any) -> dict[str, Any]:
    return dict(json.loads(model.config.to_json_string()))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_base_counts_are_those_of_transformers(kind: str, tied: bool) -> None:
    """The base has exactly as many parameters as transformers makes of the same configuration."""
    model = tiny_model(kind, tie_word_embeddings=tied)
    counted = shape.base_parameters(shape.model_shape(_config(model)))
    assert counted == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["Gemma", "Gemma2", "Gemma3", "Phi3", "Qwen3", "SmolLM3"])
def test_real_sizes_with_only_what_the_file_says(name: str) -> None:
    """At the default size of an architecture, defaults that its file omits are known."""
    import torch
    import transformers

    model_class: Any = getattr(transformers, f"{name}ForCausalLM")
    with torch.device("meta"):
        model = model_class(model_class.config_class())
    found = shape.model_shape(_config(model))
    assert found.exact
    assert shape.base_parameters(found) == sum(p.numel() for p in model.parameters())


def test_smollm2_has_its_known_size() -> None:
    """SmolLM2-135M has 134,515,008 parameters, and rank 16 on all linear layers adds 4,884,480."""
    found = shape.model_shape(SMOLLM2_135M)
    assert shape.base_parameters(found) == 134_515_008
    assert sum(shape.adapter_parameters(found, Lora(rank=16)).values()) == 4_884_480


@pytest.mark.parametrize(
    "lora",
    [
        Lora(rank=4),
        Lora(rank=3, dora=True),
        Lora(rank=8, target_modules=["q_proj", "down_proj"]),
        Lora(rank=2, target_modules=["self_attn.v_proj", "lm_head"]),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_adapter_counts_are_those_of_peft(kind: str, lora: Lora) -> None:
    """The adapter has exactly as many parameters as PEFT trains, for every form and target."""
    from finetune.models.load import attach_lora

    if kind == "gpt2" and lora.target_modules != "all-linear":
        lora = lora.model_copy(update={"target_modules": ["c_proj", "attn.c_attn"]})
    if kind == "mixtral" and (lora.dora or "down_proj" in lora.target_modules):
        lora = Lora(rank=8)  # PEFT has no DoRA on experts, which have no down_proj of their own
    model = tiny_model(kind, tie_word_embeddings=False).requires_grad_(False)
    found = shape.model_shape(_config(model))
    adapted = attach_lora(model, lora, seed=0)
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert sum(shape.adapter_parameters(found, lora).values()) == trained


def test_unknown_architecture_is_counted_as_a_llama_and_says_so() -> None:
    """A model type that was never looked at is not claimed to be counted exactly."""
    other = shape.model_shape(SMOLLM2_135M | {"model_type": "brand-new"})
    assert not other.exact
    assert shape.base_parameters(other) == 134_515_008


def test_the_text_part_of_a_model_with_pictures_is_counted_and_says_so() -> None:
    """The language model inside another configuration is counted, and not called exact."""
    inner = shape.model_shape({"model_type": "gemma3", "text_config": SMOLLM2_135M})
    assert not inner.exact
    assert shape.base_parameters(inner) == 134_515_008


def test_what_is_no_decoder_is_refused() -> None:
    """A configuration without the numbers of a decoder names what is missing."""
    with pytest.raises(RecipeError) as refused:
        shape.model_shape({"model_type": "t5", "hidden_size": 4}, source="x/config.json")
    assert refused.value.codes == ("unknown-architecture",)
    assert "num_hidden_layers" in refused.value.problems[0].facts["missing"]


def test_wrong_target_is_refused_with_the_names_there_are() -> None:
    """A target that no layer ends in is an error that lists the layers."""
    with pytest.raises(RecipeError) as refused:
        shape.adapter_parameters(shape.model_shape(SMOLLM2_135M), Lora(target_modules=["query"]))
    assert refused.value.codes == ("no-such-layer",)
    assert set(refused.value.problems[0].facts["names"]) >= {"q_proj", "k_proj"}
