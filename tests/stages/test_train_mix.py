"""A training with a mixture: what it draws, what it records, and how it goes on."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact, Job
from finetune.errors import RecipeError, Stopped
from finetune.train.run import run
from tests.support.stopping_console import stopping_console
from tests.support.training_job import CARDS, adapter_digest, make_job, records, write_inputs

EVEN = {"method": "temperature", "temperature": 1e6}
"""Eight rows of one card and two of the other, each half of the time."""
UNIMAX = {"max_epochs": 7}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return write_inputs(tmp_path_factory.mktemp("inputs"), grouped=True)


def said(job: Job) -> str:
    assert isinstance(job.console.out, io.StringIO)
    return job.console.out.getvalue()


def longer(job: Job, shorter: Path, result: dict[str, Any]) -> Job:
    """Return the job with a shorter run in the store."""
    found = Artifact("train", "s", shorter, result)
    return replace(job, inputs={**job.inputs, "shorter": found})


def test_shares_are_kept_and_recorded(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """Both cards have half of the tokens, within 1 %; a small one is repeated, and it says so."""
    result = run(make_job(tmp_path, inputs, mixture=EVEN, train={"max_steps": 100}))
    seen = {facts["card"]: facts for facts in result["seen"]}
    total = sum(facts["tokens"] for facts in seen.values())
    assert total == result["tokens"]
    for planned in result["mixture"]["planned"]:
        assert seen[planned["name"]]["tokens"] / total == pytest.approx(planned["share"], abs=0.01)
        assert seen[planned["name"]]["epochs"] == pytest.approx(planned["epochs"], rel=0.02)
    small, large = seen[CARDS[1]], seen[CARDS[0]]
    assert small["epochs"] > 3 * large["epochs"]
    assert small["unique_tokens"] < small["tokens"] / 50


def test_without_a_mix_what_was_seen_is_recorded_too(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Three passes and a fifth over ten rows, as the metrics counted them."""
    result = run(make_job(tmp_path, inputs))
    assert result["mixture"] is None
    assert sum(f["tokens"] for f in result["seen"]) == result["tokens"]
    assert [f["epochs"] for f in result["seen"]] == pytest.approx([3.2, 3.2], abs=0.5)


def test_stopped_and_started_again_the_bits_are_the_same(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """With stages, stopped in each of them."""
    mixture = EVEN | {"curriculum": [{"until": 0.5}, {"method": "unimax"}]}
    straight = run(make_job(tmp_path / "straight", inputs, mixture=mixture))
    for step in (2, 6):
        job = make_job(tmp_path / "stopped", inputs, mixture=mixture)
        with pytest.raises(Stopped):
            run(replace(job, console=stopping_console(step)))
    again = run(make_job(tmp_path / "stopped", inputs, mixture=mixture))
    assert adapter_digest(tmp_path / "stopped") == adapter_digest(tmp_path / "straight")
    assert records(tmp_path / "stopped", "train") == records(tmp_path / "straight", "train")
    assert again["seen"] == straight["seen"]


def test_a_longer_training_with_other_shares_starts_anew(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """UniMax's weights follow from the length: the shorter run would not be its beginning."""
    short = run(make_job(tmp_path / "short", inputs, mixture=UNIMAX, train={"max_steps": 4}))
    job = make_job(tmp_path / "long", inputs, mixture=UNIMAX, train={"max_steps": 14})
    job = longer(job, tmp_path / "short", short)
    run(job)
    assert (
        "not resuming from the training run of 4 steps in the store: its data mixture has other"
        in said(job)
    )
    run(make_job(tmp_path / "at once", inputs, mixture=UNIMAX, train={"max_steps": 14}))
    assert adapter_digest(tmp_path / "long") == adapter_digest(tmp_path / "at once")


def test_with_a_budget_a_longer_training_continues(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Its shares are the same, so it is the same training as one that was asked for at once."""
    mixture = UNIMAX | {"budget_tokens": 14 * 4 * 16}
    same = {"schedule": "constant"}
    short = run(
        make_job(tmp_path / "short", inputs, mixture=mixture, train={"max_steps": 4} | same)
    )
    job = make_job(tmp_path / "long", inputs, mixture=mixture, train={"max_steps": 14} | same)
    job = longer(job, tmp_path / "short", short)
    run(job)
    assert "resuming from the checkpoint at step 4 of 14" in said(job)
    run(make_job(tmp_path / "at once", inputs, mixture=mixture, train={"max_steps": 14} | same))
    assert adapter_digest(tmp_path / "long") == adapter_digest(tmp_path / "at once")


def test_more_than_there_is_is_refused_before_the_first_step(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Ten rows, at most four times, are ten steps."""
    with pytest.raises(RecipeError) as refused:
        run(make_job(tmp_path, inputs, mixture={"max_epochs": 4}, train={"max_steps": 11}))
    assert refused.value.codes == ("too-little-text",)
    assert refused.value.problems[0].place.key == "train.max_steps"
