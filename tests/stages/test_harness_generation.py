"""Generated answers of public tasks: base and adapter against lm-evaluation-harness itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from ruamel.yaml import YAML

from finetune.errors import RecipeError
from finetune.evaluate.run import run
from finetune.spec.task_file import read_task_file
from tests.support.harness_task import fetch_task, job_of, write_alone
from tests.support.problems import raises
from tests.support.tiny import write_tiny_model

pytestmark = pytest.mark.slow

NAME = "say_hau"
TASK = """\
task: say_hau
dataset_path: tiny/quiz
test_split: test
output_type: generate_until
doc_to_text: "Tambaya: {{question}}\\nAmsa:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [STOP, "</s>"], max_gen_toks: 7, do_sample: false}
filter_list:
  - name: begin
    filter:
      - {function: regex, regex_pattern: "(?s)^(.{1,4})"}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
metadata: {language: hau_Latn, version: 1.0}
"""
QUESTIONS = [f"Mene ne {n} na {n % 3}?" for n in range(16)]


def _alone(folder: Path, rows: list[dict[str, str]], *, stop: str, model: Path) -> dict[str, Any]:
    """Return what the harness says of a model folder."""
    config = _local(folder, rows, stop=stop)
    found: dict[str, Any] = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=[config],
        batch_size=8,
        device="cpu",
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    return found


def _local(folder: Path, rows: list[dict[str, str]], *, stop: str) -> dict[str, Any]:
    """Return the task on a file of this machine, for the harness alone."""
    (folder / "test.jsonl").write_bytes(_lines(rows))
    config: dict[str, Any] = YAML(typ="safe").load(TASK.replace("STOP", json.dumps(stop)))
    config["dataset_path"] = "json"
    return config | {"dataset_kwargs": {"data_files": {"test": str(folder / "test.jsonl")}}}


def _lines(rows: list[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the evaluation of a task that the base answers rightly where its number is even.

    The base's free answers are looked at first: one of their letters ends an answer, and the
    answers until there are the right ones.
    """
    folder = tmp_path_factory.mktemp("alone")
    model = write_tiny_model(folder / "model")
    rows = [{"question": question, "answer": "-"} for question in QUESTIONS]
    free = _alone(folder, rows, stop="<never>", model=model)["samples"][NAME]
    longest = max((sample["resps"][0][0] for sample in free), key=len)
    stop = longest[len(longest) // 2]
    cut = _alone(folder, rows, stop=stop, model=model)["samples"][NAME]
    assert any(a["resps"] != b["resps"] for a, b in zip(free, cut, strict=True)), "no answer ended"
    for number, (row, sample) in enumerate(zip(rows, cut, strict=True)):
        row["answer"] = sample["filtered_resps"][0] if number % 2 == 0 else "-"
    task = TASK.replace("STOP", json.dumps(stop))
    data = {"test.jsonl": _lines(rows)}
    fetched = fetch_task(tmp_path_factory.mktemp("project"), task, data)
    job = job_of(fetched, tmp_path_factory.mktemp("evaluation"), scale=0.5)
    return {"job": job, "result": run(job), "rows": rows, "stop": stop}


def _values(asked: dict[str, Any], system: str) -> list[float]:
    [items] = [one for one in asked["result"]["items"] if one["task"] == NAME]
    array_SNK = np.load(asked["job"].workspace / items["scores"])
    values: list[float] = array_SNK[items["systems"].index(system), :, 0].tolist()
    return values


def test_an_answer_ends_where_the_task_says_and_is_filtered(asked: dict[str, Any]) -> None:
    """Answers that were cut and filtered by hand are right, others are wrong."""
    assert _values(asked, "base")[::2] == [1.0] * (len(QUESTIONS) // 2)
    assert 0 < np.mean(_values(asked, "base")) < 1


@pytest.mark.parametrize("system", ["base", "adapter"])
def test_the_harness_itself_gives_the_same_values(
    asked: dict[str, Any], tmp_path: Path, system: str
) -> None:
    """Item by item, with its own loading, stopping, limit of tokens and filters."""
    model = write_alone(asked["job"], system, tmp_path / "model")
    found = _alone(tmp_path, asked["rows"], stop=asked["stop"], model=model)
    expected = [sample["exact_match"] for sample in found["samples"][NAME]]
    assert _values(asked, system) == expected


def test_the_harness_own_command_gives_the_same_score(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    """`lm_eval` on the base's folder and a file of the task prints what stands in our scores."""
    model = write_alone(asked["job"], "base", tmp_path / "model")
    config = _local(tmp_path, asked["rows"], stop=asked["stop"])
    with (tmp_path / "say.yaml").open("w") as file:
        YAML(typ="safe").dump(config, file)
    words = [
        *(sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu"),
        *("--model_args", f"pretrained={model},dtype=float32", "--batch_size", "8"),
        *("--tasks", "say.yaml", "--output_path", "out"),
    ]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [written] = (tmp_path / "out").rglob("results*.json")
    [mine] = [
        score["value"]
        for score in asked["result"]["scores"]
        if score.get("task") == NAME and score["system"] == "base"
    ]
    found = json.loads(written.read_text())["results"][NAME]
    assert mine == pytest.approx(found["exact_match,begin"])


@pytest.mark.parametrize("metric", ["bleu", "chrf", "f1"])
def test_a_metric_of_the_whole_corpus_alone_is_refused_with_its_reason(
    tmp_path: Path, metric: str
) -> None:
    """Without a value for each item nothing can be tested; beside exact_match it may stand."""
    path = tmp_path / "say.yaml"
    text = TASK.replace("STOP", '"."')
    path.write_text(text.replace("metric: exact_match", f"metric: {metric}"))
    with raises(RecipeError, code="unfit-task-file") as caught:
        read_task_file(path)
    assert "has no value for each answer" in str(caught.value)
    both = text.replace("metric_list:\n", f"metric_list:\n  - {{metric: {metric}}}\n")
    path.write_text(both)
    assert read_task_file(path).task.metric == "exact_match"
