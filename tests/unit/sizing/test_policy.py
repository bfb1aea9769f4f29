"""The rules behind `auto`: each is stated once, and `estimate` and `train` decide alike by it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import finetune
from finetune.artefacts.packed_split import open_split
from finetune.errors import RecipeError
from finetune.estimate import resources as estimates
from finetune.estimate.target import Target
from finetune.launch.ranks import Ranks
from finetune.models import load
from finetune.models.kinds import CAUSAL
from finetune.sizing import policy
from finetune.sizing.policy import GIB, choose_micro_batch_rows, handed_on, refuse_sharding
from finetune.sizing.shape import base_parameters, model_shape
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Offload, Precision, Sharding, Train
from finetune.train import micro_batch, sharding
from finetune.train.model import load_model
from finetune.train.processes import Processes
from finetune.train.sharding import Sharing
from tests.support.model_shapes import LLAMA_8B
from tests.support.syntax import tree_of
from tests.support.training_job import CARDS, LANGUAGES, make_job, write_inputs

PACKAGE = Path(finetune.__file__).parent
WHERE = {
    "policy": PACKAGE / "sizing/policy.py",
    "recipe": PACKAGE / "spec/recipe.py",
    "base": PACKAGE / "spec/sections/base_model.py",
    "training": PACKAGE / "spec/sections/training.py",
}


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of every module that is neither the policy nor what people write."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path not in WHERE.values():
            where = path.relative_to(PACKAGE).as_posix()
            for node in ast.walk(tree_of(path)):
                yield where, node


def _strings(node: ast.AST) -> frozenset[str]:
    found = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
    return frozenset(value for value in found if isinstance(value, str))


def test_closed_sets_are_written_once() -> None:
    """Precision, quantization, sharding and offload are types of the recipe; no other module
    spells a `Literal` or a set of two or more of their values."""
    sets = [frozenset(get_args(each)) for each in (Precision, Quantization, Sharding, Offload)]
    sets = [each - {"none", "all"} for each in sets] + [policy.DOCUMENT_ATTENTION]
    again = []
    for where, node in _nodes():
        literal = isinstance(node, ast.Subscript) and "Literal" in (
            getattr(node.value, "id", ""),
            getattr(node.value, "attr", ""),
        )
        listed = isinstance(node, ast.Set | ast.List | ast.Tuple) and all(
            isinstance(element, ast.Constant) for element in node.elts
        )
        if (literal or listed) and any(len(_strings(node) & each) > 1 for each in sets):
            again.append(f"{where}:{node.lineno} {ast.unparse(node)}")
    order_of_trying = "('ddp', 'zero2')"
    assert [each.partition(" ")[2] for each in again] == [order_of_trying], again


def test_constants_of_the_rules_are_written_once() -> None:
    """No module assigns a number of the policy to a name of its own: they are imported."""
    numbers = {
        value: name
        for name, value in vars(policy).items()
        if name.isupper() and isinstance(value, int | float) and name != "FLOAT"
    }
    assert {"SHARE_OF_MEMORY", "CPU_TOKENS", "HEAD_CHUNK_BYTES"} <= set(numbers.values())
    again = []
    for where, node in _nodes():
        if not (isinstance(node, ast.Assign) and where.startswith(ROOMS)):
            continue
        try:
            value = eval(compile(ast.Expression(node.value), where, "eval"), {"int": int})
        except Exception:  # no constant
            continue
        if isinstance(value, int | float) and value in numbers and value not in (0, 1):
            again.append(f"{where}:{node.lineno} {ast.unparse(node)}: {numbers[value]}")
    assert again == []


ROOMS = ("estimate/", "train/", "models/", "sizing/", "cluster/", "evaluate/", "chat/", "advice/")


def test_no_other_module_says_what_auto_means() -> None:
    """Outside of the policy nothing in a room that decides compares with `auto`."""
    rooms = ("estimate/", "train/", "models/", "sizing/")
    again = [
        f"{where}:{node.lineno} {ast.unparse(node)}"
        for where, node in _nodes()
        if isinstance(node, ast.Compare) and where.startswith(rooms) and "auto" in _strings(node)
    ]
    assert [each.partition(":")[0] for each in again] == [
        "estimate/base_shape.py",  # the size of a vocabulary, which `auto` leaves open
        "train/state.py",  # whether recorded rows still answer what is asked
    ], again


def _project(tmp_path: Path, **changes: Any) -> Any:
    """A recipe's project, as far as the rules of an estimate look at it."""
    job = make_job(tmp_path, {}, **changes)
    return SimpleNamespace(recipe=job.recipe)


