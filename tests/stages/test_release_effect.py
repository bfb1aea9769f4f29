"""No release without effect: an adapter that does nothing, or something else, is not built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from finetune.artefacts.job import Job
from finetune.errors import FinetuneError, ReleaseError, StoreError
from finetune.release.effect import check_effect
from finetune.release.exports.merged import merge
from finetune.release.exports.of_release import job_of_release
from finetune.release.exports.peft import write
from finetune.release.run import run
from finetune.spec.sections.training import Lora
from tests.support.release_job import release_job, score, write_adapter
from tests.support.results import comparison
from tests.support.tiny import write_tiny_model
from tests.support.trained_adapter import write_trained

WEIGHTS = "adapter_model.safetensors"
PART = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base and a trained adapter, made once."""
    root = tmp_path_factory.mktemp("made")
    write_adapter(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def changed(path: Path, change: Callable[[Tensors], object]) -> None:
    """Write a safetensors file again, with other tensors."""
    held = load_file(path)
    change(held)
    save_file(held, path, metadata={"format": "pt"})


def built(root: Path) -> Job:
    """Return a job whose workspace holds the released adapter, not looked at yet."""
    job = release_job(root)
    write(job_of_release(job))
    return job


KINDS = {
    "plain": {},
    "DoRA": {"lora": Lora(rank=4, dora=True)},
    "rank-stabilised": {"lora": Lora(rank=4, rslora=True)},
    "PiSSA": {"lora": Lora(rank=4, init="pissa")},
    "new tokens": {"new_tokens": True},
    "new tokens, own head": {"new_tokens": True, "tied": False},
    "new tokens, scaled embedding": {"new_tokens": True, "kind": "gemma3"},
    "new tokens and DoRA": {"new_tokens": True, "lora": Lora(rank=4, dora=True)},
}


@pytest.mark.parametrize("how", KINDS.values(), ids=list(KINDS))
def test_every_kind_of_adapter_is_loaded_as_it_was_trained(tmp_path: Path, how: dict) -> None:
    """All tensors are counted, logits move away from the base and are those of training."""
    _, adapter = write_trained(tmp_path, **{"new_tokens": False} | how)
    found = check_effect(built(tmp_path))
    assert found.tensors == len(load_file(adapter / WEIGHTS))
    assert found.precision == "fp32"
    assert found.from_base > 100 * found.tolerance
    assert found.from_trained < 1e-5
    [(name, sha256)] = found.base_sha256.items()
    assert name == "model.safetensors"
    assert len(sha256) == 64


def test_a_release_records_its_effect_and_its_base(root: Path) -> None:
    """Result, card and training_data.json: number of tensors, precision, sha256 of the weights."""
    result = run(release_job(root))
    effect = result["effect"]
    assert effect["from_base"] > effect["tolerance"] > effect["from_trained"]
    card = (root / "release" / "README.md").read_text("utf-8")
    assert f"loads each of its {effect['tensors']} tensors as it was trained" in card
    assert "the logits are not those of the base" in card
    base = json.loads((root / "release" / "training_data.json").read_text())["base"]
    assert base == {
        "repo": "tiny/base",
        "revision": None,
        "weights_sha256": effect["base_sha256"],
    }


def rename(held: Tensors) -> None:
    """Change one name, as another version of a library would."""
    held[PART.replace("up_proj", "up_projection")] = held.pop(PART)


def zero(held: Tensors) -> None:
    held[PART].zero_()


def take_away(held: Tensors) -> None:
    del held[PART]


def bend(held: Tensors) -> None:
    held[PART] = held[PART][:, :2].clone()


def nudge(held: Tensors) -> None:
    held[PART][0, 0] += 1e-3


@pytest.mark.parametrize("change", [rename, zero, take_away, bend, nudge])
def test_a_damaged_release_folder_is_refused_with_the_tensor(
    root: Path, change: Callable[[Tensors], object]
) -> None:
    """Damage by an export is found before the release is built."""
    job = built(root)
    changed(job.workspace / WEIGHTS, change)
    with pytest.raises(ReleaseError) as refused:
        check_effect(job)
    assert PART in str(refused.value)


@pytest.mark.parametrize("change", [rename, zero, take_away, bend])
def test_a_damaged_training_is_refused_with_the_tensor(
    root: Path, change: Callable[[Tensors], object]
) -> None:
    """The same tensors in the trained adapter: released and trained agree, and PEFT does not."""
    changed(root / "train" / "adapter" / WEIGHTS, change)
    job = release_job(root)
    with pytest.raises(FinetuneError) as refused:
        run(job)
    assert "layers.1.mlp.up_proj" in str(refused.value)
    assert not (job.workspace / "README.md").exists()


def test_a_setting_that_moves_the_logits_is_refused(root: Path) -> None:
    """Tensors alone do not make an adapter: another alpha is another adapter."""
    job = built(root)
    path = job.workspace / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 64}))
    with pytest.raises(ReleaseError) as refused:
        check_effect(job)
    assert refused.value.codes == ("released-differs",)


