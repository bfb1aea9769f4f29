"""Releases of one recipe have marks that differ in a list of artefacts."""

from __future__ import annotations

from pathlib import Path

from finetune.pipeline.store import Store
from finetune.pipeline.told_apart import marks_of
from tests.support.artefacts import finished
from tests.support.report_runs import keys_of, write_run


def test_a_release_has_repository_steps_seed_and_scores(tmp_path: Path) -> None:
    """Each from the stage that knows it; a base has none of them."""
    for number in (1, 2):
        write_run(tmp_path, number, seed=number, languages=("wol_Latn",))
    marks = marks_of([manifest for _, manifest in Store(tmp_path).artifacts()])
    one, other = (marks[f"release/{keys_of(number)['release']}"] for number in (1, 2))
    assert (one.repo, one.steps, one.seed) == ("org/tiny-1", 40, 1)
    assert (other.repo, other.seed) == ("org/tiny-2", 2)
    assert one.score != other.score
    assert "->" in one.score
    assert marks[f"train/{keys_of(1)['train']}"].score == "2.610 (validation)"
    assert f"base/{keys_of(1)['base']}" not in marks


def test_an_artefact_of_another_version_has_what_it_has(tmp_path: Path) -> None:
    """A training run alone, with a result of other fields."""
    finished(tmp_path / "train" / f"{7:016x}", result={"steps": "many"})
    (mark,) = marks_of([manifest for _, manifest in Store(tmp_path).artifacts()]).values()
    assert (mark.steps, mark.repo, mark.score) == (None, None, "")