def _processes(ranks: int) -> Processes:
    return Processes(Ranks(world=ranks, local_world=ranks, launched=ranks > 1), torch.device("cpu"))


@pytest.mark.parametrize("asked", ["auto", *get_args(Precision)])
@pytest.mark.parametrize(("gpu", "bf16"), [(None, False), ("A100", True), ("V100", False)])
@pytest.mark.parametrize("model_type", ["llama", "gemma2", "gemma3_text"])
def test_both_halves_choose_the_same_precision(
    tmp_path: Path, asked: Any, gpu: str | None, bf16: bool, model_type: str
) -> None:
    """For a CPU, a GPU with bf16 and one without, whatever the recipe asks for; and `auto` is never
    fp16 for a family that overflows in it."""
    project = _project(tmp_path, train={"precision": asked})
    target = Target("gpu" if gpu else "cpu", 1, 1, 16.0, gpu=gpu)
    estimated = estimates._precision(project, target, model_type=model_type)
    device = "cuda" if gpu else "cpu"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    found = load.resolve_precision(asked, device, base=tmp_path, gpu_has_bf16=bf16)
    assert found == estimated
    without_bf16 = "fp32" if model_type == "gemma3_text" else "fp16"
    expected = "fp32" if gpu is None else "bf16" if bf16 else without_bf16
    assert estimated == (expected if asked == "auto" else asked)


@pytest.mark.parametrize("asked", ["auto", *get_args(Sharding)])
@pytest.mark.parametrize("ranks", [1, 4])
def test_both_halves_choose_and_refuse_the_same_sharding(
    tmp_path: Path, asked: Any, ranks: int
) -> None:
    """Over precision, quantization, new tokens and memory: what `train` would refuse does not fit
    for `estimate`, and what it would choose is what `estimate` counts."""
    if asked in ("none", *policy.NEEDS_LAUNCHER) and (asked == "none") != (ranks == 1):
        pytest.skip("a matter of the launch, which an estimate does not see")
    shape = model_shape(LLAMA_8B)
    target = Target("gpu", 1, ranks, 80.0, gpu="A100")
    facts = product(get_args(Precision), get_args(Quantization), (0, 100), (None, 8.0, 200.0))
    for precision, quantization, new_tokens, memory_gib in facts:
        project = _project(tmp_path, train={"sharding": asked}, run={"memory_gib": memory_gib})
        base = project.recipe.base.model_copy(update={"quantization": quantization})
        project.recipe = project.recipe.model_copy(update={"base": base})
        room = estimates._Room(
            project, Lora(), replace(shape, new_tokens=new_tokens), target, precision, 4
        )
        candidate = estimates._own(project, room)
        weights = policy.packed_bytes(
            base_parameters(shape), precision=precision, quantization=quantization
        )
        free = 80 * GIB - policy.GPU_CONTEXT_BYTES  # as a driver says before training
        budget = policy.gpu_budget_bytes(memory_gib, free_bytes=free, total_bytes=80 * GIB)
        try:
            chosen = sharding.choose(
                Train(max_steps=1, sharding=asked),
                processes=_processes(ranks),
                precision=precision,
                quantization=quantization,
                new_tokens=bool(new_tokens),
                fits=lambda w=weights, b=budget: policy.leaves_room(w, budget_bytes=b),
            )
        except RecipeError:
            assert candidate.fits is False
            refused = refuse_sharding(
                asked, precision=precision, quantization=quantization, new_tokens=bool(new_tokens)
            )
            assert refused is not None
            assert candidate.why == refused.short
        else:
            assert candidate.setting.sharding == chosen.sharding
            assert candidate.why not in ("new tokens need the embedding whole",)


