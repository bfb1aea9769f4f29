"""The train stage: the loss, what it writes, and what it refuses."""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_pre_hook

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.order import rows_of_step
from finetune.artefacts.packed_split import open_split
from finetune.errors import RecipeError, TrainError
from finetune.models.attention.packed_batch import make_batch
from finetune.models.load import attach_lora, load_base
from finetune.models.packed_model import PackedModel
from finetune.train import loop
from finetune.train.run import run
from tests.support.forward_hooks import after_forward
from tests.support.packing import plain_nll
from tests.support.results import train_result
from tests.support.surroundings import Variables
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
    mean = sum(best[lang] * n for lang, n in zip(LANGUAGES, per, strict=True)) / sum(per)
    assert found == pytest.approx(mean, rel=1e-5)
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


def test_loss_and_gradients_are_those_of_plain_torch_per_supervised_token(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """The first step: cross entropy of each document alone, over the supervised tokens of all."""
    job = make_job(tmp_path, inputs, train={"max_steps": 1})
    run(job)
    (first,) = records(tmp_path, "train")
    base = load_base(inputs["base"].path / "model", precision="fp32")
    model: Any = attach_lora(base, job.recipe.lora, seed=job.phase.train.seed)
    split = open_split(inputs["prepare"].path / "train", languages=LANGUAGES, cards=CARDS)
    rows = rows_of_step(job.phase.train.seed, 0, num_rows=split.num_rows, rows_per_step=4)
    mine = split.documents_D[np.isin(split.documents_D["row"], rows)]
    nll = []
    for document in mine:
        begin, tokens = int(document["start"]), split.tokens_NT[document["row"]].tolist()
        nll.append(plain_nll(model, tokens[begin : begin + int(document["length"])]))
    loss = torch.cat(nll).mean()
    loss.backward()
    gradients = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    assert first["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert first["grad_norm"] == pytest.approx(torch.stack(gradients).norm().item(), rel=1e-4)


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
            run={"micro_batch_size": rows},
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


@contextmanager
def poisoned(*, at_call: int, what: str = "loss") -> Iterator[dict[str, Any]]:
    """Make one micro-batch's loss, or its gradients, not finite; yield what was taken."""
    seen: dict[str, Any] = {"calls": 0}

    def bad(batch: Any, loss: torch.Tensor) -> torch.Tensor:
        seen["calls"] += 1
        if seen["calls"] != at_call:
            return loss
        seen["rows"] = batch.rows
        return loss * float("nan") if what == "loss" else loss + (loss - loss.detach()).sqrt()

    with after_forward(PackedModel, bad):
        yield seen


@pytest.mark.parametrize("what", ["loss", "gradients"])
def test_a_non_finite_step_is_named_and_not_taken(
    tmp_path: Path, inputs: dict[str, Artifact], what: str
) -> None:
    """Step, rows, cards and documents are named; the optimizer did not step."""
    steps = []
    with (
        register_optimizer_step_pre_hook(lambda *_: steps.append(1)),
        poisoned(at_call=6, what=what) as seen,  # second half of the third step
        pytest.raises(TrainError) as caught,
    ):
        run(make_job(tmp_path, inputs))
    [found] = caught.value.problems
    assert (found.code, found.facts["step"], found.facts["kept"]) == ("not-finite", 3, 2)
    assert len(steps) == 2
    row = seen["rows"][0]
    named = f"packed sequence {row} (hausa-school documents {2 * row}; yoruba-school"
    assert named in found.facts["sequences"]
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
    """Early stopping after so many validations without gain keeps the best step."""
    values = iter([2.0, 1.0, 1.5, 1.0, 9.0, 9.0])
    monkeypatch.setattr(
        loop, "bits_per_byte_by_language", lambda *_, **__: {"hau_Latn": next(values)}
    )
    every = {
        "validate_every_steps": 2,
        "early_stopping_patience": 2,
        "max_steps": 12,
        "schedule": "constant",
    }
    result = run(make_job(tmp_path / "a", inputs, train=every))
    assert (result["steps"], result["best_step"]) == (8, 4)
    assert result["validation_bits_per_byte"] == {"hau_Latn": 1.0}
    monkeypatch.undo()
    run(
        make_job(
            tmp_path / "b", inputs, train=every | {"max_steps": 4, "early_stopping_patience": 0}
        )
    )
    last = load_file(tmp_path / "b/state/state.safetensors")
    best = load_file(tmp_path / "a/state/state.safetensors")
    names = [n.removeprefix("best.") for n in best if n.startswith("best.")]
    assert names
    assert all(torch.equal(best[f"best.{n}"], last[f"adapter.{n}"]) for n in names)


def test_without_validation_documents_the_last_step_is_taken(tmp_path: Path) -> None:
    """A small corpus may have none: the run goes on, and its last step is the result."""
    inputs = write_inputs(tmp_path)
    validation = inputs["prepare"].path / "validation"
    for path in validation.glob("*.npy"):
        np.save(path, np.load(path)[:0])
    result = run(make_job(tmp_path / "job", inputs, train={"max_steps": 3}))
    assert (result["steps"], result["best_step"]) == (3, 3)
    assert not result["history"]
    assert result["validation_bits_per_byte"] == {}
    state = load_file(tmp_path / "job/state/state.safetensors")
    assert not any(name.startswith("best.") for name in state)


def test_a_log_shows_steps_validations_and_the_time_left(
    tmp_path: Path, inputs: dict[str, Artifact], capfd: pytest.CaptureFixture[str]
) -> None:
    """With times, and without bars of other libraries."""
    job = make_job(tmp_path, inputs)
    run(job)
    assert isinstance(job.console.out, io.StringIO)
    lines = job.console.out.getvalue().splitlines()
    steps = [line for line in lines if " train " in line]
    assert [line.split(" train ")[1].split()[0] for line in steps][-1] == "8/8"
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in steps)
    assert "s left" in steps[0]
    validations = [line for line in lines if "validation at step" in line]
    assert [line.split("at step ")[1].split(":")[0] for line in validations] == ["4", "8"]
    assert "hau_Latn" in validations[0]
    assert "it/s" not in "".join(capfd.readouterr())


def test_epochs_are_rounded_up_to_steps(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """One epoch of 10 sequences at 4 per step is 3 steps."""
    assert run(make_job(tmp_path, inputs, train={"epochs": 1}))["steps"] == 3


def test_several_processes_are_refused(
    tmp_path: Path, inputs: dict[str, Artifact], variables: Variables
) -> None:
    """WORLD_SIZE above one is an error that reports it, not a run that ignores it."""
    variables(WORLD_SIZE="2")
    with pytest.raises(TrainError) as refused:
        run(make_job(tmp_path, inputs))
    assert refused.value.codes == ("rank-not-set",)


def test_nothing_supervised_is_refused(tmp_path: Path) -> None:
    """A split without a training target is an error before the model is loaded."""
    empty = write_inputs(tmp_path)
    path = empty["prepare"].path / "train/supervised.npy"
    np.save(path, np.zeros_like(np.load(path)))
    with pytest.raises(TrainError) as refused:
        run(make_job(tmp_path / "out", empty))
    assert refused.value.codes == ("nothing-to-train-on",)


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
        {"loraplus_lr_ratio": 8.0},
        {"target_modules": ["q_proj", "v_proj"]},
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
    mean = sum(bits[lang] * n for lang, n in zip(LANGUAGES, per, strict=True)) / sum(per)
    assert bits_per_byte(inputs, tmp_path / "adapter") == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("more", [{"dora": True}, {}], ids=["dora", "4bit"])
def test_pissa_where_it_cannot_be_kept_is_refused(
    tmp_path: Path, inputs: dict[str, Artifact], more: dict[str, Any]
) -> None:
    """PiSSA with DoRA or a quantised base names the two settings."""
    job = make_job(tmp_path, inputs, lora={"init": "pissa"} | more)
    if not more:
        base = job.recipe.base.model_copy(update={"quantization": "4bit"})
        job = replace(job, recipe=job.recipe.model_copy(update={"base": base}))
    with pytest.raises(RecipeError) as refused:
        run(job)
    assert refused.value.codes == ("pissa-combined",)


@pytest.fixture(scope="module")
def phase_one(tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, Artifact]) -> Artifact:
    path = tmp_path_factory.mktemp("one")
    run(make_job(path, inputs))
    return Artifact(stage="train", key="t", path=path, result=train_result())


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
        start = Artifact(stage="train", key="t", path=tmp_path / "a", result=train_result())
        run(self.job(tmp_path / "b", inputs, start, lora=pissa, train={"learning_rate": 1e-30}))
        assert bits_per_byte(inputs, tmp_path / "b/adapter") == pytest.approx(
            bits_per_byte(inputs, tmp_path / "a/adapter"), rel=1e-6
        )

    @pytest.mark.parametrize(
        ("lora", "field"),
        [
            ({"rank": 8}, "lora.rank"),
            ({"alpha": 16}, "lora.alpha"),
            ({"dora": True}, "lora.dora"),
            ({"target_modules": ["q_proj"]}, "lora.target_modules"),
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
        """The problem names the field and the value that fits."""
        with pytest.raises(RecipeError) as refused:
            run(self.job(tmp_path, inputs, phase_one, lora=lora))
        [found] = refused.value.problems
        assert found.place.key == field
        if field == "lora.rank":
            assert (found.facts["wanted"], found.facts["found"]) == (8, "4")

    def test_a_folder_without_adapter_is_refused(
        self, tmp_path: Path, inputs: dict[str, Artifact]
    ) -> None:
        """A folder with nothing in it names what it needs."""
        with pytest.raises(RecipeError) as refused:
            run(make_job(tmp_path / "out", inputs, train={"start_from": str(tmp_path)}))
        assert "unreadable-adapter" in refused.value.codes
        assert refused.value.problems[0].place.key == "train.start_from"


def test_auto_rows_stay_within_1024_tokens_on_a_cpu(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """With plenty of memory the micro-batch is all 4 sequences; with almost none, one."""
    auto = {"micro_batch_size": "auto"}
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


def test_out_of_memory_says_which_setting_fits(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """The message halves the rows, and the repeated command resumes from the last step."""
    calls = []

    def scarce(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 6:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")

    with after_forward(PackedModel, scarce), pytest.raises(TrainError) as refused:
        run(make_job(tmp_path, inputs))
    assert refused.value.codes == ("out-of-memory",)
    assert str(refused.value.problems[0].facts["remedy"]).startswith("run.micro_batch_size: 1 ")
    job = make_job(tmp_path, inputs, run={"micro_batch_size": 1})
    assert run(job)["micro_batch_rows"] == 1
    assert "resuming from the checkpoint at step 2 of 8" in job.console.out.getvalue()  # type: ignore[attr-defined]
