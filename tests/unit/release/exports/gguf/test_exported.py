"""GGUF exports without a runtime, the Modelfile, and splittings that llama.cpp has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.adapter_source import AdapterSource
from finetune.errors import MissingPackageError, ReleaseError
from finetune.models.template import prompt_text
from finetune.output.console import Console
from finetune.release.exports.gguf import runtime
from finetune.release.exports.gguf.ollama import modelfile
from finetune.release.exports.gguf.written_tokenizer import SPLITS, split_of
from finetune.spec.tables.export_format import export_format
from finetune.verbs.use.export import write_export
from tests.support.problems import raises
from tests.support.tiny import tiny_tokenizer
from tests.support.trained_adapter import write_trained

GOLDEN = '''# Written for Ollama by its documentation; it was not run with Ollama.
FROM ./hau-q8_0.gguf
TEMPLATE """{{ range .Messages }}{{ if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
<|im_start|>assistant
{{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>
{{ end }}{{ end }}"""
PARAMETER stop "<|im_end|>"
'''


def source(root: Path) -> AdapterSource:
    base, adapter = write_trained(root, new_tokens=False)
    return AdapterSource(name="org/hau", base=base, adapter=adapter, base_id="org/base")


def test_without_an_engine_the_folder_is_kept_unchecked(tmp_path: Path, constants: Any) -> None:
    """It is called so in its name and in the result, which says what to install."""
    constants(runtime, is_installed=lambda: False)
    place, written = write_export(
        source(tmp_path),
        export_format("gguf-lora"),
        target=tmp_path / "out",
        console=Console(out=io.StringIO()),
    )
    assert place == tmp_path / "out.unchecked"
    assert "finetune-lowres[gguf]" in str(written.unchecked)
    assert {"hau-lora-f16.gguf", "Modelfile", "export.json"} <= {p.name for p in place.iterdir()}
    assert not (tmp_path / "out").exists()


def test_a_k_quant_without_a_quantizer_is_refused_at_once(tmp_path: Path, constants: Any) -> None:
    """Before anything is merged, with the line of pip."""
    constants(runtime, can_quantize=lambda: False)
    with raises(MissingPackageError, code="package-missing", package="llama_cpp"):
        write_export(
            source(tmp_path),
            export_format("gguf"),
            target=tmp_path / "out",
            console=Console(out=io.StringIO()),
            quantize="q4_k_m",
        )
    assert not (tmp_path / "out").exists()


def test_the_modelfile_has_the_template_of_training() -> None:
    """ChatML of the tokenizer, in Go's language, with its stop token."""
    assert modelfile("./hau-q8_0.gguf", tiny_tokenizer(), layout="model") == GOLDEN


def test_the_template_makes_the_prompt_of_training() -> None:
    """To the last line end, after a first answer as well; Go cuts white space only at `{{-`."""
    tokenizer = tiny_tokenizer()
    text = modelfile("./hau-q8_0.gguf", tokenizer, layout="model").split('"""')[1]
    assert "{{-" not in text
    assert "-}}" not in text
    start, loop = text.split("{{ range .Messages }}")
    user, answer = loop.split('{{ else if eq .Role "assistant" }}')
    by_role = {
        "user": user.removeprefix('{{ if eq .Role "user" }}'),
        "assistant": answer.removesuffix("{{ end }}{{ end }}"),
    }
    messages = [
        {"role": "user", "content": "Sannu"},
        {"role": "assistant", "content": "Yauwa"},
        {"role": "user", "content": "Ina kwana?"},
    ]
    made = [by_role[one["role"]].replace("{{ .Content }}", one["content"]) for one in messages]
    assert start + "".join(made) == prompt_text(tokenizer, messages)


def test_a_plain_layout_ends_its_prompt_with_a_newline() -> None:
    """As training joined prompt and answer."""
    text = modelfile("base.gguf", tiny_tokenizer(), layout="plain", adapter="a.gguf")
    assert 'TEMPLATE """{{ .Prompt }}\n"""' in text
    assert "ADAPTER ./a.gguf" in text


@pytest.mark.parametrize("name", ["qwen2", "llama-bpe"])
def test_a_known_expression_has_its_name(name: str) -> None:
    """Expressions of Qwen 2 and Llama 3 as their tokenizer.json has them."""
    [expression] = [one for one, called in SPLITS.items() if called == name]
    parts = [
        {"type": "Split", "pattern": {"Regex": expression}},
        {"type": "ByteLevel", "use_regex": False},
    ]
    content = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": parts}}
    assert split_of(content, folder=Path("x")) == name


def test_an_expression_of_our_own_is_refused() -> None:
    """llama.cpp would split by another one without a warning."""
    parts = [
        {"type": "Split", "pattern": {"Regex": r"\p{L}[\p{L}\p{M}]*"}},
        {"type": "ByteLevel", "use_regex": False},
    ]
    content = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": parts}}
    with raises(ReleaseError, code="gguf-tokenizer"):
        split_of(content, folder=Path("x"))