@given(
    row=st.integers(1, 10**9),
    fixed=st.integers(0, 10**9),
    budget=st.integers(1, 10**10),
    each=st.integers(1, 256),
    tokens=st.integers(16, 2048),
    device=st.sampled_from(["cpu", "gpu"]),
)
def test_rows_fit_the_budget_whenever_one_row_does(
    row: int, fixed: int, budget: int, each: int, tokens: int, device: Any
) -> None:
    """At least one row, never more than fits, than a rank has, or than is worth it on a CPU; and
    the micro-batches of a step are as few as the largest that fits allows, of even size."""
    most = max(1, (budget - fixed) // row)
    most = min(most, max(1, policy.CPU_TOKENS // tokens)) if device == "cpu" else most
    rows = choose_micro_batch_rows(
        "auto",
        rows_of_rank=each,
        sequence_tokens=tokens,
        device=device,
        fits=lambda rows: fixed + rows * row <= budget,
    )
    assert 1 <= rows <= min(each, most)
    assert -(-each // rows) == -(-each // min(each, most))
    assert rows == 1 or -(-each // (rows - 1)) > -(-each // rows)


@pytest.mark.parametrize("again", [False, True])
def test_both_halves_choose_the_same_rows(tmp_path: Path, again: bool) -> None:
    """A model that is measured on this machine and the same one counted from its configuration get
    the same micro-batch, from a budget for no row to one for four (rows are not quite full)."""
    inputs = write_inputs(tmp_path, layers=4)
    config = json.loads((inputs["base"].path / "model/config.json").read_text())
    names = {"languages": LANGUAGES, "cards": CARDS}
    split = open_split(inputs["prepare"].path / "train", **names)
    found = []
    for rows in (0, 1, 2, 3, 4):
        asked = {"micro_batch_size": "auto", "gradient_checkpointing": again}
        job = make_job(tmp_path / str(rows), inputs, run=asked)
        whole = Sharing("none", "none", "fp32", 1.0)
        model = load_model(job, kind=CAUSAL, sharing=whole, device=torch.device("cpu"))
        measure = micro_batch._measured(job, model=model, split=split, device=torch.device("cpu"))
        asked["memory_gib"] = (measure(rows) + measure(rows + 1)) / 2 / GIB
        job = make_job(tmp_path / str(rows), inputs, run=asked)
        layout = micro_batch.choose_layout(
            job,
            model=model,
            split=split,
            rows_per_step=16,
            sharing=whole,
            processes=_processes(1),
            recorded=None,
        )
        found.append(layout.micro_batch_rows)
        room = estimates._Room(
            SimpleNamespace(recipe=job.recipe),
            job.recipe.lora,
            model_shape(config),
            Target("cpu", 1, 1, None),
            "fp32",
            16,
        )
        candidate = estimates._own(SimpleNamespace(recipe=job.recipe), room)
        assert candidate.rows == layout.micro_batch_rows, (rows, candidate.memory)
    assert found == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("rslora", [False, True])
def test_a_pissa_phase_hands_on_what_it_writes(tmp_path: Path, rslora: bool) -> None:
    """Rank and alpha of the written adapter are those that the next phase and the estimate take,
    and the scale of the update stays."""
    lora = Lora(rank=4, alpha=8, init="pissa", rslora=rslora)
    plain = handed_on(lora)
    scale = [each.alpha / (each.rank**0.5 if rslora else each.rank) for each in (lora, plain)]
    assert scale[0] == pytest.approx(scale[1])
    assert (plain.rank, plain.init) == (8, "default")
    job = make_job(tmp_path, {}, lora=lora.model_dump())
    phases = (job.phase, job.phase)
    recipe = SimpleNamespace(lora=lora, training_phases=phases)
    assert estimates._largest_adapter(SimpleNamespace(recipe=recipe)) == plain
