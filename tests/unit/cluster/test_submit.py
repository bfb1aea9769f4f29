"""From recipe and site to a chain: which jobs, what they run, what is refused before the queue."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finetune.cli import main
from finetune.cluster.chain.snapshot import absolute, shortened
from finetune.cluster.job.batch_script import time_limit_seconds
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.preflight import missing_packages
from finetune.cluster.submit.submit import plan_chain, write_files
from finetune.output.paths import path_problem
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.load import load_project, load_recipe
from finetune.spec.resolved import write_recipe
from finetune.spec.site import load_site
from finetune.spec.withdrawn import add_withdrawn
from tests.support.artefacts import finished
from tests.support.project import write_project

RECIPE = "recipes/tiny.yaml"
SITE = """\
name: here
description: A cluster.
sbatch: ["#SBATCH --partition=batch"]
debug: {sbatch: ["#SBATCH --partition=short"], steps: 2}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    (folder / "site.yaml").write_text(SITE)
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch, variables, inside) -> Path:
    """A project in the working folder; nothing of Slurm is installed."""
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    inside(folder)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), PATH="/nowhere")
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    return folder


def fetched(recipe: str = RECIPE, store: str = ".finetune") -> None:
    """Put what `finetune fetch` gets into the store, without getting it."""
    for step in plan.steps_of(load_project(Path(recipe))):
        if step.stage.needs_network:
            made(step.stage.name, step.key, store)


def made(stage: str, key: str, store: str = ".finetune") -> None:
    finished(Path(store) / stage / key)


def dry_run(capsys, *options: str) -> list[dict]:
    code = main(["submit", RECIPE, "--site", "site.yaml", "--dry-run", "--json", *options])
    said = capsys.readouterr()
    assert code == 0, said.out
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_dry_run_shows_every_job_and_writes_nothing(here, capsys):
    """prepare -> train -> evaluate -> release, each after the one before; also without Slurm."""
    fetched()
    before = sorted(here.rglob("*"))
    shown = [line for line in dry_run(capsys) if "script" in line]
    assert [line["job"] for line in shown] == ["prepare", "train", "evaluate", "release"]
    assert shown[0]["command"] == ["sbatch", "--parsable", "scripts/prepare.sh"]
    assert "--dependency=afterok:<id of prepare>" in shown[1]["command"]
    assert "--kill-on-invalid-dep=yes" in shown[1]["command"]
    assert all(line["script"].startswith("#!/bin/bash\n#SBATCH") for line in shown)
    assert sorted(here.rglob("*")) == before


def test_a_recipe_without_a_release_has_no_job_for_it(here, capsys):
    """`release: none` ends with the evaluation."""
    fetched()
    shown = [line for line in dry_run(capsys, "--set", "release=none") if "script" in line]
    assert [line["job"] for line in shown] == ["prepare", "train", "evaluate"]


def test_new_tokens_are_learned_in_the_job_that_prepares(here, capsys):
    """With a vocabulary there is no further job: both preparations and the learning are one."""
    Path(RECIPE).write_text(Path(RECIPE).read_text() + "vocabulary: {}\n")
    fetched()
    shown = [line for line in dry_run(capsys) if "script" in line]
    assert [line["job"] for line in shown] == ["prepare", "train", "evaluate", "release"]
    steps = plan.steps_up_to(load_project(Path(RECIPE)), "prepare")
    assert [s.label for s in steps] == ["base", "prepare (base tokens)", "vocabulary", "prepare"]


def test_what_is_done_needs_no_job(here, capsys):
    """Only artefacts that are not in the store are made."""
    fetched()
    steps = {s.stage.name: s for s in plan.steps_of(load_project(Path(RECIPE)))}
    made("prepare", steps["prepare"].key)
    made("train", steps["train"].key)
    shown = [line for line in dry_run(capsys) if "script" in line]
    assert [line["job"] for line in shown] == ["evaluate", "release"]
    assert "--dependency" not in " ".join(shown[0]["command"])


def test_files_that_the_site_purged_are_reported_before_the_queue(here, capsys):
    """A finished artefact that lost a file stops the submission, with the command that helps."""
    fetched()
    step = plan.steps_of(load_project(Path(RECIPE)))[0]
    weights = Path(".finetune") / "base" / step.key / "model.safetensors"
    weights.write_bytes(b"12345")
    finished(weights.parent)
    weights.unlink()
    assert main(["submit", RECIPE, "--site", "site.yaml"]) == 2
    said = capsys.readouterr().err
    assert "base: " in said
    assert f"--remove base/{step.key}" in said


