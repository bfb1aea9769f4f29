"""Our GGUF of a whole model and that of llama.cpp's converter: the same tensors and settings."""

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
from finetune.release.exports.gguf.whole_model import Prompting, write_model
from tests.support.llama_cpp import converter
from tests.support.tiny import CHATML, write_tiny_model

KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3")
CONVERT = """
import runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
import conversion.base, conversion.gemma
# it knows tokenizers by a hash of tokens, and Gemma's by a file that no tiny one has
conversion.base.TextModel.get_vocab_base_pre = lambda *_: "smollm"
conversion.gemma.Gemma2Model.set_vocab = lambda self: self._set_vocab_gpt2()
runpy.run_path(sys.argv[0], run_name="__main__")
"""
VOCAB = 344
"""Tokens of the tiny tokenizer: of Gemma 3 the converter cuts rows without a token."""
OUR_OWN = (
    "general.base_model.",
    "general.name",
    "general.size_label",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    ".vocab_size",
    "gemma2.rope.freq_base",
    "GGUF.kv_count",
)
"""Metadata, what the converter leaves to the defaults of llama.cpp, and their number."""


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tensors and keys."""
    reader = gguf.GGUFReader(path)
    keys = {key: field.contents() for key, field in reader.fields.items()}
    ours = {key: v for key, v in keys.items() if not any(part in key for part in OUR_OWN)}
    return {tensor.name: tensor for tensor in reader.tensors}, ours


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("type_", ["f16", "q8_0"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_and_setting_is_the_converters(kind: str, type_: str, tmp_path: Path) -> None:
    """Names, shapes, types and bits of tensors; settings, tokens, merges, marks, template."""
    program = converter("convert_hf_to_gguf.py")
    tied = kind != "qwen3"
    model = write_tiny_model(tmp_path / "model", kind=kind, vocab=VOCAB, tie_word_embeddings=tied)
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    prompting = Prompting(tokenizer=model, opened=False, template=CHATML)
    identity = Identity(name="model", base_id="org/base")
    write_model(model, ours, identity=identity, prompting=prompting, type_=type_)
    subprocess.run(
        [sys.executable, "-c", CONVERT, program, model, "--outtype", type_, "--outfile", theirs],
        env={name: v for name, v in os.environ.items() if name != "PYTHONPATH"},
        check=True,
        capture_output=True,
    )
    (one, keys), (other, their_keys) = read(ours), read(theirs)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.tensor_type == other[name].tensor_type
        assert np.array_equal(tensor.shape, other[name].shape)
        assert np.array_equal(tensor.data, other[name].data)
    assert keys == their_keys
