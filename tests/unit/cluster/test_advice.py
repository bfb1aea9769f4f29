"""Advice of `status` does what it says: reasons of Slurm, the docs, and `resubmit` after it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import find_chain
from finetune.cluster.chain.typed import addressed
from finetune.cluster.follow.status import look
from finetune.cluster.job.attempt import begin
from finetune.cluster.slurm.commands import parse_jobs
from finetune.cluster.slurm.reasons import ENDED, REASONS, never_starts, reason_of, why_waiting
from finetune.pipeline import plan
from finetune.spec.load import load_project
from finetune.verbs import VERBS
from tests.support.artefacts import finish_fetching, finished
from tests.support.light_project import SITE, write_light_project

RECIPE = "recipes/tiny.yaml"
DOCS = Path(__file__).parents[3] / "docs/cluster/slurm.md"
WAITING = parse_jobs("JobId=7 JobState=PENDING Reason=Priority ExitCode=0:0")[0]
EXAMPLES = [
    *("Resources", "Priority", "None", "Dependency", "BeginTime", "JobArrayTaskLimit"),
    *("JobLaunchFailure", "ReqNodeNotAvail", "Nodes_required_for_job_are_DOWN", "NodeDown"),
    *("Reservation", "Licenses", "PartitionDown", "PartitionInactive", "Cleaning", "Prolog"),
    *("FrontEndDown", "BurstBufferResources", "BurstBufferStageIn", "SystemFailure"),
    *("AssociationJobLimit", "AssociationResourceLimit", "QOSJobLimit", "QOSResourceLimit"),
    *("QOSUsageThreshold", "DependencyNeverSatisfied", "JobHeldUser", "JobHeldAdmin"),
    *("job_requeued_in_held_state", "JobHoldMaxRequeue", "launch_failed_requeued_held"),
    *("ReservationDeleted", "PartitionNodeLimit", "PartitionTimeLimit", "QOSTimeLimit"),
    *("BadConstraints", "AccountNotAllowed", "InvalidAccount", "InvalidQOS", "QOSNotAllowed"),
    *("DeadLine", "MaxMemPerLimit", "QOSMaxWallDurationPerJobLimit", "QOSMaxNodePerJobLimit"),
    *("QOSMinCpuNotSatisfied", "AssocGrpCPURunMinutesLimit", "QOSGrpCPUMinutesLimit"),
    *("AssocGrpCPUMinutesLimit", "QOSMaxJobsPerUserLimit", "QOSMaxJobsPerAccountLimit"),
    *("QOSGrpNodeLimit", "AssocGrpGRES", "AssocMaxJobsLimit"),
]
"""One word of Slurm for each row of the table, in its order."""


def test_every_row_is_reached_by_a_word_of_its_own():
    """No row hides a later one: the table's order is that of these words."""
    assert [reason_of(word) for word in EXAMPLES] == list(REASONS)


@pytest.mark.parametrize(
    "word",
    [
        *("QOSMaxWallDurationPerJobLimit", "AssocMaxWallDurationPerJobLimit"),
        *("QOSMaxCpuMinutesPerJobLimit", "AssocMaxGRESMinutesPerJob", "QOSMaxGRESPerJob"),
        *("QOSMaxMemoryPerNode", "AssocMaxNodePerJobLimit", "QOSMinGRES", "MaxMemPerLimit"),
        *("PartitionTimeLimit", "InvalidQOS"),
    ],
)
def test_a_request_above_what_one_job_may_have_is_stuck(word):
    """Time does not help: the state says so, and what to change."""
    job = replace(WAITING, reason=word)
    assert never_starts(job)
    assert "`finetune cancel`, then `finetune resubmit`" in why_waiting(job)


@pytest.mark.parametrize("word", ["QOSMaxGRESPerUser", "AssocGrpCpuLimit", "QOSGrpGRESMinutes"])
def test_what_others_use_up_is_waited_for(word):
    """A limit of user, group or project is free again when other jobs end, or in time."""
    assert not never_starts(replace(WAITING, reason=word))


def test_docs_and_code_agree_on_what_is_stuck():
    """The docs name every reason that the code calls stuck, and none that it calls waiting."""
    section = DOCS.read_text("utf-8").partition("### A job never starts")[2].partition("\n### ")[0]
    stuck, _, waiting = section.partition("A job that is `waiting`")
    named = re.findall(r"\*(\w+)\*", stuck)
    assert named
    assert all(reason_of(word).stuck for word in named), named
    left = [row.words for row in REASONS if row.stuck and row not in map(reason_of, named)]
    assert not left
    free = re.findall(r"\*(\w+)\*", waiting)
    assert free
    assert not any(reason_of(word).stuck for word in free)


