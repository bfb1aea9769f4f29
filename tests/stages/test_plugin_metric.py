"""A package outside the tree adds metrics, a task and an export: they are where ours are."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import Chain, ChainJob, now, write_chain
from finetune.pipeline import plan
from finetune.spec.load import load_project
from finetune.spec.tables.export_format import export_format
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import installed_task
from tests.support.project import write_project

METADATA = "Metadata-Version: 2.1\nName: toy-scores\nVersion: {version}\n"
ENTRY_POINTS = """\
[finetune.metrics]
length_ratio = toy_scores:LENGTH_RATIO
accuracy = toy_scores:ACCURACY
length-ratio = toy_scores:SAME_FIELDS
wrong_name = toy_scores:ACCURACY
gone = toy_scores:GONE

[finetune.tasks]
quiz = toy_scores:QUIZ

[finetune.exports]
sizes = toy_scores:SIZES
"""
PACKAGE = '''
from dataclasses import dataclass, replace

import numpy as np

from finetune.evaluate.outputs import Generation
from finetune.models.packed_model import causal_lm_of
from finetune.spec.tables.export_format import Export, Exported
from finetune.spec.tables.metric import Metric
from finetune.spec.tables.task import Group, Task


def ratio(sums):
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


LENGTH_RATIO = Metric(
    name="length_ratio",
    label="length ratio",
    about="is the length of generations over that of references",
    hub_id="length_ratio",
    higher_is_better=True,
    decimals=2,
    takes=Generation,
    statistics=lambda outputs: np.array([(len(o.text), len(o.reference)) for o in outputs], float),
    value=ratio,
)
SAME_FIELDS = replace(LENGTH_RATIO, name="length-ratio")


@dataclass(frozen=True)
class Chosen:
    """How likely a system finds each answer to a question, and which one is right."""

    log_likelihoods: tuple
    right: int


ACCURACY = Metric(
    name="accuracy",
    label="accuracy",
    about="is the share of questions to which the likeliest answer is the right one",
    hub_id="accuracy",
    higher_is_better=True,
    decimals=2,
    takes=Chosen,
    statistics=lambda outputs: np.array(
        [(int(np.argmax(o.log_likelihoods)) == o.right, 1) for o in outputs], float
    ),
    value=ratio,
)
QUESTIONS = [(f"{i} + 1 =", (f" {i + 1}", f" {i + 2}"), 0) for i in range(12)]


def answer(job, system, part, groups):
    import torch

    model, tokenizer = causal_lm_of(system.model), system.tokenizer

    def log_likelihood(prompt, text):
        start, ids = len(tokenizer(prompt)["input_ids"]), tokenizer(prompt + text)["input_ids"]
        logits = model(input_ids=torch.tensor([ids])).logits.log_softmax(-1)[0]
        return sum(float(logits[i - 1, ids[i]]) for i in range(start, len(ids)))

    with system.switch(), torch.no_grad():
        return [
            [
                Chosen(tuple(log_likelihood(prompt, text) for text in texts), right)
                for prompt, texts, right in group.items
            ]
            for group in groups
        ]


QUIZ = Task(
    name="quiz",
    label="quiz",
    hub_task="multiple-choice",
    gives=Chosen,
    metrics=("accuracy",),
    groups=lambda job, part: [Group(language="hau_Latn", items=QUESTIONS)],
    answer=answer,
    conditions=lambda job: f"questions:{len(QUESTIONS)}",
    dataset="toy-quiz",
)


def write_sizes(job):
    files = sorted(job.source.adapter.iterdir())
    text = "".join(f"{file.name} {file.stat().st_size}\\n" for file in files)
    (job.workspace / "sizes.txt").write_text(text, encoding="utf-8")
    return Exported(summary=f"sizes of {len(files)} files", facts={"files": len(files)})


SIZES = Export(name="sizes", about="the sizes of the adapter's files", write=write_sizes)
'''


def _install(site: Path, *, version: str) -> None:
    """Write the package and its metadata as an installer would."""
    (site / "toy_scores.py").write_text(PACKAGE, encoding="utf-8")
    info = site / "toy_scores.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(METADATA.format(version=version), encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the package outside the tree, for this module."""
    site = tmp_path_factory.mktemp("site")
    (site / "toy_scores.dist-info").mkdir()
    _install(site, version="1.2")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield site
    for cached in (metric, installed_task, export_format):
        cached.cache_clear()


