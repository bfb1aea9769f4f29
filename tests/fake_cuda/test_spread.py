"""A base whose layers are on two GPUs: no operation mixes tensors of both, which fakes refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerate import dispatch_model
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from finetune.models import packed_model
from finetune.models.attention import documents, grouped, packed
from finetune.models.attention.packed_batch import Documents, PackedBatch
from finetune.models.decode import row_attention
from finetune.models.generate import Decoding, write_tokens
from finetune.models.layer_devices import modules_on
from finetune.models.packed_model import PackedModel
from finetune.sizing.attention_paths import Chip
from tests.support.tiny import tiny_model

LAYERS = 4
PROMPTS = [[5, 6, 7, 8], [9, 10], [11] * 9, [5, 6, 7, 12, 13]]
DECODING = Decoding(6)
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")


def _on_two_gpus(kind: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a model of fake tensors, its layers on two GPUs that are not there."""
    model = tiny_model(kind, layers=LAYERS).eval().requires_grad_(False)
    places = modules_on(model, [0, 0, 1, 1], ["cuda:0", "cuda:1"])
    monkeypatch.setattr("accelerate.hooks.set_module_tensor_to_device", _place)
    dispatch_model(model, places, main_device="cuda:0")
    model.hf_device_map = places
    # neither kernels nor numbers are there: queries stand for attention, 7 for each number
    monkeypatch.setattr(row_attention, "scaled_dot_product_attention", _same_device)
    monkeypatch.setattr(FakeTensor, "tolist", lambda x: np.full(x.shape, 7).tolist())
    assert {p.device for p in model.parameters()} == {torch.device("cuda", n) for n in (0, 1)}
    return model


def _place(module: Any, name: str, device: Any, **_: Any) -> None:
    """Do what Accelerate does, which makes parameters anew by a class that fakes do not have."""
    inside, _, last = name.rpartition(".")
    owner = module.get_submodule(inside)
    if last in owner._parameters:
        moved = torch.nn.Parameter(owner._parameters[last].to(device), requires_grad=False)
        owner._parameters[last] = moved
    else:
        owner._buffers[last] = owner._buffers[last].to(device)


def _same_device(query: Any, key: Any, value: Any, mask: Any = None, **_: Any) -> Any:
    there = {x.device for x in (query, key, value, mask) if x is not None}
    assert len(there) == 1
    return query


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3"])
def test_generation_never_mixes_devices(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden states, keys, values, masks and positions are on the device of each layer."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        model = _on_two_gpus(kind, monkeypatch)
        long = [[*range(100), n] for n in range(3)]  # whose beginning is computed once
        written = write_tokens(
            model, [*PROMPTS, *long], decoding=DECODING, stops=[2], pad=3, batch_size=3
        )
    assert written == [[7] * 6] * 7


@pytest.mark.parametrize("path", ["varlen", "documents", "grouped"])
def test_scoring_never_mixes_devices(path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boundaries of documents are beside each layer, targets and hidden states at the head."""
    monkeypatch.setattr(packed, "attend_by_varlen", _varlen)
    monkeypatch.setattr(packed_model, "chip_of", lambda _: Chip("gpu", (9, 0)))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: x)
    for module in (documents, grouped):
        monkeypatch.setattr(module, "scaled_dot_product_attention", _same_device)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        model = PackedModel(_on_two_gpus("llama", monkeypatch), path=path)
        numbers = torch.zeros(6, dtype=torch.long, device="cuda:0")
        starts = torch.zeros(3, dtype=torch.int32, device="cuda:0")
        batch = PackedBatch(
            tokens_S=numbers,
            positions_S=numbers,
            targets_N=numbers[1:],
            before_N=numbers[:-1],
            documents=Documents((2, 4), starts, 4),
            row_lengths=(6,),
            rows=(0,),
        )
        assert model.score(batch).shape == (5,)


def _varlen(query: Any, key: Any, value: Any, held: Documents, _: Any) -> Any:
    _same_device(query, key, value, held.starts)
    return query.transpose(1, 2)
