"""Packing into 4 bits elsewhere than where the weights stay, and their scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.models.layer_devices import packing_on, scales_to, states_of
from finetune.models.load import load_base
from tests.support.tiny import write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model")


def _load(folder: Path, **settings: Any) -> Any:
    return load_base(folder, precision="bf16", quantization="4bit", **settings)


def test_weights_packed_elsewhere_are_the_same_and_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each matrix is packed on the device that is named, and comes back with its scales."""
    from bitsandbytes.nn import Params4bit

    plain, devices = _load(folder), []
    written = Params4bit._quantize

    def quantize(weight: Any, device: Any) -> Any:
        devices.append(str(device))
        return written(weight, "cpu")

    monkeypatch.setattr(Params4bit, "_quantize", quantize)
    packed = _load(folder, packs_on="cuda:7")
    assert len(devices) == len(list(states_of(packed))) > 0
    assert set(devices) == {"cuda:7"}
    assert Params4bit._quantize is quantize
    expected = dict(plain.named_parameters())
    for name, parameter in packed.named_parameters():
        assert torch.equal(parameter, expected[name]), name
        assert parameter.device.type == "cpu"
    for one, other in zip(states_of(packed), states_of(plain), strict=True):
        assert torch.equal(one.absmax, other.absmax)
        assert one.absmax.device.type == "cpu"


def test_packing_is_as_it_was_after_an_error() -> None:
    """Also where loading fails."""
    from bitsandbytes.nn import Params4bit

    written = Params4bit._quantize
    with pytest.raises(KeyboardInterrupt), packing_on("cpu"):
        raise KeyboardInterrupt
    assert Params4bit._quantize is written


def test_scales_go_to_the_device_that_computes(folder: Path) -> None:
    """Of every matrix, with the scales of their scales."""
    model = _load(folder)
    scales_to(torch.device("meta"), model)
    for state in states_of(model):
        assert {t.device.type for t in (state.absmax, state.code, state.state2.absmax)} == {"meta"}
