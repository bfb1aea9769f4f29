"""`submit --dry-run` shows the scripts before anything is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.cli import main
from tests.support.artefacts import finish_fetching
from tests.support.light_project import SITE, write_light_project

RECIPE = "recipes/tiny.yaml"
DRY = ["submit", RECIPE, "--site", "site.yaml", "--dry-run", "--json"]


@pytest.fixture
def here(tmp_path, inside, variables, monkeypatch) -> Path:
    """A project of which nothing was fetched; nothing of Slurm is installed."""
    write_light_project(tmp_path / "project")
    inside(tmp_path / "project")
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), PATH="/nowhere")
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    return tmp_path / "project"


@pytest.mark.parametrize("base", ["./model\n  hub_id: org/model", "org/model"])
def test_scripts_are_shown_before_the_base_is_fetched(here, capsys, base):
    """Exit code 0, every script, one line with the `fetch` command, and nothing is written."""
    recipe = Path(RECIPE)
    recipe.write_text(recipe.read_text("utf-8").replace("./model\n  hub_id: org/model", base))
    before = sorted(here.rglob("*"))
    assert main(DRY) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scripts = [line["job"] for line in said if "script" in line]
    assert scripts == ["prepare", "train", "evaluate", "release"]
    (missing,) = [
        line["message"] for line in said if "before it can be submitted" in line["message"]
    ]
    assert f"finetune fetch {RECIPE} --store {here / '.finetune'}" in missing
    assert sorted(here.rglob("*")) == before


def test_a_submission_without_what_it_needs_is_refused_as_before(here, capsys):
    """Without --dry-run the same sentence is an error, and nothing is queued."""
    assert main(DRY[:4]) == 2
    assert "not in the store" in capsys.readouterr().err


def test_other_problems_end_a_dry_run_with_their_exit_code(here, capsys):
    """The scripts are shown, then what no `fetch` solves, as an error."""
    finish_fetching(Path(RECIPE), Path(".finetune"))
    Path("site.yaml").write_text(SITE.replace("04:00:00", "00:02:00"), "utf-8")
    assert main(DRY) == 2
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum("script" in line for line in said) == 4
    assert said[-1]["problems"][0]["code"] == "short-time-limit"
