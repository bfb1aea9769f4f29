"""The script for other schedulers under bash: signals, exit codes, time limit, several ranks.

`finetune` is a program that answers from files and works until it is asked to stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.job.batch_script import Work
from finetune.cluster.job.plain_script import header_lines, plain_script_of
from finetune.errors import RecipeError
from finetune.spec.load import validate
from finetune.spec.site import Site
from finetune.spec.yaml_file import Document
from tests.cluster.waiting import wait_for

FAKE = """\
#!/bin/bash
if [ "$1" = attempt ]; then
  answer=$(head -n 1 "$FAKE/$2")
  if [ "$(wc -l <"$FAKE/$2")" -gt 1 ]; then sed -i 1d "$FAKE/$2"; fi
  echo "$*" >>"$FAKE/asked"
  printf 'finetune-answer: %s\\n' "$answer"
  exit
fi
rank=${RANK-0}
trap 'echo "stopped $rank" >>"$FAKE/seen"; exit 0' USR1
echo "begun $rank of ${WORLD_SIZE-1}" >>"$FAKE/seen"
if [ -f "$FAKE/fails-$rank" ]; then exit 9; fi
if [ -f "$FAKE/ends" ]; then exit 0; fi
while :; do sleep 0.1; done
"""


@dataclass
class Job:
    """A script in a folder, and the processes that run it."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, *, start: str = "go a#1", end: str = "again", **changes: object) -> None:
        """Write the script of a site, and what `finetune attempt` answers, a line per call."""
        values = {"name": "here", "description": "x", "scheduler": "none", **changes}
        values |= {"command": ["/bin/bash", str(self.folder / "fake.sh")]}
        site = validate(Site, values, Document(values=values, places={}, source="site.yaml"))
        job = ChainJob("run", ("train",), "scripts/run.sh", "logs/run-%j.log")
        chain = Chain(
            folder=self.folder,
            id="tiny-1",
            recipe="project/recipe.json",
            site="here",
            created="",
            store="store",
            jobs=(job,),
            max_restarts=3,
            scheduler="none",
        )
        text = plain_script_of(
            job, Work("run", ("train", "x"), tuple(values["command"])), chain=chain, site=site
        )
        (self.folder / "scripts").mkdir(exist_ok=True)
        (self.folder / "scripts/run.sh").write_text(text)
        (self.folder / "fake.sh").write_text(FAKE)
        (self.folder / "start").write_text(start + "\n")
        (self.folder / "end").write_text(end + "\n")

    def begin(self, **variables: str) -> subprocess.Popen[str]:
        """Start the script as a scheduler does: a group of processes of its own."""
        process = subprocess.Popen(
            ["/bin/bash", str(self.folder / "scripts/run.sh")],
            env={"PATH": os.environ["PATH"], "FAKE": str(self.folder), **variables},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def read(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, line: str, *, times: int = 1) -> None:
        wait_for(lambda: self.read("seen").count(line) >= times, said=self.log)

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("logs/*"))


@pytest.fixture
def job(tmp_path) -> Iterator[Job]:
    job = Job(tmp_path)
    yield job
    for process in job.started:
        with_group = process.poll() is None
        if with_group:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGTERM", "SIGINT"])
def test_a_stop_signal_saves_and_asks_to_be_started_again(job, name):
    """Whatever signal a scheduler sends, ranks get USR1 and the exit code is 75."""
    job.write(train={"ranks_per_node": 2})
    process = job.begin()
    job.wait_for("begun 0 of 2")
    job.wait_for("begun 1 of 2")
    process.send_signal(signal.Signals[name])
    assert process.wait(30) == 75, job.log()
    assert {"stopped 0", "stopped 1"} <= set(job.read("seen"))
    given = "TERM" if name in ("SIGTERM", "SIGINT") else "USR1"
    assert f"--exit-code 0 --signal {given} " in job.read("asked")[-1]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGINT"])
def test_a_signal_to_every_process_is_the_same(job, name):
    """Some schedulers signal the whole group: no rank dies of it before it has saved."""
    job.write()
    process = job.begin()
    job.wait_for("begun 0 of 1")
    os.killpg(process.pid, signal.Signals[name])
    assert process.wait(30) == 75, job.log()
    assert "stopped 0" in job.read("seen")


def test_it_stops_before_its_time_limit_and_submits_itself_once(job):
    """Without any signal; the next job has the id of this one, so that its attempts are counted."""
    resubmit = 'echo "$script" >>"$FAKE/submitted"'
    job.write(train={"time_limit": "0:06"}, grace_seconds=1, resubmit=resubmit)
    assert job.begin(PBS_JOBID="17.server").wait(60) == 75, job.log()
    assert job.read("submitted") == [str(job.folder / "scripts/run.sh")]
    job.write(start="done")
    assert job.begin(PBS_JOBID="18.server").wait(30) == 0
    assert "--job-id 17.server" in job.read("asked")[-1]
    assert job.begin(PBS_JOBID="19.server").wait(30) == 0
    assert "--job-id 19.server" in job.read("asked")[-1]


def test_a_cancelled_job_does_not_submit_itself(job):
    """TERM is a scheduler's or a person's end of the job."""
    job.write(resubmit='echo "$script" >>"$FAKE/submitted"')
    process = job.begin()
    job.wait_for("begun 0 of 1")
    process.terminate()
    assert process.wait(30) == 75
    assert not job.read("submitted")


def test_a_crash_is_tried_again_in_the_same_job(job):
    """As often as `finetune attempt` says; then the job fails with exit code 1."""
    job.write(start="go a#1", end="again\nagain\nfail")
    (job.folder / "fails-0").touch()
    process = job.begin()
    assert process.wait(30) == 1, job.log()
    assert job.read("seen") == ["begun 0 of 1"] * 3
    restarts = [line.split("--restart ")[1] for line in job.read("asked") if " end " in line]
    assert restarts == ["0", "1", "2"]


def test_a_failed_rank_ends_the_others(job):
    """Ranks that would wait for it in a collective are ended, and its exit code counts."""
    job.write(train={"ranks_per_node": 3}, end="fail")
    (job.folder / "fails-1").touch()
    process = job.begin()
    assert process.wait(60) == 1, job.log()
    assert "--ranks 3 --exit-code " in job.read("asked")[-1]
    assert "--exit-code 0" not in job.read("asked")[-1]


def test_what_is_done_ends_with_zero(job):
    """At the start, and at the end."""
    job.write(start="done")
    assert job.begin().wait(30) == 0
    job.write(end="done")
    (job.folder / "ends").touch()
    assert job.begin().wait(30) == 0
    assert job.log()


def test_an_answer_that_is_none_is_a_failure(job):
    """A launcher that fails leaves no answer: the exit code is 1 and the log says so."""
    job.write(start="?")
    assert job.begin().wait(30) == 1
    assert "gave no answer" in job.log()


def test_header_lines_stand_first(job, tmp_path):
    """In their order, below the shebang; commands are refused with their line."""
    path = tmp_path / "header"
    path.write_text("#!/bin/sh\n#PBS -l walltime=24:00:00\n\n#PBS -q gpu\n")
    lines = header_lines(path)
    job.write(header=lines)
    assert job.read("scripts/run.sh")[:3] == ["#!/bin/bash", *lines]
    path.write_text("#PBS -q gpu\nmodule load cuda\n")
    with pytest.raises(RecipeError) as refused:
        header_lines(path)
    (found,) = refused.value.problems
    assert found.code == "not-a-header-line"
    assert found.place is not None
    assert found.place.line == 2