def test_one_job_for_each_phase(here, capsys):
    """A recipe of two phases has two training jobs, which differ in --phase."""
    text = Path(RECIPE).read_text()
    train = text[text.index("train:") : text.index("evaluate:")]
    indented = train.replace("\n", "\n    ").rstrip()
    phases = "phases:\n" + "".join(
        f"  - name: {name}\n    corpora: [{{card: lines, max_documents: {most}}}]\n    {indented}\n"
        for name, most in (("first", 50), ("second", 40))
    )
    start, end = text.index("corpora:"), text.index("prepare:")
    Path(RECIPE).write_text(text[:start] + phases + text[end:].replace(train, ""))
    fetched()
    shown = [line for line in dry_run(capsys) if "script" in line]
    names = ["prepare", "train-first", "train-second", "evaluate", "release"]
    assert [line["job"] for line in shown] == names
    assert "--phase second" in shown[2]["script"]
    project = load_project(Path(RECIPE))
    first = plan.steps_up_to(project, "train", phase="first")
    assert [step.label for step in first] == ["base", "prepare first", "train first"]
    packed = plan.steps_up_to(project, "prepare")
    assert [s.stage.name for s in packed] == ["base", "prepare", "prepare"]


def test_a_trial_of_the_first_steps_goes_before_the_real_training(here, capsys):
    """It has the short queue, few steps, and a store in which the real one finds nothing of it."""
    fetched()
    shown = [line for line in dry_run(capsys, "--debug") if "script" in line]
    assert [line["job"] for line in shown][:3] == ["prepare", "debug", "train"]
    assert "--partition=short" in shown[1]["script"]
    assert "project/debug.json --store" in shown[1]["script"]
    assert f"--store {here}/.finetune/chains" in shown[1]["script"]
    assert "afterok:<id of debug>" in shown[2]["command"][2]


def test_what_is_missing_is_said_before_the_queue(here, capsys):
    """Base not fetched, placeholders not filled, no time to stop: all at once, exit code 2."""
    site = SITE.replace("--partition=batch", "--account=<account>")
    site += "grace_seconds: 600\nrelease: {time_limit: '00:05:00'}\n"
    Path("site.yaml").write_text(site)
    assert main(["submit", RECIPE, "--site", "site.yaml"]) == 2
    said = capsys.readouterr().err
    assert "base" in said
    assert f"finetune fetch {RECIPE} --store" in said
    assert "no value for <account>" in said
    assert "00:05:00 of release" in said
    assert not Path(".finetune/chains").exists()


def test_without_slurm_nothing_is_left_behind(here, capsys):
    """A machine that cannot submit reports it, and the store is as it was."""
    fetched()
    assert main(["submit", RECIPE, "--site", "site.yaml"]) == 1
    assert "--dry-run" in capsys.readouterr().err
    assert not list(Path(".finetune/chains").glob("*"))


def test_other_packages_than_needed_are_named():
    """Compute nodes find the same packages; a missing one fails before the queue."""
    assert missing_packages() == []
    wanted = [
        "torch>=99; extra == 'train'",
        "no-such-package>=1; extra == 'train'",
        "finetune-lowres[parquet]; extra == 'train'",
        "no-such-format; extra == 'parquet'",
        "other>=9; extra == 'dev'",
    ]
    found = missing_packages(requires=lambda _: wanted)
    assert [problem.code for problem in found] == ["old-package", "missing-packages"]
    assert found[0].facts["requirement"].startswith("torch>=99")
    assert found[1].facts["packages"] == ("no-such-package", "no-such-format")
    assert found[1].facts["command"] == "pip install 'finetune-lowres[train]'"


def test_what_was_withdrawn_stays_withdrawn_in_the_snapshot(here):
    """The list lies beside the copied card, so the jobs make what was planned: without it."""
    add_withdrawn(Path("data_cards/lines.md"), ["0" * 64], day=date(2026, 1, 1))
    project = open_project(Path(RECIPE), purpose="submit")
    site, store = load_site(Path("site.yaml")), Store(here / ".finetune")
    planned = plan_chain(project, site=site, store=store, debug=False)
    write_files(planned, versions=True)
    copied = load_project(planned.chain.recipe_path)
    assert copied.cards["lines"].withdrawn == {"0" * 64}
    assert [s.key for s in plan.steps_of(copied)] == [s.key for s in plan.steps_of(project)]


