"""Adapters made of several: equal to what the papers define, refused where they do not fit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from finetune.artefacts.adapter_source import AdapterSource
from finetune.cli import main
from finetune.compose.composed import Asked, Composed, compose
from finetune.compose.composed_parts import Part, checked_parts
from finetune.compose.methods import METHODS
from finetune.errors import RecipeError, ReleaseError
from finetune.models.load import load_adapter, load_base
from tests.support.tiny import tiny_model, write_tiny_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two bases and adapters on the first."""
    root = tmp_path_factory.mktemp("compose")
    write_tiny_model(root / "base")
    write_tiny_model(root / "other", initializer_range=0.1)
    _write(root / "one", seed=1)
    _write(root / "two", seed=2, target_modules=["q_proj", "v_proj", "down_proj"])
    _write(root / "three", seed=6)
    _write(root / "wide", seed=3, r=8, use_rslora=True)
    _write(root / "dora", seed=4, use_dora=True)
    _write(root / "tokens", seed=5, trainable_token_indices=[508, 509])
    return root


def _write(folder: Path, *, seed: int, **settings: Any) -> None:
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"]} | settings
    torch.manual_seed(seed)
    adapted = get_peft_model(tiny_model(), LoraConfig(task_type="CAUSAL_LM", **settings))
    torch.manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(folder)


def parts_of(root: Path, **weights: float) -> list[Part]:
    return [Part(name, source_of(root, name), weight) for name, weight in weights.items()]


def source_of(root: Path, name: str, **facts: Any) -> AdapterSource:
    known = {"base": root / "base", "base_id": "org/base", "base_licence": "apache-2.0"}
    known |= {"licence": "cc-by-4.0", "languages": ("hau_Latn",)}
    return AdapterSource(name=name, adapter=root / name, **(known | facts))


def made(root: Path, folder: Path, method: str, **settings: Any) -> Composed:
    weights = settings.pop("weights", {"one": 1.0, "two": 0.5})
    folder.mkdir()
    row = METHODS[method]
    return compose(checked_parts(parts_of(root, **weights), row), folder, Asked(row, **settings))


def factors(folder: Path) -> dict[str, tuple[Tensor, Tensor, float]]:
    """Return A, B and scale of each layer of an adapter, from its two files."""
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    tensors = safetensors.torch.load_file(folder / "adapter_model.safetensors")
    root = math.sqrt(config["r"]) if config["use_rslora"] else config["r"]
    layers = {name.partition(".lora_")[0] for name in tensors}
    return {
        one: (
            tensors[f"{one}.lora_A.weight"].double(),
            tensors[f"{one}.lora_B.weight"].double(),
            config["lora_alpha"] / root,
        )
        for one in layers
    }


def updates(folder: Path) -> dict[str, Tensor]:
    return {name: scale * (b @ a) for name, (a, b, scale) in factors(folder).items()}


def added(root: Path, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Return the weighted sum of the updates of adapters, layer by layer."""
    total: dict[str, Tensor] = {}
    for name, weight in weights.items():
        for layer, update in updates(root / name).items():
            total[layer] = total.get(layer, torch.zeros_like(update)) + weight * update
    return total


def assert_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, update in wanted.items():
        torch.testing.assert_close(found[name], update, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "weights",
    [{"one": 1.0, "two": 0.5}, {"one": 0.7, "wide": -0.3}, {"wide": 1.0, "one": 1.0, "two": 1.0}],
    ids=["other-modules", "rslora-and-other-ranks", "three"],
)
def test_cat_is_the_weighted_sum_of_the_updates(root, tmp_path, weights):
    """Whatever the parts' ranks, scales and modules, and loaded as any other adapter."""
    done = made(root, tmp_path / "sum", "cat", weights=weights)
    assert_same(updates(tmp_path / "sum"), added(root, weights))
    assert done.distance < 1e-6
    load_adapter(load_base(root / "base", precision="fp32"), tmp_path / "sum")


def test_svd_is_the_nearest_update_of_its_rank(root, tmp_path):
    """At the rank of the sum it is the sum; below, the distance is that of Eckart and Young."""
    weights = {"one": 1.0, "two": 0.5}
    assert made(root, tmp_path / "full", "svd", rank=8).distance < 1e-5
    assert_same(updates(tmp_path / "full"), added(root, weights))
    done = made(root, tmp_path / "low", "svd", rank=3)
    values = [torch.linalg.svdvals(update) for update in added(root, weights).values()]
    lost, total = (sum(float(v[k:].square().sum()) for v in values) for k in (3, 0))
    assert done.distance == pytest.approx(math.sqrt(lost / total), rel=1e-4)
    assert done.rank == 3


def test_linear_adds_the_factors_and_is_no_sum_of_updates(root, tmp_path):
    """(sum of sqrt(w s) B)(sum of sqrt(w s) A): products of different parts are in it."""
    weights = {"one": 1.0, "three": 0.5}
    done = made(root, tmp_path / "linear", "linear", weights=weights)
    wanted = {}
    both = {name: factors(root / name) for name in weights}
    for layer in both["one"]:
        a = sum(math.sqrt(weights[n] * f[layer][2]) * f[layer][0] for n, f in both.items())
        b = sum(math.sqrt(weights[n] * f[layer][2]) * f[layer][1] for n, f in both.items())
        wanted[layer] = b @ a
    assert_same(updates(tmp_path / "linear"), wanted)
    assert done.distance > 0.1


def test_ties_on_updates_is_that_of_the_paper(root, tmp_path):
    """The largest numbers are kept, a sign is elected, those of this sign are averaged."""
    made(
        root,
        tmp_path / "ties",
        "ties_svd",
        weights={"one": 1.0, "three": 1.0},
        density=0.4,
        rank=64,
    )
    found, wanted = updates(tmp_path / "ties"), {}
    one, three = updates(root / "one"), updates(root / "three")
    for layer in one:
        kept = torch.stack([_largest(u[layer], share=0.4) for u in (one, three)])
        sign = torch.where(kept.sum(0) >= 0, 1.0, -1.0)
        agree = kept.sign() == sign
        wanted[layer] = (kept * agree).sum(0) / agree.sum(0).clamp(min=1)
    assert_same(found, wanted)


def _largest(update: Tensor, *, share: float) -> Tensor:
    count = int(share * update.numel())
    least = update.abs().flatten().topk(count).values[-1]
    return torch.where(update.abs() >= least, update, 0.0)


def test_dare_repeats_with_its_seed_and_keeps_the_sum_in_the_mean(root, tmp_path):
    """One seed gives one file, another one another; with a density of 1 it is the plain sum."""
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(files))  # what was drawn before does not matter
        made(root, tmp_path / name, "dare_linear_svd", seed=seed, density=0.5, rank=16)
        files.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]
    assert made(root, tmp_path / "whole", "dare_linear_svd", density=1.0, rank=8).distance < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_an_adapter_that_loads(root, tmp_path, method):
    """Of parts of one rank; exactly those tensors that its configuration describes."""
    weights = {"one": 1.0, "two": 0.5}
    done = made(root, tmp_path / method, method, weights=weights)
    config = json.loads((tmp_path / method / "adapter_config.json").read_text("utf-8"))
    assert config["r"] == config["lora_alpha"] == done.rank
    load_adapter(load_base(root / "base", precision="fp32"), tmp_path / method)


