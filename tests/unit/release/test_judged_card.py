"""Judgements of speakers on model card and results page, and in the gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.artefacts.gates.table import GATES
from finetune.artefacts.job import Job
from finetune.artefacts.judged.collected import Collected
from finetune.artefacts.judged.summary import summary_of
from finetune.artefacts.results import Effect, EvaluateResult
from finetune.errors import RecipeError
from finetune.evaluate.report import write_report
from finetune.judge.collecting import find_campaigns, gather, write_collected
from finetune.release.body import card_body
from finetune.release.recorded import Licensing
from finetune.release.report_page import write_page
from finetune.spec.recipe import Evaluate
from finetune.spec.sections.gates import Gates
from tests.support.gates import evidence
from tests.support.judge_job import KEY, campaign, record, returned, write
from tests.support.problems import raises
from tests.support.release_job import RECIPE, release_job

EFFECT = Effect(28, {}, "fp32", tolerance=1e-4)
TERMS = Licensing("apache-2.0", ("because",))
JUDGES = ("baobab", "teranga", "xaritu")


def judged(folder: Path, *, prefers: str = "adapter", judges: tuple[str, ...] = JUDGES) -> Path:
    """Return the file of judgements of Hausa outputs that prefer one of the systems."""
    made = campaign(folder, [record(n, language="hau_Latn") for n in range(12)])
    sides = {one.item: one.adapter for one in made.campaign.items}
    files = []
    for number, name in enumerate(judges):
        choices = sides if prefers == "adapter" else {i: "ab"[s == "a"] for i, s in sides.items()}
        choices = choices | {list(choices)[number]: "same"}
        content = returned(made.campaign, judge=name, prefers=choices)
        files.append(write(folder / f"{name}.json", content))
    [one] = gather(files, find_campaigns(made.path.parent))
    return write_collected(one)


def job_of(folder: Path, *paths: Path, evaluation: str = KEY) -> Job:
    """Return a release whose recipe names judgements of its evaluation."""
    recipe = {"release": RECIPE["release"] | {"judgements": list(map(str, paths))}}
    job = release_job(folder, recipe=recipe)
    evaluate = replace(job.inputs["evaluate"], key=evaluation)
    return replace(job, inputs={**job.inputs, "evaluate": evaluate})


def test_the_card_shows_how_many_judges_and_no_names(tmp_path: Path) -> None:
    """Number of judges and items, preference with interval, marks, agreement."""
    body = card_body(job_of(tmp_path, judged(tmp_path)), licence=TERMS, effect=EFFECT)
    assert "3 judges read 12 items in Hausa, blind" in body
    assert "% of the judgements" in body
    assert "Krippendorff" in body
    assert "| the base | 2" in body
    assert not [name for name in JUDGES if name in body]
    assert "scores and judgements above" in body


def test_no_card_claims_judges_without_judgements(tmp_path: Path) -> None:
    """Neither a number of judges nor the heading; the gate states that none is recorded."""
    body = card_body(release_job(tmp_path), licence=TERMS, effect=EFFECT)
    assert "Judgement by speakers" not in body
    assert "judges" not in body
    assert "no speaker's judgement is recorded" in body


def test_the_page_of_a_release_shows_them(tmp_path: Path) -> None:
    """The page of the evaluation has none."""
    job = job_of(tmp_path, judged(tmp_path))
    page = job.inputs["evaluate"].path / "report.html"
    write_report(
        page,
        pairs=[],
        evaluated=EvaluateResult((), ()),
        generated=[],
        facts={},
        settings=Evaluate(),
        loss_picture=None,
    )
    assert "Judgement by speakers" not in page.read_text("utf-8")
    write_page(job, ())
    shown = (job.workspace / "report.html").read_text("utf-8")
    assert "<h2>Judgement by speakers</h2>" in shown
    assert "3 judges read 12 items" in shown


def test_judgements_of_other_outputs_are_refused(tmp_path: Path) -> None:
    """The key of the evaluation is in the file, so that a new adapter needs new judgements."""
    job = job_of(tmp_path, judged(tmp_path), evaluation="f" * 16)
    with raises(RecipeError, code="judgements-of-another-evaluation"):
        card_body(job, licence=TERMS, effect=EFFECT)


@pytest.mark.parametrize(
    ("prefers", "language", "finding"),
    [
        ("adapter", "hau_Latn", "passed"),
        ("base", "hau_Latn", "failed"),
        ("adapter", "wol_Latn", "not measured"),
    ],
)
def test_the_gate_reads_the_judgements(
    tmp_path: Path, prefers: str, language: str, finding: str
) -> None:
    """It passes unless speakers of the language prefer the base; a release needs no pass."""
    path = judged(tmp_path, prefers=prefers)
    found = summary_of(Collected.model_validate_json(path.read_text("utf-8")))
    assert found.preferred == ("adapter" if prefers == "adapter" else "other")
    known = replace(evidence(), languages=(language,), judged=(found,))
    [result] = GATES["judgement"].read(known, Gates())
    assert result.finding == finding
    assert not GATES["judgement"].is_required