def test_every_command_in_an_advice_exists():
    """Commands in backquotes are verbs of finetune, or releases of a job by its id."""
    for text in (*(row.text for row in REASONS), *ENDED.values()):
        for command in re.findall(r"`([a-z]+ [^`]+)`", text):
            program, verb, *more = command.split()
            known = program == "finetune" and verb in VERBS and not more
            assert known or command == "scontrol release {job_id}", text


@pytest.fixture
def here(tmp_path, inside, variables, fake_slurm, monkeypatch) -> Path:
    """A chain that was submitted from a folder, with an overlay of its owner."""
    folder = tmp_path / "project"
    write_light_project(folder)
    inside(folder)
    variables(PWD=str(folder), XDG_CONFIG_HOME=str(tmp_path / "config"))
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    finish_fetching(Path(RECIPE), Path(".finetune"))
    Path("mine.yaml").write_text("account: one\nqos: fast\n", "utf-8")
    assert main(["submit", RECIPE, "--site", "site.yaml", "--overlay", "mine.yaml"]) == 0
    return folder


def script(name: str = "train") -> str:
    return (find_chain(Path(".finetune")).folder / f"scripts/{name}.sh").read_text("utf-8")


SITE_CHANGES = {
    "time_limit": ("04:00:00", "02:00:00", "--time=02:00:00"),
    "nodes": ("train: {", "train: {nodes: 2, ", "--nodes=2"),
    "--mem": ('"#SBATCH --partition=batch"', '"#SBATCH --mem=9G"', "--mem=9G"),
    "partition": ("--partition=batch", "--partition=long", "--partition=long"),
}
OVERLAY_CHANGES = {"account": "--account=two", "qos": "--qos=slow"}
ADVISED = [w for w in re.findall(r"`(\w+)`|(--\w+)", " ".join(r.text for r in REASONS if r.stuck))]


def test_every_key_that_an_advice_names_is_tried_here():
    """Each key of site or overlay that a sentence says to change."""
    named = {a or b for a, b in ADVISED} - {"--reservation", "--deadline"}  # lines, as --mem
    assert named == {*SITE_CHANGES, *OVERLAY_CHANGES}


@pytest.mark.parametrize("key", [*SITE_CHANGES, *OVERLAY_CHANGES])
def test_resubmit_takes_what_was_changed_in_site_or_overlay(here, capsys, key):
    """`finetune cancel`, then `finetune resubmit`: the new scripts have the change, and say so."""
    if key in SITE_CHANGES:
        old, new, line = SITE_CHANGES[key]
        Path("site.yaml").write_text(SITE.replace(old, new), "utf-8")
    else:
        line = OVERLAY_CHANGES[key]
        Path("mine.yaml").write_text("account: two\nqos: slow\n", "utf-8")
    assert f"#SBATCH {line}\n" not in script()
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 0
    assert f"#SBATCH {line}\n" in script()
    said = capsys.readouterr().out
    assert f"train.sh is written anew from {here / 'site.yaml'}: now `#SBATCH" in said
    assert line in said


def test_resubmit_without_a_change_says_nothing_of_scripts(here, capsys):
    """The same site writes the same scripts."""
    before = script()
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 0
    assert script() == before
    assert "anew" not in capsys.readouterr().out


def test_resubmit_with_a_site_overrides_and_remembers_it(here, capsys):
    """The other site's overlay is not taken along; the next `resubmit` uses the new site."""
    Path("other.yaml").write_text(SITE.replace("=batch", "=other"), "utf-8")
    for words in (["resubmit", "--site", "other.yaml"], ["resubmit"]):
        assert main(["cancel"]) == 0
        assert main(words) == 0
        assert "--partition=other" in script()
        assert "--account" not in script()
    assert find_chain(Path(".finetune")).site_file == str(here / "other.yaml")