def _named(recipe: Path, *, metrics: str = "", tasks: str = "") -> Path:
    """Write a recipe beside another that adds metrics and tasks to its evaluation."""
    text = recipe.read_text("utf-8")
    added = f"evaluate: {{metrics: [{metrics}], tasks: [{tasks}], "
    named = recipe.with_name("named.yaml")
    named.write_text(text.replace("evaluate: {", added), encoding="utf-8")
    return named


@pytest.fixture(scope="module")
def finished(installed, tmp_path_factory):
    """Run the whole line once; return the project's folder and what the run printed as JSON."""
    folder = tmp_path_factory.mktemp("plugin")
    recipe = _named(write_project(folder), metrics="length_ratio, exact_match", tasks="quiz")
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with redirect_stdout(out):
            assert main(["run", "--json", str(recipe)]) == 0
    return folder, [json.loads(line) for line in out.getvalue().splitlines()]


def _evaluation(folder: Path) -> Path:
    (found,) = (folder / ".finetune/evaluate").glob("*/")
    return found


def test_it_is_in_the_scores_with_interval_and_test(finished):
    """Both systems have a value with an interval, and a paired test; the task is named."""
    folder, _ = finished
    result = json.loads((_evaluation(folder) / "scores.json").read_text())
    for name, number in (("length_ratio", 4), ("exact_match", 4), ("accuracy", 12)):
        scores = [s for s in result["scores"] if s["metric"] == name]
        yardsticks = [] if name == "accuracy" else ["examples", "copy"]
        assert [s["system"] for s in scores] == ["base", "adapter", *yardsticks]
        assert all(s["low"] <= s["value"] <= s["high"] for s in scores)
        assert {s["n"] for s in scores} == {number}
        (test,) = [c for c in result["comparisons"] if c["metric"] == name]
        assert test.get("task") == ("quiz" if name == "accuracy" else None)
    assert scores[0]["signature"].startswith("accuracy|questions:12|precision:")


def test_it_is_in_the_report_with_a_picture(finished):
    """A row, a chart with a title, and the sentence that states what it measures."""
    folder, _ = finished
    page = (_evaluation(folder) / "report.html").read_text("utf-8")
    for words in (
        "<td>length_ratio</td>",
        "<h2>Length ratio</h2>",
        "length ratio (higher is better)",
        "Length ratio: higher is better; it is the length of generations over",
        "<h2>Accuracy</h2>",
        "Hausa (quiz)",
    ):
        assert words in page


def test_it_is_on_the_card_in_the_table_and_the_model_index(finished):
    """The table, the sentence above it, the conclusions and the metadata of the Hub have it."""
    from huggingface_hub import ModelCard

    folder, _ = finished
    path = folder / ".finetune/hub/org/tiny-lora/README.md"
    text = path.read_text("utf-8")
    assert "| English to Hausa, length ratio, 4 segments | " in text
    assert "Length ratio: higher is better; Exact match: higher is better; Accuracy:" in text
    assert "English to Hausa, exact match" in text
    data = ModelCard.load(path).data
    assert {"length_ratio", "exact_match", "accuracy", "bits_per_byte", "chrf"} == set(data.metrics)
    ratio, of_base = (r for r in data.eval_results if r.metric_type == "length_ratio")
    assert (ratio.metric_name, ratio.task_type) == ("length ratio", "translation")
    assert of_base.metric_name == "length ratio, base without adapter"
    accuracy, _ = (r for r in data.eval_results if r.metric_type == "accuracy")
    assert (accuracy.task_type, accuracy.dataset_type) == ("multiple-choice", "toy-quiz")
    assert accuracy.dataset_name == "toy-quiz, Hausa (quiz)"


def test_machines_get_it_from_the_run(finished):
    """`--json` prints its row with the others."""
    _, records = finished
    rows = {r["metric"]: r for r in records if r.get("table") == "scores"}
    assert {"length_ratio", "exact_match", "accuracy"} <= set(rows)
    assert (rows["accuracy"]["language"], rows["accuracy"]["task"]) == ("hau_Latn", "quiz")


