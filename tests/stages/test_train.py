"""The train stage: the loss, what it writes, and what it refuses."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import open_split
from finetune.errors import DataError, RecipeError, StoreError, TrainError
from finetune.models.load import load_base
from finetune.models.packed_model import PackedModel, make_batch
from finetune.train import loop
from finetune.train.run import run
from tests.support.training_job import CARDS, LANGUAGES, TOKENS, make_job, records, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def bits_per_byte(inputs: dict[str, Artifact], adapter: Path | None) -> float:
    """Score the validation split in a model loaded afresh."""
    model: Any = load_base(inputs["base"].path / "model", precision="fp32")
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    split = open_split(inputs["prepare"].path / "validation", languages=LANGUAGES, cards=CARDS)
    batch = make_batch(split, range(split.num_rows), device="cpu")
    nats = PackedModel(model).eval().score(batch).double().sum().item()
    return nats / np.log(2) / float(split.documents_D["supervised_bytes"].sum())


def test_training_learns_and_the_adapter_loads_with_peft(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """PEFT loads the released folder, and it scores what validation said, below the base."""
    result = run(make_job(tmp_path, inputs, train={"max_steps": 20, "learning_rate": 0.02}))
    assert result["loss_last"] < result["loss_first"] - 0.2
    best = result["validation_bits_per_byte"]
    assert set(best) == set(LANGUAGES)
    found = bits_per_byte(inputs, tmp_path / "adapter")
    sizes = np.load(inputs["prepare"].path / "validation/documents.npy")
    per = [int(sizes["supervised_bytes"][sizes["language"] == i].sum()) for i in (0, 1)]
    told = sum(best[lang] * n for lang, n in zip(LANGUAGES, per, strict=True)) / sum(per)
    assert found == pytest.approx(told, rel=1e-5)
    assert found < bits_per_byte(inputs, None)


def test_what_the_artefact_holds(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """Adapter, state, metrics, picture, events; no checkpoints and nothing half-written."""
    job = make_job(tmp_path / "out", inputs, run={"tensorboard": True})
    result = run(job)
    assert sorted(p.name for p in job.workspace.iterdir()) == [
        *("adapter", "loss.png", "metrics.jsonl", "state", "tensorboard"),
    ]
    assert [r["step"] for r in records(job.workspace, "train")] == list(range(1, 9))
    assert [r["step"] for r in records(job.workspace, "validation")] == [4, 8]
    assert json.loads(json.dumps(result)) == result
    assert (result["steps"], result["micro_batch_rows"], result["precision"]) == (8, 2, "fp32")
    assert sum(r["tokens"] for r in records(job.workspace, "train")) == result["tokens"]
    config = json.loads((job.workspace / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "org/tiny"
    assert str(tmp_path) not in (job.workspace / "adapter/adapter_config.json").read_text()


def test_a_state_has_no_frozen_weight(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """It holds adapter, two moments and the best adapter: four times the adapter, by name."""
    result = run(make_job(tmp_path, inputs))
    tensors = load_file(tmp_path / "state/state.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"adapter", "exp_avg", "exp_avg_sq", "best"}
    assert all("lora_" in name for name in tensors)
    assert sum(t.numel() for t in tensors.values()) == 4 * result["trainable_parameters"]


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_the_loss_and_the_gradients_do_not_depend_on_the_micro_batch(
    tmp_path: Path, inputs: dict[str, Artifact], dropout: float
) -> None:
    """Rows of 1, 2, 3 or 4 at once: equal losses and adapter, up to the order of the sums."""
    found = []
    for rows in (1, 2, 3, 4):
        job = make_job(
            tmp_path / str(rows),
            inputs,
            lora={"dropout": dropout},
            train={"max_steps": 3},
            run={"micro_batch_rows": rows},
        )
        run(job)
        tensors = load_file(job.workspace / "state/state.safetensors")
        found.append((records(job.workspace, "train"), tensors))
    for steps, tensors in found[1:]:
        for one, other in zip(found[0][0], steps, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
            assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)
        for name, tensor in tensors.items():
            if name.startswith("exp_avg."):
                torch.testing.assert_close(tensor, found[0][1][name], rtol=1e-3, atol=1e-6)


def test_the_same_job_twice_gives_the_same_bytes(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Adapter and state are equal to the byte; another seed gives another adapter."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(make_job(tmp_path / name, inputs, lora={"dropout": 0.1}, train={"seed": seed}))
    for file in ("adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() != (tmp_path / "c" / weights).read_bytes()


def poisoned(
    monkeypatch: pytest.MonkeyPatch, *, at_call: int, what: str = "loss"
) -> dict[str, Any]:
    """Make one micro-batch's loss, or its gradients, not finite; return what was taken."""
    seen: dict[str, Any] = {"calls": 0}
    forward = PackedModel.forward

    def bad(self: PackedModel, batch: Any, *, dropout_key: int = 0) -> Any:
        loss = forward(self, batch, dropout_key=dropout_key)
        seen["calls"] += 1
        if seen["calls"] != at_call:
            return loss
        seen["rows"] = batch.rows
        return loss * float("nan") if what == "loss" else loss + (loss - loss.detach()).sqrt()

    monkeypatch.setattr(PackedModel, "forward", bad)
    return seen


