"""Public tasks: data from a hub, answers of base and adapter, the harness's own evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval.tasks import TaskManager
from ruamel.yaml import YAML

from finetune.errors import RecipeError
from finetune.evaluate.run import run
from finetune.sources.lock_file import read_lock
from tests.support import public_tasks
from tests.support.harness_task import fetch_task, job_of, write_alone
from tests.support.problems import raises

pytestmark = pytest.mark.slow

TASK = """\
task: quiz_hau
dataset_path: tiny/quiz
dataset_name: hau
test_split: test
output_type: multiple_choice
doc_to_text: "{{passage}}\\nTambaya: {{question}}\\nAmsa:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {language: hau_Latn, version: 1.0}
"""
ROWS = [
    {
        "passage": f"Labari na {n // 2}.",
        "question": f"Mene ne {n}?",
        "choices": ["iya", f"gida mai girma {n}", "na gode", "b" * (1 + n % 5)],
        "answer": n % 4,
    }
    for n in range(24)
]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
README = b"""---
configs:
- config_name: hau
  data_files:
  - split: test
    path: hau/test.jsonl
- config_name: yor
  data_files: yor/*.jsonl
---
"""


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a project whose task was fetched from a hub by the real command."""
    files = {"README.md": README, "hau/test.jsonl": LINES, "yor/test.jsonl": LINES}
    return fetch_task(tmp_path_factory.mktemp("project"), TASK, files)


@pytest.fixture(scope="module")
def evaluated(fetched: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    job = job_of(fetched, tmp_path_factory.mktemp("evaluation"), scale=0.5)
    return {"job": job, "result": run(job)}


def test_the_lock_pins_the_data_of_a_task(fetched: dict[str, Any]) -> None:
    """The lock has the commit, the files of the configuration and their hashes; no other's."""
    entry = (read_lock(fetched["folder"] / "recipes/r.yaml") or {})["benchmark:tiny/quiz:hau"]
    assert (entry["id"], entry["config"]) == ("tiny/quiz", "hau")
    assert entry["revision"] == fetched["revision"]
    assert set(entry["files"]) == {"hau/test.jsonl"}


def test_base_and_adapter_answer_a_task(evaluated: dict[str, Any]) -> None:
    """Both have an accuracy in the task's language, compared over passages, with its signature."""
    scores = [s for s in evaluated["result"]["scores"] if s.get("task") == "quiz_hau"]
    assert {(s["system"], s["metric"], s["language"], s["n"]) for s in scores} == {
        (name, "task_accuracy", "hau_Latn", len(ROWS)) for name in ("base", "adapter")
    }
    signature = scores[0]["signature"]
    for part in ("task:quiz_hau,1.0", "metric:acc_norm", "fewshot:0", "batch:8", "lm_eval:0.4.13"):
        assert part in signature
    [test] = [c for c in evaluated["result"]["comparisons"] if c.get("task") == "quiz_hau"]
    assert test["documents"] == len(ROWS) / 2


def test_items_are_named_by_their_hash(evaluated: dict[str, Any]) -> None:
    """items/ has a line per question with two hashes and no text."""
    path = evaluated["job"].workspace / "items/quiz_hau.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["item"] for line in lines}) == len(ROWS)
    assert len({line["document"] for line in lines}) == len(ROWS) / 2
    assert "Labari" not in path.read_text()


@pytest.mark.parametrize("system", ["base", "adapter"])
def test_the_harness_itself_gives_the_same_answers(
    evaluated: dict[str, Any], fetched: dict[str, Any], tmp_path: Path, system: str
) -> None:
    """Its own evaluation of the base, and of the adapter merged into it, agrees item by item."""
    from lm_eval import simple_evaluate

    job = evaluated["job"]
    write_alone(job, system, tmp_path)
    (tmp_path / "test.jsonl").write_bytes(LINES)
    config = YAML(typ="safe").load(TASK) | {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "test.jsonl")}},
    }
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tmp_path), "dtype": "float32"},
        tasks=[config],
        batch_size=8,
        device="cpu",
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    [items] = [i for i in evaluated["result"]["items"] if i["task"] == "quiz_hau"]
    values = np.load(job.workspace / items["scores"])[items["systems"].index(system), :, 0]
    assert values.tolist() == [sample["acc_norm"] for sample in found["samples"]["quiz_hau"]]
    [mine] = [
        score["value"]
        for score in evaluated["result"]["scores"]
        if score.get("task") == "quiz_hau" and score["system"] == system
    ]
    assert mine == pytest.approx(found["results"]["quiz_hau"]["acc_norm,none"])
    assert 0 < mine < 1


def test_the_table_is_that_of_the_installed_package() -> None:
    """The names, languages, data sets and metrics of all families are what the package has."""
    assert public_tasks.TABLE.read_text(encoding="utf-8") == public_tasks.written_table()


def test_a_template_of_a_file_is_no_code(
    fetched: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A template that reaches for Python's objects is an error that names the task."""
    reaching = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (tmp_path / "quiz.yaml").write_text(TASK.replace('"{{passage}}', f'"{reaching}'))
    job = job_of({**fetched, "folder": tmp_path}, tmp_path_factory.mktemp("e"), scale=0.5)
    with raises(RecipeError, code="task-failed") as caught:
        run(job)
    assert "quiz_hau" in str(caught.value)
