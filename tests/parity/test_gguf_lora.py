"""Our LoRA GGUF and that of llama.cpp's converter: the same tensors, bit by bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from finetune.release.exports.gguf.general_keys import Identity
from finetune.release.exports.gguf.lora import Precision, write_lora
from finetune.spec.sections.training import Lora
from tests.support.llama_cpp import converter
from tests.support.trained_adapter import write_trained

KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3")


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def value(path: Path, key: str) -> Any:
    return gguf.GGUFReader(path).fields[key].contents()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("precision", ["f16", "f32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_the_converters(kind: str, precision: Precision, tmp_path: Path) -> None:
    """Names, shapes, types and bits are equal, and so are architecture and alpha."""
    program = converter("convert_lora_to_gguf.py")
    base, adapter = write_trained(tmp_path, kind=kind, new_tokens=False, lora=Lora(rank=4))
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    identity = Identity(name="adapter", base_id="org/base")
    write_lora(base, adapter, ours, identity=identity, precision=precision)
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, program, "--base", base, "--outtype", precision]
    subprocess.run(
        [*command, "--outfile", theirs, adapter],
        env=environment,
        check=True,
        capture_output=True,
    )
    one, other = tensors(ours), tensors(theirs)
    assert one.keys() == other.keys()
    assert len(one) == 2 * 2 * 7  # A and B of seven layers in two blocks
    for name, tensor in one.items():
        assert tensor.tensor_type == other[name].tensor_type
        assert np.array_equal(tensor.shape, other[name].shape)
        assert np.array_equal(tensor.data, other[name].data)
    for key in ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"):
        assert value(ours, key) == value(theirs, key)
