"""A site with every odd property of real clusters at once, on the development cluster.

site/scratch -> ../disks/vol1     what people write is a link; a container sees only that
desk/sbatch                       for the person: late, and says more than an id
jobs/                             PATH of jobs: no bash, a scontrol that fails twice
launcher                          prints a banner, and hides disks/ as a container does
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.cluster.chain.chain import job_ids, read_submissions
from tests.cluster.chains import RECIPE, Line
from tests.cluster.waiting import wait_for
from tests.support.project import write_project
from tests.support.slurm_cluster import Cluster

ROOT = Path(__file__).parents[2]
LONGER = {
    "max_steps: 4": "max_steps: 150",
    "validate_every_steps: 2": "validate_every_steps: 150",
    "checkpoint_every_steps: 1": "checkpoint_every_steps: 50",
}
"""Some seconds of training, so that a signal comes in time."""
FAILING_LINE = "module load nosuch/1.0"
GROUP_MODE = 0o2770
SBATCH = """\
#!/bin/bash
case "$*" in *--test-only*) exec {sbatch} "$@" ;; esac
echo "Checking your project ..."
{sbatch} "$@"
code=$?
sleep {late}
echo "Your project has 1234 SUs left."
echo "sbatch: charged to research" >&2
exit $code
"""
SCONTROL = """\
#!/bin/bash
# fails twice in each training job
case $SLURM_JOB_NAME in train.*) numbers="1 2" ;; esac
for number in $numbers; do
  mark="{folder}/failed/$SLURM_JOB_ID-$number"
  if [ ! -e "$mark" ]; then
    : >"$mark"
    echo "slurm_load_jobs error: Socket timed out on send/recv operation" >&2
    exit 1
  fi
done
exec {scontrol} "$@"
"""
LAUNCHER = """\
#!/bin/bash
echo "Welcome to the nasty cluster."
inside=({unshare} --mount /bin/bash -c '
  set -e
  {mount} --bind "$0/disks/vol1" "$0/hold"
  {mount} -t tmpfs none "$0/disks"
  {mount} -t tmpfs none "$0/site"
  {mkdir} "$0/site/scratch"
  {mount} --bind "$0/hold" "$0/site/scratch"
  exec "$@"' {folder})
case " $* " in
  *" attempt "*) "${{inside[@]}}" "$@"; code=$?; printf 'Good bye.'; exit $code ;;
  *) exec "${{inside[@]}}" "$@" ;;
esac
"""
SITE = """\
name: nasty
description: Every odd property at once.
sbatch: ["#SBATCH --partition=batch", "#SBATCH --export=NONE"]
setup:
  - export PATH={folder}/jobs
  - {failing}
  - umask 077
  - set -euo pipefail
  - trap - USR1 TERM ERR
environment: {{OMP_NUM_THREADS: "1", PYTHONPATH: "{root}"}}
launcher: [{folder}/launcher]
train: {{nodes: 2, time_limit: "00:30:00"}}
grace_seconds: 60
max_restarts: 2
requeue: {requeue}
store: {store}
"""
TOOLS = ("date", "head", "hostname", "sleep", "cat", "env", "srun", "squeue", "uname")


def make_nasty(
    folder: Path,
    cluster: Cluster,
    *,
    requeue: str = "allowed",
    late_seconds: float = 2.0,
    settings: dict[str, Any] | None = None,
) -> Line:
    """Write the site and a tiny project on it; get its base into the store."""
    for name in ("disks/vol1", "site", "desk", "jobs", "hold", "failed"):
        (folder / name).mkdir(parents=True)
    scratch = folder / "site/scratch"
    scratch.symlink_to("../disks/vol1")
    store = scratch / "group"
    store.mkdir()
    os.chown(store, -1, os.getgid())
    store.chmod(GROUP_MODE)
    _write_programs(folder, late_seconds=late_seconds)
    project = scratch / "project"
    project.mkdir()
    recipe = write_project(project)
    text = recipe.read_text(encoding="utf-8")
    for old, new in (settings or {}).items():
        assert old in text
        text = text.replace(old, str(new))
    recipe.write_text(text, encoding="utf-8")
    site = SITE.format(folder=folder, root=ROOT, failing=FAILING_LINE, requeue=requeue, store=store)
    (project / "site.yaml").write_text(site, encoding="utf-8")
    variables = {
        "PATH": f"{folder}/desk:{os.environ['PATH']}",
        "FINETUNE_STORE": str(store),
    }
    here = replace(cluster, environment=cluster.environment | variables)
    line = Line(project, here, own_store=store)
    line.finetune("fetch", RECIPE)
    return line


def _write_programs(folder: Path, *, late_seconds: float) -> None:
    programs = ("sbatch", "scontrol", "unshare", "mount", "mkdir", *TOOLS)
    found = {name: str(shutil.which(name)) for name in programs}
    words = found | {"folder": str(folder), "late": str(late_seconds)}
    for path, text in (
        ("desk/sbatch", SBATCH),
        ("jobs/sbatch", SBATCH),
        ("jobs/scontrol", SCONTROL),
        ("launcher", LAUNCHER),
    ):
        (folder / path).write_text(text.format(**words), encoding="utf-8")
        (folder / path).chmod(0o755)
    for name in TOOLS:
        (folder / "jobs" / name).symlink_to(found[name])


def live_through(line: Line, *, away_seconds: float) -> list[str]:
    """Submit; stop the training while its port is taken and the controller goes away; wait.

    Return what is wrong at the end.
    """
    line.submit()
    train = job_ids(line.chain)["train"]
    nodes = len(line.cluster.run("sinfo", "-h", "-N", "-p", "batch").splitlines())
    with taken_port(20_000 + int(train) % 10_000):
        line.wait_for_step(5, seconds=600)
        line.cluster.run("scancel", "--batch", "--signal=USR1", train)
        time.sleep(0.3)  # for the controller to pass the signal on
        line.cluster.control("kill-slurmctld")
        wait_for(lambda: "Unable to contact slurm controller" in line.log("train"), seconds=180)
        time.sleep(away_seconds)
        line.cluster.control("up", str(nodes))
        state = line.wait_until_over(seconds=600).state
    problems = [] if state == "COMPLETED" else [f"release is {state}"]
    ends = [event.outcome for event in line.events("train") if event.event == "end"]
    if ends != ["stopped", "done"]:
        problems.append(f"attempts of train ended {ends}")
    forbidden = line.chain.requeue == "forbidden"
    sent = [submission.name for submission in read_submissions(line.chain)]
    if sorted(sent) != sorted(["prepare", "train", "evaluate", "release"] + ["train"] * forbidden):
        problems.append(f"submitted: {sent}")
    try:
        wait_for(lambda: not line.cluster.run("squeue", "-h"), seconds=60)
    except AssertionError:
        problems.append(f"left in the queue: {line.cluster.run('squeue', '-h')}")
    if FAILING_LINE not in line.finetune("status").stdout:
        problems.append("status does not name the failed line of the setup")
    return [*problems, *([line.log("train")[-3000:]] if problems else [])]


@contextmanager
def taken_port(number: int) -> Iterator[None]:
    """Keep a port of this machine busy."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("", number))
        other.listen()
        yield
