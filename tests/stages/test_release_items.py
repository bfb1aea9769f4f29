"""The scores per item in a release: every number can be recomputed from the folder alone; records
of Every Eval Ever keep to its schema."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from finetune.artefacts import every_eval_ever
from finetune.artefacts.job import Artifact, Job
from finetune.errors import ReleaseError, StoreError
from finetune.evaluate.run import run as evaluate
from finetune.release.contents import release_files
from finetune.release.run import run as release
from tests.support.evaluate_job import make_job
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.recomputed import recomputed
from tests.support.release_job import release_job, write_adapter
from tests.support.tiny import write_tiny_model

SHARED = {"permitted_uses": ["train-models", "publish-models", "share"]}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the folder and result of an evaluation whose texts may be passed on."""
    root = tmp_path_factory.mktemp("evaluated")
    base = write_tiny_model(root / "base" / "model").parent
    job = make_job(root, base, scale=0.05, documents=110, generate_items=55)
    card = make_card(root / "cards", "toy", "Ina kwana?")
    corpus = card.corpus.model_validate(card.corpus.model_dump(exclude_unset=True) | SHARED)
    job = replace(job, cards={"toy": card.model_copy(update={"corpus": corpus})})
    return job.workspace, evaluate(job)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    write_adapter(root)
    return root


@pytest.fixture
def job(trained: Path, tmp_path: Path, evaluated: tuple[Path, dict[str, Any]]) -> Job:
    """Return a release of that evaluation."""
    root, (folder, result) = tmp_path / "store", evaluated
    shutil.copytree(trained, root)
    shutil.copytree(folder, root / "evaluate")
    manifest = {"finished": 1.8e9, "version": "0.1.0", "environment": {"packages": {}}}
    (root / "evaluate/manifest.json").write_text(json.dumps(manifest))
    made = release_job(root)
    scored = Artifact("evaluate", "0" * 16, root / "evaluate", result)
    return replace(made, inputs={**made.inputs, "evaluate": scored})


def test_every_number_of_a_release_follows_from_its_items(job) -> None:
    """The same thirty lines give each comparison from the released folder, checksums included."""
    result = release(job)
    folder = job.workspace
    stated = json.loads((folder / "evaluation.json").read_text())
    assert set(release_files(folder)) == set(result["files"])
    for listed in stated["items"]:
        for name, sha256 in (("scores", "scores_sha256"), ("items", "items_sha256")):
            assert result["files"][listed[name]] == listed[sha256]
            content = (folder / listed[name]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == listed[sha256]
    for test in stated["comparisons"]:
        real, low, high, p_value, _ = recomputed(folder, test, resamples=200, seed=0)["base"]
        assert (test["difference"], test["p_value"]) == pytest.approx((real, p_value))
        assert (test["low"], test["high"]) == pytest.approx((min(low, real), max(high, real)))
    assert "can be recomputed from `items/`" in (folder / "README.md").read_text()


def test_a_changed_file_of_items_is_not_released(job) -> None:
    """A score changed after the evaluation stops the release."""
    path = job.inputs["evaluate"].path / "items/translation.chrf.npy"
    path.write_bytes(path.read_bytes()[:-8] + b"\1" * 8)
    with raises(StoreError, code="items-changed"):
        release(job)


def test_texts_of_items_pass_the_leak_scan(job, tmp_path) -> None:
    """A folder of this machine in a released item stops the release."""
    path = job.inputs["evaluate"].path / "items/translation.jsonl"
    text = path.read_text()
    assert "Na gode" in text
    path.write_text(text.replace("Na gode 0", f"Na gode {tmp_path}/x"))
    result = json.loads(json.dumps(dict(job.inputs["evaluate"].result)))
    for listed in result["items"]:
        listed.pop("items_sha256")
    scored = replace(job.inputs["evaluate"], result=result)
    with raises(ReleaseError, code="leak-in-release") as caught:
        release(replace(job, inputs={**job.inputs, "evaluate": scored}))
    places = {str(found.place).partition("/")[0] for found in caught.value.problems}
    assert places == {"items", "every_eval_ever"}


SCHEMAS = Path(every_eval_ever.__file__).parent


def _records(folder: Path) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return scores and lines of each system, checked against the schemas and each other."""
    found = {}
    whole, line_of = (
        jsonschema.Draft7Validator(json.loads((SCHEMAS / name).read_text()))
        for name in ("eval.schema.json", "instance_level_eval.schema.json")
    )
    root = folder / "every_eval_ever"
    for path in sorted(root.rglob("*.json")):
        record = json.loads(path.read_text())
        whole.validate(record)
        detailed = record["detailed_evaluation_results"]
        assert detailed["file_path"] == f"{path.relative_to(root).with_suffix('')}_samples.jsonl"
        content = (root / detailed["file_path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == detailed["checksum"]
        lines = [json.loads(line) for line in content.decode().splitlines()]
        assert len(lines) == detailed["total_rows"]
        results = {one["evaluation_result_id"] for one in record["evaluation_results"]}
        for line in lines:
            line_of.validate(line)
            assert line["evaluation_id"] == record["evaluation_id"]
            assert line["model_id"] == record["model_info"]["id"]
            assert line["evaluation_result_id"] in results
        found[record["evaluation_id"]] = (record, lines)  # two systems may be one model
    return found


def test_records_of_every_eval_ever_keep_to_its_schema(job, evaluated) -> None:
    """One file per system with the released names, its scores and a line per item of each."""
    folder, result = evaluated
    release(job)
    released, kept = _records(job.workspace), _records(folder)
    systems = {score["system"] for score in result["scores"]}
    assert len(released) == len(kept) == len(systems)
    [(record, lines)] = [each for name, each in released.items() if "/amina/hausa-lora/" in name]
    own = [score for score in result["scores"] if score["system"] == "adapter"]
    stated = [one["score_details"]["score"] for one in record["evaluation_results"]]
    assert stated == [score["value"] for score in own]
    assert len(lines) == sum(score["n"] for score in own)
    [exact] = [one for one in record["evaluation_results"] if one["metric_config"]["metric_id"]
               == "bits_per_byte" and "hau" in one["evaluation_name"]]  # fmt: skip
    assert exact["metric_config"]["max_score"] == "Infinity"
    assert exact["score_details"]["uncertainty"]["num_bootstrap_samples"] == 1000
    assert record["evaluation_timestamp"] == "1800000000"
    assert sum("/tiny/base/" in name for name in released) == 2  # alone and with examples


def test_records_say_nothing_that_is_not_known(job, evaluated) -> None:
    """No output, no folder, no user; a repository and a revision only where there is one."""
    release(job)
    for record, lines in _records(job.workspace).values():
        assert "inference_engine" not in record["model_info"]
        assert record["model_info"]["additional_details"]["model_availability"] == "unknown"
        assert {one["output"]["raw"] == [] for one in lines} == {True}
        assert str(job.workspace.parent) not in json.dumps([record, lines])