def test_a_size_asked_for_at_submission_stays_until_another_is_asked_for(here, capsys, fake_slurm):
    """--time counts before the site, also at `resubmit`; a stuck job says so."""
    assert main(["cancel"]) == 0
    words = ["submit", RECIPE, "--site", "site.yaml", "--time", "9:00:00", "--anyway"]
    assert main([*words, "--set", "train.max_steps=9"]) == 0
    chain = find_chain(Path(".finetune"))
    train = next(job for job in look(chain).jobs if job.name == "train")
    path = chain.folder / "scripts/train.sh"
    stuck = f"JobState=PENDING Reason=QOSMaxWallDurationPerJobLimit Command={path}"
    fake_slurm.knows(train.job_id, f"JobId={train.job_id} {stuck}")
    train = next(job for job in look(chain).jobs if job.name == "train")
    assert train.state == "stuck"
    wanted = "--time of `submit` counts before the site's: give it to `finetune resubmit"
    assert wanted in train.why
    fake_slurm.forgets(train.job_id)
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 0
    assert "#SBATCH --time=9:00:00\n" in script()
    assert main(["cancel"]) == 0
    assert main(["resubmit", "--time", "2:00:00"]) == 0
    assert "#SBATCH --time=2:00:00\n" in script()


@pytest.mark.parametrize("name", ["site.yaml", "mine.yaml"])
def test_a_site_file_that_is_gone_is_said_and_the_scripts_stay(here, capsys, name):
    """The chain goes on as it was submitted, and the line names --site."""
    before = script()
    Path(name).unlink()
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{here / name} is not there any more; its scripts stay as they are" in said
    assert script() == before


def test_a_site_that_became_invalid_stops_resubmit(here, capsys):
    """The mistake is named by file and line; nothing is queued."""
    Path("site.yaml").write_text(SITE.replace("04:00:00", "tomorrow"), "utf-8")
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 2
    assert "site.yaml:4" in capsys.readouterr().err


def test_advice_names_the_chain_that_it_is_about(here, capsys):
    """`finetune cancel` alone would take the newest chain, which may be another one."""
    chain = find_chain(Path(".finetune"))
    assert main(["status", "--json", "--store", str(here / ".finetune")]) == 0
    assert addressed("`finetune cancel`, then `finetune resubmit --site F`", chain) == (
        f"`finetune cancel {chain.id}`, then `finetune resubmit {chain.id} --site F`"
    )
    elsewhere = replace(chain, store="/scratch/x")
    assert addressed("see `finetune logs`", elsewhere) == (
        f"see `finetune logs {chain.id} --store /scratch/x`"
    )
    assert addressed(f"`finetune logs {chain.id}`", chain) == f"`finetune logs {chain.id}`"


def test_a_half_purged_base_is_noticed_by_status_and_resubmit(here, capsys, fake_slurm):
    """The folder is there and its weights are not: nothing is queued, and the remedy is named."""
    (base,) = Path(".finetune/base").iterdir()
    (base / "weights.bin").write_bytes(b"12345678")
    finished(base)
    (base / "weights.bin").unlink()
    assert main(["cancel"]) == 0
    report = look(find_chain(Path(".finetune")))
    assert report.headline.endswith("submits the rest, once its inputs are back in the store")
    assert any("files are missing or truncated" in notice for notice in report.notices)
    queued = len(fake_slurm.calls())
    assert main(["resubmit"]) == 2
    said = capsys.readouterr().err
    assert "files are missing or truncated (1 of" in said
    assert not [c for c in fake_slurm.calls()[queued:] if c[0] == "sbatch"]


def test_other_versions_are_accepted_by_resubmit_for_good(here, capsys):
    """A job of another environment fails and names the option; the recipes of the snapshot then
    accept it, and their keys stay."""
    chain = find_chain(Path(".finetune"))
    versions = chain.folder / "project/versions.json"
    versions.write_text(json.dumps(json.loads(versions.read_text()) | {"torch": "0.1"}))
    job = next(job for job in chain.jobs if job.name == "prepare")
    refused = begin(chain, job.name, job_id="1", restart=0)
    assert "torch" in refused
    assert "`finetune resubmit --accept-versions`" in refused
    before = [step.key for step in plan.steps_of(load_project(chain.recipe_path))]
    assert main(["cancel"]) == 0
    assert main(["resubmit", "--accept-versions"]) == 0
    assert [step.key for step in plan.steps_of(load_project(chain.recipe_path))] == before
    assert begin(chain, job.name, job_id="5", restart=0).startswith("go ")
    assert main(["cancel"]) == 0
    assert main(["resubmit"]) == 0
    assert load_project(chain.recipe_path).recipe.run.accept_versions
