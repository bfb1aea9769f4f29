"""Outputs in the files and pages of an evaluation: hard inputs, short answers, languages."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.evaluate.run import run
from finetune.evaluate.score_table import show_scores
from finetune.output.console import Console
from tests.support.evaluate_job import make_job
from tests.support.tiny import write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


def test_hard_inputs_are_counted_and_kept_apart_from_scores(tmp_path, base_folder):
    """One for 15 items: facts of each kind and system, a file of outputs, a table, no score."""
    job = make_job(tmp_path, base_folder, scale=0.05, generate_items=30)
    result = run(job)
    found = {(row["kind"], row["system"]): row["n"] for row in result["hard_inputs"]}
    kinds = ("one word", "upper case", "typing errors", "numbers", "negation")
    assert {kind for kind, _ in found} <= set(kinds)
    assert found["negation", "base"] == found["negation", "adapter"] == 2
    assert found["one word", "adapter"] == 1  # all sources begin with the same word
    lines = (job.workspace / "hard_inputs.jsonl").read_text().splitlines()
    assert len(lines) == sum(n for (_, system), n in found.items() if system == "base")
    assert all(json.loads(line)["source"] in json.loads(line)["prompt"] for line in lines)
    sources = (job.workspace / "generations.jsonl").read_text()
    assert "The shop is not open today." not in sources
    assert "<td>negation</td>" in (job.workspace / "report.html").read_text()
    assert {score["task"] for score in result["scores"] if "task" in score} == set()
    out = io.StringIO()
    show_scores(parse_result(result, EvaluateResult, path=job.workspace), console=Console(out=out))
    assert "short and hard inputs, base -> adapter: nothing is claimed from them" in out.getvalue()


@pytest.mark.parametrize("settings", [{"hard_inputs": 0}, {"generate_items": 0}])
def test_without_hard_inputs_there_is_nothing_of_them(tmp_path, base_folder, settings):
    """Neither field nor heading; and nothing is generated for without `generate_items`."""
    job = make_job(
        tmp_path, base_folder, scale=0.0, documents=4, **({"generate_items": 2} | settings)
    )
    result = run(job)
    assert "hard_inputs" not in result
    assert "Short and hard inputs" not in (job.workspace / "report.html").read_text()


def test_short_answers_are_scored_by_exact_match_and_f1(tmp_path, base_folder):
    """Items with a question and no direction: a task of its own, with a paired test."""
    job = make_job(tmp_path, base_folder, scale=0.05, documents=6, generate_items=4)
    path = tmp_path / "prepare/test/items.jsonl"
    items = [json.loads(line) | {"direction": None} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    result = run(job)
    found = {one["metric"]: one for one in result["comparisons"] if "task" in one}
    assert set(found) == {"exact_match", "f1"}
    assert {(one["task"], one["language"], one["n"]) for one in found.values()} == {
        ("short_answers", "hau_Latn", 3)
    }
    assert "outputs" not in result
    assert "Hausa (short answers)" in (job.workspace / "report.html").read_text()
