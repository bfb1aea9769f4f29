"""The page of the two programmes, and the script that runs their recipes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from finetune.spec.sections.source import HubSource
from finetune.spec.trained_languages import trained_languages
from tests.support.programmes_page import (
    PAGE,
    ROOT,
    header,
    other_codes,
    page_with_parts,
    projects,
    scores_of,
)

SCRIPT = ROOT / "benchmarks/programmes.sh"


def test_the_page_says_what_table_cards_and_headers_say() -> None:
    """Cards, recipes, scores and what is missing are written by `make docs`."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_parts(page), "run: python -m tests.support.programmes_page"


def test_every_score_of_a_header_is_read() -> None:
    """Each `(n = ...)` of an evaluated recipe is a row, one per language."""
    seen = 0
    for recipe in projects():
        rows, text = scores_of(recipe), header(recipe)
        if rows:
            no_claim = text.partition("No gain is claimed")[0]
            assert len(rows) == no_claim.count("(n = "), recipe
            assert len({row.code for row in rows}) == len(rows), recipe
        seen += len(rows)
    assert seen > 60
    assert {"hau_Latn", "yor_Latn"} <= set(other_codes())


def test_the_script_runs_what_needs_no_hub() -> None:
    """Every recipe of the two programmes whose texts and base are no Hub's, and no other."""
    said = subprocess.run([SCRIPT, "--list"], capture_output=True, text=True, check=True)
    listed = {Path(line).stem for line in said.stdout.splitlines()}
    ours = {name for name in projects() if re.match(r"(africa|bengali|india|senegal)-", name)}
    free = {
        name
        for name in ours
        if not any(
            isinstance(card.corpus.source, HubSource) for card in projects()[name].cards.values()
        )
    }
    assert listed == free
    assert all(trained_languages(projects()[x].recipe, projects()[x].cards) for x in listed)


FAKE = """#!/bin/bash
echo "$1 $2" >>"$LOG"
case $2 in *$STOPS*) exit 75;; *$FAILS*) exit 1;; esac
"""


def run_script(
    folder: Path, minutes: str, *, fails: str = "nothing", stops: str = "nothing"
) -> tuple[int, str, list[str]]:
    """Run the script with a stand-in for finetune; return exit code, output and its calls."""
    fake, log = folder / "fake", folder / "log"
    fake.write_text(FAKE, encoding="utf-8")
    fake.chmod(0o755)
    log.unlink(missing_ok=True)
    settings = {"FINETUNE": str(fake), "LOG": str(log), "FAILS": fails, "STOPS": stops}
    done = subprocess.run(
        [SCRIPT, minutes],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        check=False,
    )
    calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return done.returncode, done.stdout, calls


def test_a_recipe_that_fails_is_named_and_the_others_run(tmp_path: Path) -> None:
    """Every recipe is fetched, then run; what failed stands in the last lines."""
    code, said, calls = run_script(tmp_path, "5", fails="india-names")
    assert code == 1
    assert said.splitlines() == ["failed: recipes/india-names.yaml (fetch, exit code 1)"]
    assert calls[:2] == ["fetch recipes/africa-school.yaml", "run recipes/africa-school.yaml"]
    assert "run recipes/senegal-udhr.yaml" in calls
    assert "run recipes/india-names.yaml" not in calls


def test_a_piece_ends_when_its_minutes_are_over(tmp_path: Path) -> None:
    """Nothing is started after them, and the exit code says that the same command continues."""
    code, said, calls = run_script(tmp_path, "0")
    assert (code, calls) == (75, [])
    assert "the same command continues" in said


def test_a_run_that_is_stopped_stops_the_script(tmp_path: Path) -> None:
    """The recipes behind it are not started."""
    code, said, calls = run_script(tmp_path, "5", stops="bengali-school")
    assert code == 75
    assert calls[-1] == "fetch recipes/bengali-school.yaml"
    assert "at fetch of recipes/bengali-school.yaml" in said