@pytest.mark.parametrize(
    ("names", "method", "code"),
    [
        (("one",), "cat", "number-of-parts"),
        (("one", "dora"), "cat", "part-with-dora"),
        (("tokens", "one"), "svd", "part-with-new-tokens"),
        (("one", "wide"), "linear", "ranks-differ"),
        (("one", "wide"), "dare_ties", "ranks-differ"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(root, names, method, code):
    """By the reason, before anything is computed."""
    with pytest.raises(RecipeError) as refused:
        checked_parts(parts_of(root, **dict.fromkeys(names, 1.0)), METHODS[method])
    assert refused.value.codes == (code,)


def test_bases_are_compared_by_their_weights(root):
    """The same name with other weights is refused, another name with the same weights is not."""
    one = Part("one", source_of(root, "one"), 1.0)
    other = Part("two", source_of(root, "two", base=root / "other"), 1.0)
    with pytest.raises(RecipeError) as refused:
        checked_parts([one, other], METHODS["cat"])
    assert refused.value.codes == ("other-base",)
    renamed = Part("two", source_of(root, "two", base_id="me/copy"), 1.0)
    assert len(checked_parts([one, renamed], METHODS["cat"]).parts) == 2


def test_the_licence_is_the_strictest_of_the_parts(root, tmp_path):
    """It follows from all; one that is not stated leaves it open, and a clash is refused."""

    def licence(*stated: str | None) -> str | None:
        parts = [
            Part(f"part{n}", source_of(root, name, licence=one), 1.0)
            for n, (name, one) in enumerate(zip(("one", "two"), stated, strict=True))
        ]
        folder = tmp_path / "-".join(map(str, stated))
        folder.mkdir()
        done = compose(checked_parts(parts, METHODS["cat"]), folder, Asked(METHODS["cat"]))
        record = json.loads((folder / "composed.json").read_text("utf-8"))
        assert record["licence"] == done.licence
        assert [one["licence"] for one in record["parts"]] == list(stated)
        return done.licence

    assert licence("apache-2.0", "cc-by-sa-4.0") == "cc-by-sa-4.0"
    assert licence("cc-by-nc-4.0", "cc-by-4.0") == "cc-by-nc-4.0"
    assert licence("mit", None) is None
    with pytest.raises(ReleaseError):
        licence("cc-by-sa-4.0", "cc-by-nc-4.0")


def test_the_verb_writes_a_new_folder_or_nothing(root, tmp_path, monkeypatch, capsys):
    """A record of the parts beside PEFT's files; a setting that is not read is refused."""
    monkeypatch.chdir(tmp_path)
    words = ["compose", f"a={root / 'one'}", f"b={root / 'two'}", "--base", str(root / "base")]
    assert main([*words, "-o", "both", "--density", "0.5"]) == 2
    assert main([*words, "-o", "both", "--weights", "1"]) == 2
    assert not list(tmp_path.glob("both*"))
    assert main([*words, "-o", "both", "--weights", "1,0.5"]) == 0
    assert {one.name for one in Path("both").iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "README.md"),
        *("composed.json", "training_data.json"),
    }
    assert_same(updates(Path("both")), added(root, {"one": 1.0, "two": 0.5}))
    record = json.loads(Path("both/composed.json").read_text("utf-8"))
    assert [(one["name"], one["weight"]) for one in record["parts"]] == [("a", 1.0), ("b", 0.5)]
    assert str(root) not in Path("both/README.md").read_text("utf-8") + json.dumps(record)
    capsys.readouterr()
    assert main([*words, "-o", "both"]) != 0
    assert "both" in capsys.readouterr().err