@pytest.mark.usefixtures("workdir")
def test_the_snapshot_makes_the_same_artefacts(here, tmp_path):
    """Keys planned from the chain's own copy, elsewhere, are those of the recipe; later edits of
    recipe and card change nothing."""
    fetched()
    assert main(["fetch", RECIPE]) == 0
    changed = ["train.max_steps=3"]
    project = open_project(Path(RECIPE), purpose="submit", overrides=changed)
    store = Store(here / ".finetune")
    site = load_site(Path("site.yaml"))
    planned = plan_chain(project, site=site, store=store, debug=True)
    write_files(planned, versions=True)
    wanted = [step.key for step in plan.steps_of(project)]
    Path(RECIPE).write_text("name: [")
    Path("data_cards/lines.md").unlink()
    copied = load_project(planned.chain.recipe_path)
    assert [step.key for step in plan.steps_of(copied)] == wanted
    trial = load_recipe(planned.chain.folder / "project/debug.json")
    assert trial.train is not None
    assert trial.train.max_steps == 2
    assert (planned.chain.folder / "project/recipe.lock.json").is_file()
    assert (planned.chain.folder / "debug/prepare").resolve() == store.root / "prepare"


printable = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(prompt=printable, model=printable)
def test_a_recipe_is_written_as_it_is(written, prompt, model):
    """Any text, in any script, with any control character, is read back unchanged; so is a path."""
    assume(path_problem(f"/{model}") is None)
    recipe = load_recipe(written / RECIPE)
    corpus = recipe.corpora[0].model_copy(update={"prompt": prompt})
    base = recipe.base.model_copy(update={"model": "/" + model})
    changed = recipe.model_copy(update={"corpora": [corpus], "base": base})
    path = written / "written.json"
    write_recipe(changed, path)
    assert load_recipe(path) == changed


def test_paths_become_absolute_and_trials_short(here):
    """Relative to where the recipe was submitted from, and epochs become steps."""
    recipe = load_recipe(
        Path(RECIPE),
        overrides=[
            *("train.start_from=old", "train.max_steps=null", "train.epochs=3"),
            "evaluate.models=[{name: old, adapter: ./old}]",
        ],
    )
    changed = absolute(recipe)
    assert changed.base.model == str(here / "model")
    assert changed.train.start_from == str(here / "old")
    assert changed.evaluate.models[0].adapter == str(here / "old")
    assert shortened(recipe, steps=2).train.max_steps == 2
    assert shortened(recipe, steps=2).train.epochs is None


def test_a_site_names_the_store_and_the_shell_its_variables(here, capsys, variables):
    """--store comes first, then the site's, whose variables must be set."""
    Path("site.yaml").write_text(SITE + "store: $SCRATCH_HERE/store\n")
    assert main(["submit", RECIPE, "--site", "site.yaml"]) == 2
    assert "SCRATCH_HERE is not set" in capsys.readouterr().err
    variables(SCRATCH_HERE=str(here / "scratch"))
    fetched(store="scratch/store")
    assert f"--store {here}/scratch/store" in dry_run(capsys)[0]["script"]
    fetched(store="mine")
    assert f"--store {here}/mine" in dry_run(capsys, "--store", "mine")[0]["script"]


def test_secrets_stay_where_they_are(variables):
    """Slurm's commands, and so the jobs, are not given what looks like a secret."""
    variables(
        HF_TOKEN="hf_secret",
        WANDB_API_KEY="secret",
        SBATCH_PARTITION="other",
        TOKENIZERS_PARALLELISM="false",
    )
    environment = slurm.environment()
    assert not {"HF_TOKEN", "WANDB_API_KEY", "SBATCH_PARTITION"} & set(environment)
    assert environment["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 300), ("05:30", 330), ("1-00:30:00", 88200), ("100:00:00", 360000)]
)
def test_time_limits_are_read_as_sbatch_does(text, seconds):
    """Minutes, minutes:seconds, hours:minutes:seconds, days-hours:minutes:seconds."""
    assert time_limit_seconds(text) == seconds
