"""The trial of a GPU runs on a CPU, tiny, and judges what it measures."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from finetune.cluster.doctor.gpu import resumed_run, speed
from finetune.cluster.doctor.gpu.bench import SHAPES, Bench
from finetune.cluster.doctor.gpu.trial import trial
from finetune.cluster.doctor.gpu.trial_rows import Check, Found, Measured, Row, rows_of
from finetune.sizing.flops import flops_per_token
from finetune.sizing.shape import model_shape
from finetune.spec.recipe import Recipe
from finetune.spec.sections.training import Lora

ROOT = Path(__file__).parents[3]
CARD = "NVIDIA H100 80GB HBM3"


def measured(**changes) -> Measured:
    facts = {"tokens_per_second": 10_000.0, "tflops": 340.0, "share": 0.34}
    return Measured(**(facts | {"peak_gib": 36.0, "estimate_gib": 37.0} | changes))


@pytest.mark.timeout(600)
def test_every_check_runs_on_a_cpu(tmp_path: Path):
    """Nothing fails, and what a CPU cannot do is refused with the reason."""
    found: dict[str, Measured] = {}
    rows = list(trial(dry=True, measured=found, within=tmp_path, say=lambda _: None))
    assert {r.check: (r.state, r.found) for r in rows if r.state not in ("ok", "refused")} == {}
    assert {r.found for r in rows if r.state == "refused"} == {"refused: no GPU"}
    assert set(found) == {setting.name for setting in speed.SETTINGS}
    assert all(one.tokens_per_second > 0 and one.tflops > 0 for one in found.values())


def test_what_is_compared_to_the_last_bit_is_trained_deterministically(tmp_path: Path):
    """On a GPU equal bits are promised with `run.deterministic` only."""
    bench = Bench(torch.device("cpu"), tmp_path, dry=True, limit_seconds=1000.0)
    recipe = Recipe.model_validate(resumed_run._recipe(bench, steps=2))
    assert recipe.run.deterministic


def test_an_error_is_a_row_and_time_ends_the_trial(tmp_path: Path):
    """One broken kernel hides no other check; none begins after the time is over."""

    def broken(_: Bench) -> Found:
        raise RuntimeError("CUDA error: no kernel image\nmore")

    check = Check("broken", "nothing", broken)
    bench = Bench(torch.device("cpu"), tmp_path, dry=True, limit_seconds=1000.0)
    [row] = rows_of([check], bench)
    assert (row.state, row.found) == ("failed", "RuntimeError: CUDA error: no kernel image")
    late = Bench(torch.device("cpu"), tmp_path, dry=True, limit_seconds=-1.0)
    assert [row.state for row in rows_of([check], late)] == ["skipped"]


@pytest.mark.parametrize(
    ("setting", "changes", "state"),
    [
        (speed.FULL, {}, "ok"),
        (speed.FULL, {"share": 0.32}, "failed"),
        (speed.FULL, {"estimate_gib": 41.0}, "failed"),
        (speed.PACKED, {"tokens_per_second": 9_100.0}, "ok"),
        (speed.PACKED, {"tokens_per_second": 8_900.0}, "failed"),
        (speed.FOUR_BIT, {"peak_gib": 12.0}, "ok"),
        (speed.FOUR_BIT, {"peak_gib": 23.5}, "failed"),
        (speed.SETTINGS[0], {"share": None}, "ok"),
    ],
)
def test_passes_are_those_of_the_first_day(setting, changes, state):
    """A third of the peak of an H100, 24 GB for 4 bits, and a tenth lost to packing."""
    before = {speed.FULL.name: measured()}
    found = speed.judged(setting, measured(**changes), measured=before, dry=False, card=CARD)
    assert found.state == state


def test_other_cards_have_no_share_to_reach():
    """The share is that of an H100; an RTX 4090 is only measured."""
    found = speed.judged(
        speed.FULL, measured(share=0.2), measured={}, dry=False, card="NVIDIA GeForce RTX 4090"
    )
    assert found.state == "ok"


def test_useful_flops_are_four_a_parameter_and_little_more():
    """NeMo's 12,500 tokens/s of LoRA on an H100 are 41 % of its peak by this count."""
    keys = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]} | dict(SHAPES["8B"])
    shape = model_shape(keys)
    flops = flops_per_token(shape, Lora(), document_tokens=4096)
    assert flops == pytest.approx(33.5e9, rel=0.02)
    assert 12_500 * flops / 989e12 == pytest.approx(0.42, abs=0.01)
    short = flops_per_token(shape, Lora(), document_tokens=256)
    assert 0.9 < short / flops < 0.92


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("gpu_checks", {field.name for field in dataclasses.fields(Row)}),
        ("gpu_benchmark", {"setting", *(field.name for field in dataclasses.fields(Measured))}),
    ],
)
def test_json_has_the_fields_of_the_reference(table, fields):
    """docs/reference/json.md names every field of both tables."""
    page = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
    assert set(re.findall(rf"^\| `{table}` \| `(\w+)`", page, flags=re.MULTILINE)) == fields


def test_an_older_torch_refuses_packed_documents_and_runs_the_rest():
    """The row names the version; what needs no attention is tried."""
    bench = SimpleNamespace(is_over=False, seconds=0.0, too_old="2.11.0", tidy=lambda: None)

    def fine(_: Bench) -> Found:
        return Found("ok", "right")

    checks = [Check("packed", "", fine), Check("head", "", fine, packs=False)]
    rows = list(rows_of(checks, bench))
    assert [(r.state, r.found) for r in rows] == [
        ("refused", "refused: torch 2.11.0"),
        ("ok", "right"),
    ]
