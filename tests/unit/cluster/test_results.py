"""One table of what each combination achieved, finished or not."""

from __future__ import annotations

import csv
import io
import json
from argparse import Namespace
from dataclasses import replace

import pytest

from finetune.cluster.chain.chain import (
    Chain,
    ChainJob,
    Submission,
    append_submission,
    now,
    write_chain,
)
from finetune.cluster.follow.results import Compared, Result, over_seeds, results_of
from finetune.cluster.follow.status import look
from finetune.output.console import Console
from finetune.pipeline.manifest import read_manifest
from finetune.spec.tables.metric import METRICS, metric
from finetune.verbs.release.report import run as report
from tests.support.artefacts import finished
from tests.support.results import comparison, train_result

SETTINGS = [("lora.rank=8",), ("lora.rank=16",), ("lora.rank=32",)]


@pytest.fixture
def chain(tmp_path, fake_slurm):
    """Three combinations: the first two are evaluated, the third is not trained yet."""
    store = tmp_path / "store"
    jobs = []
    for task, settings in enumerate(SETTINGS):
        for name, before in (("train", ()), ("evaluate", (f"train.{task}",))):
            jobs.append(
                ChainJob(
                    name=f"{name}.{task}",
                    stages=(name,),
                    script=f"scripts/{name}.sh",
                    log=f"logs/{name}-%j.log",
                    depends_on=before,
                    artefacts=(f"{name}/{task:016x}",),
                    inputs=() if name == "train" else (f"train/{task:016x}",),
                    array=name,
                    task=task,
                    settings=settings,
                )
            )
    made = Chain(
        folder=store / "chains" / "sweep",
        id="sweep",
        recipe="project/recipe.json",
        site="dev",
        created=now(),
        store=str(store),
        jobs=tuple(jobs),
        max_restarts=3,
    )
    write_chain(made)
    append_submission(made, Submission("train.2", "7_2", now()))
    for task, validation in enumerate((1.5, 1.25)):
        write(store, "train", task, trained(validation))
        write(
            store,
            "evaluate",
            task,
            {"scores": [], "comparisons": compared(adapter=1.6 - task / 10)},
        )
    return made


def write(store, stage, task, result):
    finished(store / stage / f"{task:016x}", result=result, inputs={"prepare": "prepare/abc"})


def trained(validation):
    return train_result(validation_bits_per_byte={"hau_Latn": validation})


def compared(*, adapter):
    return [
        comparison(adapter=adapter, p_value=0.0002),
        comparison(
            metric="chrf++",
            direction="eng_Latn-hau_Latn",
            base=5.0,
            adapter=21.04,
            p_value=0.0002,
        ),
    ]


def test_a_row_has_what_was_measured_and_the_best_is_chosen_on_validation(chain):
    """Rank 16 is lower on validation and is marked; the third combination has no scores yet."""
    rows = results_of(look(chain))
    assert [row.combination for row in rows] == ["lora.rank=8", "lora.rank=16", "lora.rank=32"]
    assert [row.best_on_validation for row in rows] == [False, True, False]
    assert rows[1].validation == 1.25
    assert rows[1].tested == {
        "bits_per_byte": Compared(base=2.0, adapter=1.5, p_value=0.0002),
        "chrf++": Compared(base=5.0, adapter=21.04, p_value=0.0002),
    }
    assert rows[1].train == "train/0000000000000001"
    assert [row.state for row in rows] == ["done", "done", "lost"]
    assert rows[2].language is None