def test_settings_that_name_no_layer_of_the_base_are_refused(root: Path) -> None:
    """Fewer target modules: the tensors that PEFT would pass over are named."""
    job = built(root)
    path = job.workspace / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": ["q_proj"]}))
    with pytest.raises(ReleaseError) as refused:
        check_effect(job)
    assert refused.value.codes == ("tensors-not-loaded",)
    assert "lora_A" in str(refused.value)


def test_an_adapter_too_small_to_move_a_logit_is_refused(root: Path) -> None:
    """Numbers that are not 0 and change nothing."""

    def shrink(held: Tensors) -> None:
        for name, tensor in held.items():
            if "lora_B" in name:
                tensor.mul_(1e-30)

    changed(root / "train" / "adapter" / WEIGHTS, shrink)
    with pytest.raises(ReleaseError) as refused:
        run(release_job(root))
    assert refused.value.codes == ("no-effect",)


def test_an_adapter_without_effect_is_not_merged(root: Path) -> None:
    """Export `merged` refuses it, too."""

    def undo(held: Tensors) -> None:
        for name, tensor in held.items():
            if "lora_B" in name:
                tensor.zero_()

    changed(root / "train" / "adapter" / WEIGHTS, undo)
    with pytest.raises(ReleaseError) as refused:
        merge(root / "base" / "model", root / "train" / "adapter", root / "merged")
    assert refused.value.codes == ("no-effect",)


def test_a_wrong_base_is_refused_by_key_and_by_hash(root: Path) -> None:
    """Another artefact, other bytes in its file, and a base of another shape."""
    job = release_job(root)
    other = replace(job.inputs["base"], key="1" * 16)
    with pytest.raises(StoreError) as refused:
        run(replace(job, inputs={**job.inputs, "base": other}))
    assert refused.value.codes == ("another-base",)
    assert "1" * 16 in str(refused.value)
    changed(root / "base" / "model" / "model.safetensors", lambda held: held.popitem()[1].add_(1))
    with pytest.raises(StoreError) as refused:
        run(job)
    assert refused.value.codes == ("base-changed",)
    assert "model.safetensors" in str(refused.value)
    write_tiny_model(root / "base" / "model", intermediate_size=96)
    with pytest.raises(FinetuneError) as bent:
        run(release_job(root))
    assert "mlp" in str(bent.value)


def test_a_base_that_does_not_fit_is_compared_by_names_and_scores(root: Path) -> None:
    """Without memory for the weights: a renamed tensor is found all the same, the scores have to
    differ from the base's, and the card claims no equal logits."""
    small = {"run": {"memory_gib": 1e-6}}
    large = {"parameters": 10**9}
    job = release_job(root, recipe=small, base=large)
    assert run(job)["effect"]["precision"] is None
    assert "logits were not compared" in (job.workspace / "README.md").read_text("utf-8")
    path = job.workspace / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": ["q_proj"]}))
    with pytest.raises(ReleaseError) as refused:
        check_effect(job)
    assert refused.value.codes == ("tensors-not-loaded",)
    equal = {"scores": [score("base", 2.0), score("adapter", 2.0)]}
    equal |= {"comparisons": [comparison(better="neither", adapter=2.0, difference=0.0)]}
    with pytest.raises(ReleaseError) as refused:
        run(release_job(root, recipe=small, base=large, evaluate=equal))
    assert refused.value.codes == ("no-effect",)


def test_half_precision_where_single_does_not_fit(root: Path) -> None:
    """A base of 4 GB in 32 bits is held in 16 where there is room for 3 GiB."""
    job = release_job(root, recipe={"run": {"memory_gib": 3}}, base={"parameters": 10**9})
    effect = run(job)["effect"]
    assert effect["precision"] == "bf16"
    assert effect["from_base"] > 0
    assert "base in bf16" in (job.workspace / "README.md").read_text("utf-8")
