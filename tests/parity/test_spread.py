"""A base with layers on several devices: values are those of one device, and nothing mixes two.

Accelerate's hooks run on a CPU with some layers on disk; on two GPUs that are not there the device
of each tensor is followed (torch's FakeTensorMode), which refuses an operation on both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import dispatch_model

from finetune.models.generate import Decoding, write_tokens
from finetune.models.in_memory import split_of_segments
from finetune.models.layer_devices import modules_on
from finetune.models.load import attach_lora, load_base
from finetune.models.packed_model import PackedModel, causal_lm_of
from finetune.models.score import score_documents
from finetune.spec.sections.training import Lora
from tests.support.tiny import KINDS, tiny_model, write_tiny_model

LAYERS = 4
PROMPTS = [[5, 6, 7, 8], [9, 10], [11] * 9, [5, 6, 7, 12, 13]]
DECODING = Decoding(6)


def _scores(model: Any) -> np.ndarray:
    from finetune.models.encode import Encoded

    documents = [
        Encoded(np.arange(4, n, dtype=np.uint32), np.ones(n - 4, np.uint8), 10) for n in (12, 30, 9)
    ]
    for document in documents:
        document.supervised_n[0] = 0
    split = split_of_segments(list(enumerate(documents)), sequence_tokens=64)
    return score_documents(model, split, records=np.arange(3), batch_rows=1, device="cpu")


def _texts(model: Any) -> list[list[int]]:
    return write_tokens(model, PROMPTS, decoding=DECODING, stops=[2], pad=3, batch_size=3)


def _adapted(base: Any) -> Any:
    peft = attach_lora(base, Lora(rank=4), seed=0).eval()
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=torch.Generator())
    return peft


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_scores_and_texts_are_those_of_one_device(kind: str, tmp_path: Path) -> None:
    """With an adapter, and half of the layers brought by hooks for each call."""
    torch.manual_seed(0)
    folder = write_tiny_model(tmp_path / "model", kind=kind, layers=LAYERS)
    whole = PackedModel(_adapted(load_base(folder, precision="fp32")))
    scores, texts = _scores(whole), _texts(whole)
    torch.manual_seed(0)
    peft = _adapted(load_base(folder, precision="fp32"))
    causal = causal_lm_of(peft)
    places = modules_on(causal, [0, 0, 1, 1], ["cpu", "disk"])
    dispatch_model(causal, places, main_device="cpu", offload_dir=tmp_path / "offload")
    assert any(parameter.is_meta for parameter in causal.parameters())
    spread = PackedModel(peft)
    np.testing.assert_allclose(_scores(spread), scores, rtol=1e-5, atol=1e-5)
    assert _texts(spread) == texts


def test_a_base_is_loaded_where_the_map_says(tmp_path: Path) -> None:
    """Its layers are where the map puts them, and its scores are those of one device."""
    folder = write_tiny_model(tmp_path / "model", layers=LAYERS)
    whole = load_base(folder, precision="fp32")
    places = modules_on(whole, [0, 0, 0, 1], ["cpu", "disk"])
    spread = load_base(folder, precision="fp32", device_map=places)
    assert all(p.is_meta for p in spread.get_decoder().layers[3].parameters())
    assert not any(p.is_meta for p in spread.get_decoder().layers[2].parameters())
    expected, found = (_scores(PackedModel(model)) for model in (whole, spread))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_has_a_place(kind: str) -> None:
    """Embedding first, layers in order, head last; a head that is the embedding beside it."""
    model = tiny_model(kind, layers=LAYERS)
    places = modules_on(model, [0, 0, 1, 1], ["first", "second"])
    covered = {
        name
        for name, _ in model.named_parameters()
        if any(name.startswith(f"{place}.") for place in places)
    }
    assert covered == {name for name, _ in model.named_parameters()}
    layers = [device for place, device in places.items() if place.split(".")[-1].isdigit()]
    assert layers == ["first", "first", "second", "second"]
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    [head] = [n for n, module in model.named_modules() if module is model.get_output_embeddings()]
    assert places[head] == ("first" if tied else "second")
