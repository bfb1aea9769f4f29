"""Training runs of a sweep that share a Slurm job: their packs, their script, and what follows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import (
    Chain,
    ChainJob,
    find_chain,
    names_by_id,
    read_events,
    read_submissions,
)
from finetune.cluster.chain.size import Size, sized
from finetune.cluster.follow.status import look
from finetune.cluster.job.batch_script import Work, script_of
from finetune.cluster.job.pack_attempt import begin_pack, finish_pack
from finetune.cluster.job.verdict import Ending
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.array import packed
from finetune.cluster.submit.queue import groups, indices_of, waits_for
from finetune.errors import RecipeError
from finetune.launch.outcome import Outcome
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.spec.load import load_project, validate
from finetune.spec.site import Site
from finetune.spec.yaml_file import Document
from tests.support.artefacts import finished
from tests.support.project import write_project
from tests.support.results import train_result

NAMES = ("train.0", "train.1", "train.2")
RUNNING = "JobId=9 ArrayJobId=8 ArrayTaskId=0 JobState=RUNNING Reason=None Restarts=0"
STOPPED = Outcome(0, 75, "stopped on request")
FAILED = Outcome(0, 1, "the loss of step 6 is not finite")
JOB_ID = "8_0"


def site_of(**changes) -> Site:
    values = {"name": "here", "description": "x"} | changes
    return validate(Site, values, Document(values=values, places={}, source="here.yaml"))


def tasks(count: int) -> list[ChainJob]:
    """Return the training runs and evaluations of a sweep, not packed."""
    runs = [
        ChainJob(
            name=f"train.{i}",
            stages=("train",),
            script="scripts/train.sh",
            log="logs/train-%j.log",
            artefacts=(f"train/t{i}",),
            array="train",
            task=i,
            recipe=f"project/task-{i}.json",
        )
        for i in range(count)
    ]
    evaluations = [
        ChainJob(
            name=f"evaluate.{i}",
            stages=("evaluate",),
            script="scripts/evaluate.sh",
            log="logs/evaluate-%j.log",
            depends_on=(f"train.{i}",),
            artefacts=(f"evaluate/e{i}",),
            array="evaluate",
            task=i,
        )
        for i in range(count)
    ]
    return [*runs, *evaluations]


def chain_of(folder: Path, *, count: int = 3, size: int = 3, made: tuple[str, ...] = ()) -> Chain:
    store = folder / "store"
    for artefact in made:
        (store / artefact).mkdir(parents=True)
    made_chain = Chain(
        folder=store / "chains/c",
        id="c",
        recipe="project/recipe.json",
        site="here",
        created="2026-11-25T00:00:00+00:00",
        store=str(store),
        jobs=packed(tasks(count), size, store=Store(store)),
        max_restarts=2,
    )
    (made_chain.folder / "attempts").mkdir(parents=True)
    return made_chain


def checkpoint(chain: Chain, name: str, step: int) -> None:
    key = chain.job(name).artefacts[0]
    folder = Path(chain.store) / f"{key}.partial/checkpoints"
    (folder / f"step-{step:08d}-validated-00000000").mkdir(parents=True)


def noted(chain: Chain, restart: int = 0, **outcomes: Outcome) -> None:
    """Write the exit records of some training runs, `train_0=...`."""
    for name, record in outcomes.items():
        folder = chain.outcomes_of(name.replace("_", "."), job_id=JOB_ID, restart=restart)
        folder.mkdir(parents=True)
        text = {"rank": 0, "exit_code": record.exit_code, "reason": record.reason}
        (folder / "rank-0.json").write_text(json.dumps(text | {"expected": record.expected}))


def started(chain: Chain, restart: int = 0) -> str:
    return begin_pack(chain, NAMES, job_id=JOB_ID, restart=restart)[0]


def ended(chain: Chain, code: int = 0, *, signal: str = "", restart: int = 0) -> str:
    ending = Ending(code, signal, [], 1, slurm.parse_jobs(RUNNING)[0])
    return finish_pack(chain, NAMES, ending, job_id=JOB_ID, restart=restart)[0]


def test_packs_are_filled_with_what_is_to_do_and_share_an_id(tmp_path):
    """Five training runs, one of them cached, two a job: two jobs, and one is not submitted."""
    chain = chain_of(tmp_path, count=5, size=2, made=("train/t1",))
    assert {j.name: j.pack for j in chain.jobs if j.pack is not None} == {
        "train.0": 0,
        "train.2": 0,
        "train.3": 1,
        "train.4": 1,
        "train.1": 2,
    }
    todo = [job for job in chain.jobs if job.name != "train.1"]
    training, evaluations = groups(todo)
    assert indices_of(chain, training) == "0-1"
    assert indices_of(chain, evaluations) == "0-4"
    assert chain.log_path("train.3", "8_1").name == "train.3-8_1.log"


def test_evaluations_start_after_every_pack_whatever_became_of_it(tmp_path):
    """A pack fails with one of its training runs, and the adapters of the others are evaluated."""
    chain = chain_of(tmp_path, count=1, size=1)
    evaluations = groups(chain.jobs)[1]
    assert waits_for(evaluations, {"train.0": "8_0"}, chain=chain) == (["8"], "afterany")
    alone = replace(chain, jobs=tuple(replace(job, pack=None) for job in chain.jobs))
    assert waits_for(evaluations, {"train.0": "8_0"}, chain=alone) == (["8"], "aftercorr")


def test_a_requeue_repeats_only_what_is_not_done(tmp_path):
    """One is done, one failed for good, one stopped with a checkpoint: the job comes back for the
    last alone, records nothing more of the others, and fails at its end because of the second."""
    chain = chain_of(tmp_path)
    assert started(chain) == "go c/train.0#1 c/train.1#1 c/train.2#1"
    (Path(chain.store) / "train/t0").mkdir(parents=True)
    checkpoint(chain, "train.2", 7)
    noted(chain, train_0=Outcome(0, 0, ""), train_1=FAILED, train_2=STOPPED)
    assert ended(chain, signal="USR1") == "again"
    assert started(chain, restart=1) == "go c/train.2#2"
    (Path(chain.store) / "train/t2").mkdir(parents=True)
    noted(chain, restart=1, train_2=Outcome(0, 0, ""))
    assert ended(chain, restart=1) == "fail"
    assert started(chain, restart=2) == "fail"
    outcomes = {n: [e.outcome for e in read_events(chain, n) if e.event == "end"] for n in NAMES}
    assert outcomes == {"train.0": ["done"], "train.1": ["failed"], "train.2": ["stopped", "done"]}
    assert not list(chain.folder.glob("attempts/*/"))


def test_a_killed_training_is_judged_alone(tmp_path):
    """It left no record, so that the exit code of the step is its own; the others are done."""
    chain = chain_of(tmp_path)
    started(chain)
    for made in ("train/t0", "train/t1"):
        (Path(chain.store) / made).mkdir(parents=True)
    checkpoint(chain, "train.2", 7)
    noted(chain, train_0=Outcome(0, 0, ""), train_1=Outcome(0, 0, ""))
    assert ended(chain, 137) == "again"
    assert "SIGKILL" in (read_events(chain, "train.2")[-1].reason or "")
    assert started(chain, restart=1) == "go c/train.2#2"


def test_a_new_job_tries_what_failed_in_the_one_before(tmp_path):
    """`resubmit` submits a pack anew under another id: what failed runs again, what is done not."""
    chain = chain_of(tmp_path)
    started(chain)
    (Path(chain.store) / "train/t0").mkdir(parents=True)
    noted(chain, train_1=FAILED, train_2=FAILED)
    assert ended(chain, 1) == "fail"
    answer, lines = begin_pack(chain, NAMES, job_id="9_0", restart=0)
    assert answer == "go c/train.1#2 c/train.2#2"
    assert lines == ["train.0: already done"]


SRUN = """\
#!/bin/bash
for option; do case $option in --ntasks=*) tasks=${option#*=} ;; esac; done
echo "srun $*" >>"$CALLS"
while [[ $1 == -* ]]; do shift; done
for ((task = 0; task < tasks; task++)); do
  SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_STEP_NUM_TASKS=$tasks PMI_SIZE=$tasks "$@" &
done
wait
"""
FINETUNE = """\
#!/bin/bash
case "$1 $2" in
  "attempt start") answer="go c/train.0#1 c/train.2#3" ;;
  "attempt end") answer=done; echo "finetune $*" >>"$CALLS" ;;
  *) echo "$*|$FINETUNE_ATTEMPT|${FINETUNE_OUTCOMES##*/}|$SLURM_STEP_NUM_TASKS|${PMI_SIZE-}|\
${CUDA_VISIBLE_DEVICES-}|${ROCR_VISIBLE_DEVICES-}"; exit ;;
esac
while [ "$1" != --mark ]; do shift; done
printf '\\n%s%s\\n' "$2" "$answer"
"""
GPUS = {
    "shown to no task": ({}, ("0|", "1|")),
    "all shown to each task": ({"CUDA_VISIBLE_DEVICES": "2,5,6"}, ("2|", "5|")),
    "of AMD": ({"ROCR_VISIBLE_DEVICES": "3,4", "HIP_VISIBLE_DEVICES": "0,1"}, ("|3", "|4")),
    "one shown to each task": ({"CUDA_VISIBLE_DEVICES": "0"}, ("0|", "0|")),
}


def script(chain: Chain, folder: Path) -> Path:
    """Write the script of a pack for a site with GPUs, and the programs that it calls."""
    for name, text in (("srun", SRUN), ("finetune", FINETUNE), ("scontrol", "#!/bin/bash\n")):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    lines = {"sbatch": ["#SBATCH --gres=gpu:4"], "ranks_per_node": 4, "srun": ["--cpu-bind=cores"]}
    site = sized(site_of(gpus_per_node=4, train=lines), Size(pack=3))
    work = Work("train", ("train", "r.json", "--store", "s"), (str(folder / "finetune"),))
    path = folder / "train.sh"
    job = chain.jobs[0]
    path.write_text(script_of(job, work, chain=chain, site=site, array="0"), encoding="utf-8")
    return path


@pytest.mark.parametrize("shown", GPUS)
def test_each_training_has_its_own_gpu_log_and_records(tmp_path, shown):
    """One step starts a task for each that is not done, and a task is no rank of the others."""
    chain = chain_of(tmp_path)
    (chain.folder / "logs").mkdir()
    variables, gpus = GPUS[shown]
    path = script(chain, tmp_path)
    text = path.read_text()
    assert "#SBATCH --ntasks-per-node=3\n" in text
    assert "#SBATCH --gres=gpu:3\n" in text
    slurm_sets = {"SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "9"}
    own = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    done = subprocess.run(
        ["/bin/bash", str(path)],
        env=own | slurm_sets | {"SLURM_JOB_NODELIST": "node1"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    srun, end = (tmp_path / "calls").read_text().split("finetune attempt", 1)
    assert srun.startswith("srun --nodes=1 --ntasks=2 --ntasks-per-node=2 --cpu-bind=cores")
    assert all(f"--job={name}" in end for name in NAMES)
    for number, name in enumerate(("train.0", "train.2")):
        first, said = chain.log_path(name, JOB_ID).read_text().splitlines()
        assert first.startswith(f"{name}: in job {JOB_ID} with train.0 train.1 train.2")
        recipe = f"{chain.folder}/project/task-{name[-1]}.json"
        attempt = "c/train.0#1" if number == 0 else "c/train.2#3"
        shown_gpu = gpus[number]
        assert said == f"train {recipe} --store s|{attempt}|{name}-{JOB_ID}-0|1||{shown_gpu}"


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (Size(pack=2, nodes=2), "pack-with-size"),
        (Size(pack=2, gpus=2), "pack-with-size"),
        (Size(pack=5), "pack-above-gpus"),
    ],
)
def test_a_pack_that_a_node_cannot_hold_is_refused(size, code):
    """Each training has a GPU, and all are on one node."""
    site = site_of(gpus_per_node=4, train={"sbatch": ["#SBATCH --gres=gpu:4"], "ranks_per_node": 4})
    with pytest.raises(RecipeError) as refused:
        sized(site, size)
    assert refused.value.codes == (code,)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    (folder / "site.yaml").write_text("name: here\ndescription: A cluster.\n")
    return folder


@pytest.fixture
def here(written, tmp_path, variables, inside) -> Path:
    """A project in the working folder whose base is in the store."""
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    inside(folder)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"))
    for step in plan.steps_of(load_project(Path("recipes/tiny.yaml"))):
        if step.stage.needs_network:
            finished(Path(".finetune") / step.stage.name / step.key)
    return folder


def test_a_pack_is_one_job_for_submit_status_cancel_and_resubmit(here, fake_slurm, capsys):
    """While one of its runs goes on, a pack whose last one is done is active for `resubmit`;
    `status` shows each; another site is given the same packs."""
    words = ["submit", "recipes/tiny.yaml", "--site", "site.yaml", "--until", "train"]
    assert main([*words, "--seeds", "0,1,2", "--pack", "2"]) == 0
    chain = find_chain(Path(".finetune"))
    ids = [s.job_id for s in read_submissions(chain)]
    assert ids == ["1_0", "2_0", "2_0", "2_1"]
    assert names_by_id(chain)["2_0"] == ("train.0", "train.1")
    path = chain.folder / "scripts/train.sh"
    assert "--ntasks-per-node=2\n" in path.read_text()
    record = f"ArrayJobId=2 ArrayTaskId=0 JobState=RUNNING Reason=None Command={path}"
    fake_slurm.knows("2", f"JobId=2 {record}")
    assert begin_pack(chain, ("train.0",), job_id="2_0", restart=0)[0] == "fail"  # no input
    finished(Path(".finetune") / chain.job("train.1").artefacts[-1], result=train_result())
    states = {job.name: job.state for job in look(chain).jobs}
    assert (states["train.0"], states["train.1"]) == ("failed", "done")
    assert main(["resubmit"]) == 2
    assert "train.0, train.1 (2_0, running)" in " ".join(capsys.readouterr().err.split())
    fake_slurm.forgets("2")
    assert main(["cancel"]) == 0
    Path("other.yaml").write_text("name: other\ndescription: x\ntrain: {ranks_per_node: 7}\n")
    assert main(["resubmit", "--site", "other.yaml"]) == 0
    assert "--ntasks-per-node=2\n" in path.read_text()
    assert main(["resubmit", "--nodes", "2"]) == 2


def test_a_pack_needs_a_sweep(here, capsys):
    """One training alone has the whole job."""
    assert main(["submit", "recipes/tiny.yaml", "--site", "site.yaml", "--pack", "2"]) == 2
    assert "--sweep, --languages or --seeds" in " ".join(capsys.readouterr().err.split())