def test_the_same_table_goes_to_people_spreadsheets_and_machines(chain):
    """A table, CSV and JSON lines show the same three rows."""
    shown = {}
    for form in ("table", "csv", "json"):
        out = io.StringIO()
        options = Namespace(
            store=chain.folder.parents[1],
            runs=[],
            sweep=True,
            csv=form == "csv",
            json=form == "json",
        )
        assert report(options, Console(json_lines=form == "json", out=out)) == 0
        shown[form] = out.getvalue()
    assert "2.000 -> 1.500" in shown["table"]
    assert "1.250 *" in shown["table"]
    assert "5.0 -> 21.0" in shown["table"]
    lines = list(csv.DictReader(io.StringIO(shown["csv"])))
    records = [json.loads(line) for line in shown["json"].splitlines()]
    for rows in (lines, records):
        assert [row["combination"] for row in rows] == [s[0] for s in SETTINGS]
        for name, values in (("adapter_bits_per_byte", [1.6, 1.5, 0]), ("base_chrf", [5, 5, 0])):
            assert [float(row[name] or 0) for row in rows] == values
        assert [float(row["validation_bits_per_byte"] or 0) for row in rows] == [1.5, 1.25, 0]
    assert [row["lora.rank"] for row in lines] == ["8", "16", "32"]
    assert records[1]["settings"] == {"lora.rank": "16"}


def test_two_metrics_of_one_hub_type_have_fields_of_their_own():
    """Fields are named by the metric, not by its type on the Hub."""
    exact = metric("exact_match")
    loose = replace(exact, name="loose-match")
    tested = {exact.name: Compared(0.1, 0.2, 0.3), loose.name: Compared(0.4, 0.5, 0.6)}
    facts = Result("one", "done", tested=tested).facts([exact, loose])
    assert [facts[name] for name in exact.fields] == [0.1, 0.2, 0.3]
    assert [facts[name] for name in loose.fields] == [0.4, 0.5, 0.6]
    assert loose.fields == ("base_loose_match", "adapter_loose_match", "loose_match_p_value")


def test_fields_of_our_metrics_are_those_of_old_tables():
    """Column names of the results are stable."""
    assert {metric(name).fields[1] for name in METRICS} == {
        "adapter_bits_per_byte",
        "adapter_end_mark_bits",
        "adapter_chrf",
        "adapter_chrf_plain",
        "adapter_exact_match",
        "adapter_f1",
        "adapter_task_accuracy",
        "adapter_fidelity",
        "adapter_repetition_rate",
        "adapter_copy_rate",
        "adapter_source_bits",
        "adapter_choice_accuracy",
        "adapter_forgetting_bits",
        "adapter_kl_per_token",
    }


def test_a_second_direction_of_a_language_has_its_own_row(chain, tmp_path):
    """Both directions' chrF++ are shown; bits per byte, which have no direction, once."""
    path = tmp_path / "store/evaluate" / f"{0:016x}"
    compared_before = read_manifest(path).result["comparisons"]
    extra = compared(adapter=1.6)[1] | {"direction": "fra_Latn-hau_Latn", "adapter": 30.0}
    finished(path, result={"scores": [], "comparisons": [*compared_before, extra]})
    rows = [row for row in results_of(look(chain)) if row.combination == "lora.rank=8"]
    assert [(row.language, row.tested["chrf++"].adapter) for row in rows] == [
        ("hau_Latn", 21.04),
        ("fra_Latn-hau_Latn", 30.0),
    ]
    assert "bits_per_byte" not in rows[1].tested
    assert rows[1].validation is None


def test_seeds_are_summarized_by_mean_and_deviation():
    """Combinations that differ in nothing but the seed are one line; a lonely seed is none."""
    scores = {("8", "0"): 1.0, ("8", "1"): 2.0, ("16", "0"): 5.0, ("16", "1"): None}
    rows = [
        Result(
            combination=f"{rank} {seed}",
            state="done",
            settings={"lora.rank": rank, "train.seed": seed},
            language="hau_Latn",
            validation=score,
            tested={} if score is None else {"bits_per_byte": Compared(3.0, score, 0.5)},
        )
        for (rank, seed), score in scores.items()
    ]
    (summary,) = over_seeds(rows)
    assert (summary.combination, summary.seeds) == ("lora.rank=8", 2)
    assert summary.base == {"bits_per_byte": 3.0}
    assert summary.adapter == {"bits_per_byte": (1.5, pytest.approx(0.5**0.5))}