def test_it_is_in_the_results_of_a_chain(finished, fake_slurm, inside, capsys):
    """The table, `--json` and `--csv` of `finetune report --sweep` have columns for it."""
    folder, _ = finished
    inside(folder)
    store = folder / ".finetune"
    (trained,) = (store / "train").glob("*/")
    job = ChainJob(
        name="evaluate",
        stages=("evaluate",),
        script="scripts/evaluate.sh",
        log="logs/evaluate-%j.log",
        artefacts=(f"evaluate/{_evaluation(folder).name}",),
        inputs=(f"train/{trained.name}",),
    )
    chain = Chain(
        folder=store / "chains" / "one",
        id="one",
        recipe="project/recipe.json",
        site="dev",
        created=now(),
        store=str(store),
        jobs=(job,),
        max_restarts=3,
    )
    write_chain(chain)
    shown = {}
    for option in ("--json", "--csv", "-v"):
        assert main(["report", "--sweep", "one", option]) == 0
        shown[option] = capsys.readouterr().out
    records = [json.loads(line) for line in shown["--json"].splitlines()]
    own = {r["language"]: r for r in records}
    assert own["hau_Latn"]["adapter_length_ratio"] is not None
    assert own["hau_Latn (quiz)"]["adapter_accuracy"] is not None
    assert own["hau_Latn (quiz)"]["base_chrf"] is None
    header = next(csv.reader(io.StringIO(shown["--csv"])))
    assert {"base_length_ratio", "adapter_length_ratio", "length_ratio_p_value"} <= set(header)
    assert "length" in shown["-v"]


def test_an_export_of_a_package_is_a_format(finished, tmp_path, inside, capsys):
    """`finetune export` writes it like one of ours, and names those that there are."""
    folder, _ = finished
    inside(folder)
    export = ["export", "recipes/named.yaml", "--out", str(tmp_path / "out"), "--format"]
    assert main([*export, "size"]) == 2
    shown = capsys.readouterr().err
    assert "peft, sizes; or the package that adds it is not installed" in shown
    assert "Did you mean 'sizes'?" in shown
    assert main([*export, "sizes"]) == 0
    assert "adapter_model.safetensors" in (tmp_path / "out/sizes.txt").read_text()
    assert "sizes of 2 files" in capsys.readouterr().out


def test_the_adapter_alone_is_exported_as_it_is_released(finished, tmp_path, inside):
    """`--format peft` writes the files that the release has, to the byte, and its record."""
    folder, _ = finished
    inside(folder)
    out = tmp_path / "out"
    assert main(["export", "recipes/named.yaml", "--format", "peft", "--out", str(out)]) == 0
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    names.remove("export.json")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    for name in names:
        released = folder / ".finetune/hub/org/tiny-lora" / name
        assert (out / name).read_bytes() == released.read_bytes()


def _evaluate_key(recipe: Path) -> str:
    steps = plan.steps_of(load_project(recipe))
    return next(step.key for step in steps if step.stage.name == "evaluate")


@pytest.mark.usefixtures("workdir")
def test_only_a_named_metric_is_in_the_key_with_the_version_of_its_package(installed, tmp_path):
    """Installing changes no key; naming does, and so does another version of the package."""
    recipe = write_project(tmp_path)
    plain = _evaluate_key(recipe)
    assert _evaluate_key(_named(recipe)) == plain
    named = _evaluate_key(_named(recipe, metrics="length_ratio"))
    ours = _evaluate_key(_named(recipe, metrics="exact_match"))
    assert len({plain, named, ours}) == 3
    _install(installed, version="1.3")
    try:
        assert _evaluate_key(_named(recipe, metrics="length_ratio")) != named
        assert _evaluate_key(_named(recipe, metrics="exact_match")) == ours
    finally:
        _install(installed, version="1.2")


@pytest.mark.parametrize(
    ("metrics", "tasks", "says"),
    [
        ("exact_mach", "", "'exact_mach' is none of the metrics"),
        ("", "quizz", "'quizz' is none of the tasks"),
        ("accuracy", "", "metric 'accuracy' needs a Chosen of each item"),
        (
            "length_ratio, length-ratio",
            "",
            "metrics 'length_ratio of toy-scores 1.2' and 'length-ratio of toy-scores 1.2' would "
            "both be 'base_length_ratio'",
        ),
        ("wrong_name", "", "with the name 'wrong_name'"),
        ("gone", "", "cannot be imported"),
    ],
)
def test_a_wrong_name_is_reported_before_anything_runs(
    installed, tmp_path, capsys, metrics, tasks, says
):
    """An unknown name, a metric without a task or a column of its own, a broken package."""
    recipe = _named(write_project(tmp_path), metrics=metrics, tasks=tasks)
    assert main(["check", str(recipe)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "named.yaml" in said