@pytest.mark.parametrize("what", ["loss", "gradients"])
def test_a_non_finite_step_is_named_and_not_taken(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Step, rows, cards and documents are named; the optimizer did not step."""
    steps = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a, **k: (steps.append(1), step(self, *a, **k))
    )
    seen = poisoned(monkeypatch, at_call=6, what=what)  # second half of the third step
    with pytest.raises(TrainError, match=r"^step 3: .*not finite.*No step was taken") as caught:
        run(make_job(tmp_path, inputs))
    assert len(steps) == 2
    row = seen["rows"][0]
    assert f"row {row} (hausa-school documents {2 * row}; yoruba-school" in str(caught.value)
    assert [r["step"] for r in records(tmp_path, "train")] == [1, 2]


def test_fp16_answers_an_overflow_with_a_smaller_scale(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scale too large for fp16 is halved until the same step is finite; all steps are taken."""
    stage = importlib.import_module("finetune.train.run")
    monkeypatch.setattr(stage, "first_loss_scale", lambda _: 2.0**40)
    result = run(make_job(tmp_path, inputs, train={"precision": "fp16", "max_steps": 4}))
    assert (result["steps"], result["precision"]) == (4, "fp16")
    state = json.loads((tmp_path / "state/state.json").read_text())["progress"]
    assert 1 < state["loss_scale"] < 2**40
    weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert all(torch.isfinite(t).all() for t in weights.values())


def test_bf16_keeps_the_adapter_in_fp32(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """Only the frozen base is bf16: small updates would vanish in a bf16 adapter."""
    run(make_job(tmp_path, inputs, train={"precision": "bf16", "max_steps": 2}))
    weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert {t.dtype for t in weights.values()} == {torch.float32}


def test_early_stop_keeps_the_best_adapter(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `patience` validations without gain it stops and releases the best one."""
    told = iter([2.0, 1.0, 1.5, 1.0, 9.0, 9.0])
    monkeypatch.setattr(
        loop, "bits_per_byte_by_language", lambda *_, **__: {"hau_Latn": next(told)}
    )
    every = {"validate_every_steps": 2, "patience": 2, "max_steps": 12, "schedule": "constant"}
    result = run(make_job(tmp_path / "a", inputs, train=every))
    assert (result["steps"], result["best_step"]) == (8, 4)
    assert result["validation_bits_per_byte"] == {"hau_Latn": 1.0}
    monkeypatch.undo()
    run(make_job(tmp_path / "b", inputs, train=every | {"max_steps": 4, "patience": 0}))
    last = load_file(tmp_path / "b/state/state.safetensors")
    best = load_file(tmp_path / "a/state/state.safetensors")
    names = [n.removeprefix("best.") for n in best if n.startswith("best.")]
    assert names
    assert all(torch.equal(best[f"best.{n}"], last[f"adapter.{n}"]) for n in names)


def test_epochs_are_rounded_up_to_steps(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """One epoch of 10 rows at 4 a step is 3 steps."""
    assert run(make_job(tmp_path, inputs, train={"epochs": 1}))["steps"] == 3


def test_several_processes_are_refused(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """WORLD_SIZE above one is an error that says so, not a run that ignores it."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainError, match="WORLD_SIZE is 2"):
        run(make_job(tmp_path, inputs))


def test_nothing_supervised_is_refused(tmp_path: Path) -> None:
    """A split without a training target is an error before the model is loaded."""
    empty = write_inputs(tmp_path)
    path = empty["prepare"].path / "train/supervised.npy"
    np.save(path, np.zeros_like(np.load(path)))
    with pytest.raises(TrainError, match="nothing to train on"):
        run(make_job(tmp_path / "out", empty))


def test_no_validation_text_trains_all_the_same(tmp_path: Path) -> None:
    """Without validation documents the last step is released."""
    few = write_inputs(tmp_path)
    path = few["prepare"].path / "validation/documents.npy"
    np.save(path, np.load(path)[:0])
    result = run(make_job(tmp_path / "out", few, train={"max_steps": 3}))
    assert (result["best_step"], result["validation_bits_per_byte"]) == (3, {})


@pytest.mark.parametrize(
    "lora",
    [
        {"dora": True},
        {"rslora": True},
        {"init": "gaussian"},
        {"init": "orthogonal"},
        {"init": "pissa"},
        {"init": "pissa", "rslora": True},
        {"plus_ratio": 8.0},
        {"targets": ["q_proj", "v_proj"]},
    ],
    ids=str,
)
def test_every_kind_of_adapter_reloads_to_what_was_trained(
    tmp_path: Path, inputs: dict[str, Artifact], lora: dict[str, Any]
) -> None:
    """A fresh base with the saved adapter scores what the model in training scored."""
    result = run(make_job(tmp_path, inputs, lora=lora))
    sizes = np.load(inputs["prepare"].path / "validation/documents.npy")
    per = [int(sizes["supervised_bytes"][sizes["language"] == i].sum()) for i in (0, 1)]
    bits = result["validation_bits_per_byte"]
    told = sum(bits[lang] * n for lang, n in zip(LANGUAGES, per, strict=True)) / sum(per)
    assert bits_per_byte(inputs, tmp_path / "adapter") == pytest.approx(told, rel=1e-5)


@pytest.mark.parametrize("more", [{"dora": True}, {}], ids=["dora", "4bit"])
def test_pissa_where_it_cannot_be_kept_is_refused(
    tmp_path: Path, inputs: dict[str, Artifact], more: dict[str, Any]
) -> None:
    """PiSSA with DoRA or a quantised base names the two settings."""
    job = make_job(tmp_path, inputs, lora={"init": "pissa"} | more)
    if not more:
        base = job.recipe.base.model_copy(update={"quantization": "4bit"})
        job = replace(job, recipe=job.recipe.model_copy(update={"base": base}))
    with pytest.raises(RecipeError, match="pissa cannot be combined"):
        run(job)


@pytest.fixture(scope="module")
def phase_one(tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, Artifact]) -> Artifact:
    path = tmp_path_factory.mktemp("one")
    run(make_job(path, inputs))
    return Artifact(stage="train", key="t", path=path, result={})


class TestStart:
    """Starting from an adapter instead of a fresh one."""

    def job(self, tmp_path: Path, inputs: dict[str, Artifact], start: Artifact, **kw: Any) -> Job:
        return make_job(tmp_path, inputs | {"start": start}, **kw)

    def test_the_second_phase_begins_where_the_first_ended(
        self, tmp_path: Path, inputs: dict[str, Artifact], phase_one: Artifact
    ) -> None:
        """At a learning rate of almost 0 the adapter stays the one of the first phase."""
        still = {"max_steps": 1, "learning_rate": 1e-30}
        run(self.job(tmp_path, inputs, phase_one, train=still))
        one = load_file(phase_one.path / "adapter/adapter_model.safetensors")
        two = load_file(tmp_path / "adapter/adapter_model.safetensors")
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_start_from_a_folder_is_the_same(
        self, tmp_path: Path, inputs: dict[str, Artifact], phase_one: Artifact
    ) -> None:
        """train.start_from names the adapter's folder."""
        run(self.job(tmp_path / "a", inputs, phase_one))
        folder = str(phase_one.path / "adapter")
        run(make_job(tmp_path / "b", inputs, train={"start_from": folder}))
        weights = "adapter/adapter_model.safetensors"
        assert (tmp_path / "a" / weights).read_bytes() == (tmp_path / "b" / weights).read_bytes()

    def test_a_pissa_phase_follows_a_pissa_phase(
        self, tmp_path: Path, inputs: dict[str, Artifact]
    ) -> None:
        """The first phase hands on plain LoRA of twice the rank, and the second trains that."""
        pissa = {"init": "pissa"}
        run(make_job(tmp_path / "a", inputs, lora=pissa))
        start = Artifact(stage="train", key="t", path=tmp_path / "a", result={})
        run(self.job(tmp_path / "b", inputs, start, lora=pissa, train={"learning_rate": 1e-30}))
        assert bits_per_byte(inputs, tmp_path / "b/adapter") == pytest.approx(
            bits_per_byte(inputs, tmp_path / "a/adapter"), rel=1e-6
        )

    @pytest.mark.parametrize(
        ("lora", "field"),
        [
            ({"rank": 8}, "lora.rank: 8 .* set lora.rank: 4"),
            ({"alpha": 16}, "lora.alpha: 16"),
            ({"dora": True}, "lora.dora"),
            ({"targets": ["q_proj"]}, "lora.targets: .*also changes"),
        ],
        ids=str,
    )
    def test_another_shape_is_refused(
        self,
        tmp_path: Path,
        inputs: dict[str, Artifact],
        phase_one: Artifact,
        lora: dict[str, Any],
        field: str,
    ) -> None:
        """The message names the field and the value that fits."""
        with pytest.raises(RecipeError, match=field):
            run(self.job(tmp_path, inputs, phase_one, lora=lora))

    def test_a_folder_without_adapter_is_refused(
        self, tmp_path: Path, inputs: dict[str, Artifact]
    ) -> None:
        """A folder with nothing in it names what it needs."""
        with pytest.raises((StoreError, DataError), match=r"adapter_config\.json"):
            run(make_job(tmp_path / "out", inputs, train={"start_from": str(tmp_path)}))


def test_auto_rows_stay_within_1024_tokens_on_a_cpu(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """With memory in plenty all 4 rows of 16 tokens go at once; with almost none, one."""
    auto = {"micro_batch_rows": "auto"}
    job = make_job(tmp_path / "a", inputs, train={"max_steps": 1}, run=auto)
    assert run(job)["micro_batch_rows"] == 4
    tight = auto | {"memory_gib": 0.001}
    job = make_job(tmp_path / "b", inputs, train={"max_steps": 1}, run=tight)
    assert run(job)["micro_batch_rows"] == 1
    assert TOKENS * 4 <= 1024


def test_gradient_checkpointing_changes_no_number(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Recomputed activations give the same adapter, dropout included."""
    for name, on in (("a", False), ("b", True)):
        job = make_job(
            tmp_path / name, inputs, lora={"dropout": 0.1}, run={"gradient_checkpointing": on}
        )
        run(job)
    one, two = (load_file(tmp_path / n / "adapter/adapter_model.safetensors") for n in "ab")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-7)


def test_out_of_memory_says_which_setting_fits(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message halves the rows, and the repeated command goes on from the last step."""
    calls = []
    forward = PackedModel.forward

    def scarce(self: PackedModel, batch: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
        return forward(self, batch, **settings)

    monkeypatch.setattr(PackedModel, "forward", scarce)
    with pytest.raises(TrainError, match=r"run\.micro_batch_rows: 1"):
        run(make_job(tmp_path, inputs))
    job = make_job(tmp_path, inputs, run={"micro_batch_rows": 1})
    assert run(job)["micro_batch_rows"] == 1
    assert "continuing after step 2 of 8" in job.console.out.getvalue()  # type: ignore[attr-defined]
