"""The proof of GGUF exports by llama.cpp: what is right passes, planted faults are named."""

from __future__ import annotations

import io
import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.export_job import ExportJob
from finetune.errors import ReleaseError
from finetune.output.console import Console
from finetune.release.exports.gguf import exported, lora
from finetune.release.exports.gguf.proof_items import TEXTS
from finetune.spec.sections.training import Lora
from finetune.spec.tables.export_format import Exported
from tests.support.llama_cpp import engine
from tests.support.trained_adapter import write_trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(engine()))


def made(root: Path, **how: Any) -> AdapterSource:
    """Write a tiny llama and an adapter that changes much."""
    base, adapter = write_trained(root, moved=0.3, **how)
    return AdapterSource(name="org/hau", base=base, adapter=adapter, base_id="org/base")


def export(source: AdapterSource, root: Path, *, whole: bool, type_: str | None = None) -> Exported:
    folder = root / "export" / "made"
    folder.mkdir(parents=True)
    console = Console(out=io.StringIO())
    job = ExportJob(source=source, workspace=folder, console=console, quantize=type_)
    return (exported.MODEL if whole else exported.LORA).write(job)


@pytest.mark.parametrize("rslora", [False, True])
def test_a_lora_file_computes_what_peft_does(tmp_path: Path, rslora: bool) -> None:
    """On a GGUF of its base the probabilities agree to 16 bits, and differ from the base's."""
    source = made(tmp_path, new_tokens=False, lora=Lora(rank=4, rslora=rslora))
    found = export(source, tmp_path, whole=False)
    assert found.unchecked is None
    assert found.facts["kl"] < 1e-3
    assert abs(found.facts["bits_file"] - found.facts["bits_adapter"]) < 0.01
    assert abs(found.facts["bits_base"] - found.facts["bits_adapter"]) > 0.05


@pytest.mark.parametrize("type_", ["f16", "q8_0"])
def test_a_whole_model_computes_what_peft_does(tmp_path: Path, type_: str) -> None:
    """Also in 8 bits, with an interval around the cost; size and speed are measured."""
    found = export(made(tmp_path, new_tokens=False), tmp_path, whole=True, type_=type_)
    assert found.facts["kl"] < 0.02
    assert found.facts["cost_low"] <= found.facts["cost"] <= found.facts["cost_high"]
    assert min(found.facts[n] for n in ("tokens_per_second", "words_per_second", "peak_bytes")) > 0
    assert found.facts["peak_bytes"] < peak_of_this_process() / 2  # which holds torch


def peak_of_this_process() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_rows_in_the_order_of_transformers_are_refused(tmp_path: Path, constants: Any) -> None:
    """Fault 1: q and k of llama without the permutation."""
    right = lora.layout_of

    def unpermuted(base: Path) -> Any:
        found = right(base)
        return replace(found, architecture=replace(found.architecture, permuted=False))

    constants(lora, layout_of=unpermuted)
    refused(made(tmp_path, new_tokens=False), tmp_path, code="gguf-differs")


def test_a_wrong_scale_is_refused(tmp_path: Path, constants: Any) -> None:
    """Fault 2: twice the alpha."""
    right = lora.llama_alpha
    constants(lora, llama_alpha=lambda config: 2 * right(config))
    refused(made(tmp_path, new_tokens=False), tmp_path, code="gguf-differs")


@pytest.mark.parametrize("whole", [False, True])
def test_a_truncated_file_is_refused(tmp_path: Path, constants: Any, whole: bool) -> None:
    """Fault 3: the last tenth of the file is missing; the process of the check survives."""
    name = "write_model" if whole else "write_lora"
    right = getattr(exported, name)

    def truncated(*given: Any, **how: Any) -> Any:
        written = right(*given, **how)
        file = next(x for x in given if str(x).endswith(".gguf"))
        with file.open("r+b") as content:
            content.truncate(file.stat().st_size * 9 // 10)
        return written

    constants(exported, **{name: truncated})
    refused(made(tmp_path, new_tokens=False), tmp_path, code="gguf-unreadable", whole=whole)


def test_one_changed_merge_is_refused(tmp_path: Path, constants: Any) -> None:
    """Fault 4: a merge of the tokenizer that the texts use is another one."""
    right = exported.write_model

    def with_another_merge(*given: Any, prompting: Any, **how: Any) -> Any:
        folder = tmp_path / "other"
        shutil.copytree(prompting.tokenizer, folder)
        change_a_merge(folder / "tokenizer.json")
        return right(*given, prompting=replace(prompting, tokenizer=folder), **how)

    constants(exported, write_model=with_another_merge)
    source = made(tmp_path, new_tokens=False)
    refused(source, tmp_path, code="gguf-tokens-differ", whole=True)


def change_a_merge(path: Path) -> None:
    content = json.loads(path.read_text())
    before = Tokenizer.from_str(json.dumps(content)).encode(TEXTS[0]).ids
    merges = content["model"]["merges"]
    for number, merge in enumerate(merges):
        merges[number] = merges[number - 1]
        if Tokenizer.from_str(json.dumps(content)).encode(TEXTS[0]).ids != before:
            path.write_text(json.dumps(content))
            return
        merges[number] = merge
    raise AssertionError("no merge matters")


def refused(source: AdapterSource, root: Path, *, code: str, whole: bool = False) -> None:
    with pytest.raises(ReleaseError) as caught:
        export(source, root, whole=whole)
    assert code in caught.value.codes
    assert "nothing was written" in str(caught.value)
