"""A job's script at its edges: each runs under bash with Slurm and finetune as short programs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import AttemptEvent, Chain, ChainJob
from finetune.cluster.chain.notes import Notes, noted_end, parse_notes
from finetune.cluster.job.batch_script import Work, script_of
from finetune.spec.load import validate
from finetune.spec.site import Site
from finetune.spec.yaml_file import Document

FINETUNE = """\
#!/bin/bash
echo "finetune $*" >>"$CALLS"
case "$1 $2" in
  "attempt start") answer=${START:-go hausa-1/train#1} ;;
  "attempt end") answer=${END:-done} ;;
  "attempt continued") answer="31=40:41 32=40" ;;
  *) eval "$WORK"; exit ;;
esac
while [ "$1" != --mark ]; do shift; done
printf '\\n%s%s\\n' "$2" "$answer"
"""
SRUN = '#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n'
SLURM = """\
#!/bin/bash
name=${0##*/}
echo "$name $*" >>"$CALLS"
left=$(cat "$0.fails" 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
  echo $((left - 1)) >"$0.fails"
  echo "slurm_$name error: ${FAILURE:-Unable to contact slurm controller (connect failure)}" >&2
  if [ -n "$HEARD" ]; then echo 77 >"$0.heard"; fi
  exit 1
fi
case $name in
  squeue) cat "${0%/*}/sbatch.heard" 2>/dev/null ;;
  sbatch) printf 'Dear user\\n40;here\\n1234 SU are left.\\n' ;;
  scontrol) case $1 in show) echo "JobId=7 JobState=RUNNING" ;; esac ;;
esac
exit 0
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """End of a script."""

    code: int
    log: str
    calls: tuple[str, ...]
    notes: Notes


class Desk:
    """A folder with a chain, Slurm's commands and finetune."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.programs = folder / "chain", folder / "programs"
        (self.chain / "attempts").mkdir(parents=True)
        self.programs.mkdir()
        for name in ("squeue", "sbatch", "scontrol"):
            self.program(name, SLURM)
        self.program("srun", SRUN)
        self.program("finetune", FINETUNE)
        self.program("sleep", '#!/bin/bash\nexec /bin/sleep "0.0$1"\n')

    def program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def fails(self, name: str, *, times: int) -> None:
        """Let a command of Slurm fail a number of times."""
        (self.programs / f"{name}.fails").write_text(str(times), encoding="utf-8")

    def script(self, *, requeue: str = "allowed", **changes: object) -> Path:
        values = {"name": "here", "description": "A cluster.", **changes}
        site = validate(Site, values, Document(values=values, places={}, source="here.yaml"))
        job = ChainJob("train", ("train",), "scripts/train.sh", "logs/train-%j.log")
        chain = Chain(
            folder=self.chain,
            id="hausa-1",
            recipe="project/recipe.json",
            site="here",
            created="2026-11-25T00:00:00+00:00",
            store=str(self.chain.parent),
            jobs=(job,),
            max_restarts=3,
            requeue=requeue,  # type: ignore[arg-type]
        )
        work = Work("train", ("train", "recipe.json"), (str(self.programs / "finetune"),))
        path = self.chain / "train.sh"
        path.write_text(script_of(job, work, chain=chain, site=site), encoding="utf-8")
        return path

    def start(self, script: Path, **variables: str) -> subprocess.Popen[str]:
        slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node1", "SQUEUE_FORMAT": "x"}
        path = f"{self.programs}:{os.environ['PATH']}"
        own = {"PATH": path, "CALLS": str(self.chain / "calls")}
        return subprocess.Popen(
            ["/bin/bash", str(script)],
            env=own | slurm | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        log, _ = process.communicate(timeout=120)
        calls = self.chain / "calls"
        notes = self.chain / "attempts/train-7-0.txt"
        return Ended(
            code=process.returncode,
            log=log,
            calls=tuple(calls.read_text("utf-8").splitlines()) if calls.exists() else (),
            notes=parse_notes(notes.read_text("utf-8")) if notes.exists() else Notes(),
        )

    def run(self, script: Path, **variables: str) -> Ended:
        return self.ended(self.start(script, **variables))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk in the test's folder."""
    return Desk(tmp_path)


def commands(ended: Ended, name: str) -> list[str]:
    """Return the calls of a program, without the arguments that name files."""
    return [re.sub(r" --chain.*", "", call) for call in ended.calls if call.startswith(name)]


BANNERS = {
    "lines": 'echo "Welcome"; echo; "$@"; code=$?; echo "Bye"; exit $code',
    "without newlines": 'printf "INFO: converting"; "$@"; code=$?; printf "done."; exit $code',
    "an answer of its own": 'echo done; "$@"; code=$?; echo again; exit $code',
}


@pytest.mark.parametrize("banner", BANNERS)
def test_a_launcher_may_print_before_and_after(desk, banner):
    """Only the marked line is the answer; what else was printed is in the log and noted."""
    launcher = desk.program("launcher", f"#!/bin/bash\n{BANNERS[banner]}\n")
    ended = desk.run(desk.script(launcher=[str(launcher)]), WORK="exit 0")
    assert (ended.code, ended.notes.no_answer) == (0, ""), ended.log
    assert len(commands(ended, "finetune train")) == 1
    assert ended.notes.printed
    assert all(word in ended.log for text in ended.notes.printed for word in text.split())


@pytest.mark.parametrize("event", ["start", "end"])
def test_an_answer_that_cannot_be_read_ends_the_job_with_a_reason(desk, event):
    """The log has the other output; the notes name the question and the exit code."""
    broken = f'#!/bin/bash\n[ "$3" = {event} ] && echo "no such image" && exit 5\nexec "$@"\n'
    launcher = desk.program("launcher", broken)
    ended = desk.run(desk.script(launcher=[str(launcher)]), WORK="exit 0")
    assert ended.code == 1
    assert "no such image" in ended.log
    assert ended.notes.why_ended == (
        f"`finetune attempt {event}` gave no answer (exit code 5); see its log"
    )


SETUPS = {
    "shell options": ["set -euo pipefail", "set -fC", "IFS=,", "shopt -s nullglob"],
    "traps": ["trap - USR1 TERM", "trap '' SIGUSR1", "trap 'exit 9' 15", "trap - ERR EXIT"],
    "a sourced script": ["source {script}"],
}


@pytest.mark.parametrize("setup", SETUPS)
def test_a_set_up_may_change_options_and_traps(desk, setup):
    """A rank that was killed still leads to the question what to do, and a stop signal works."""
    script = desk.chain / "activate.sh"
    script.write_text("set -eu\nset -o pipefail\ntrap - USR1 TERM\nfalse || true\n")
    lines = [line.format(script=script) for line in SETUPS[setup]]
    path = desk.script(setup=lines)
    ended = desk.run(path, WORK="kill -KILL $$", END="fail")
    assert ended.code == 1
    assert "--exit-code 137" in commands(ended, "finetune attempt end")[0]
    assert not ended.notes.failed_setup
    process = desk.start(path, WORK="trap 'exit 75' USR1; touch ready; sleep 9999 & wait")
    wait_for(desk.chain / "ready")
    process.send_signal(signal.SIGUSR1)
    ended = desk.ended(process)
    assert "--exit-code 75 --signal USR1" in commands(ended, "finetune attempt end")[-1]


def wait_for(path: Path) -> None:
    last = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < last, f"no {path.name}"
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGUSR1, signal.SIGTERM])
def test_a_stop_signal_during_the_set_up_is_not_lost(desk, sent):
    """The traps are reset before it comes: the job starts no work, and asks what to do."""
    lines = ["trap - USR1 TERM", f"touch {desk.chain}/ready", "/bin/sleep 1"]
    process = desk.start(desk.script(setup=lines), WORK="exit 0", END="again")
    wait_for(desk.chain / "ready")
    process.send_signal(sent)
    ended = desk.ended(process)
    assert ended.code == 75
    assert commands(ended, "finetune train") == []
    signal_name = sent.name.removeprefix("SIG")
    assert f"--exit-code 75 --signal {signal_name}" in commands(ended, "finetune attempt end")[0]
    assert commands(ended, "scontrol requeue") == ["scontrol requeue 7"]


def test_set_up_lines_that_fail_are_noted(desk):
    """The job goes on, as a shell does; each line is in the log and the notes, with its code."""
    lines = ["no-such-module load x", "false && true", "test -e ./nothing", "true", "(exit 3)"]
    ended = desk.run(desk.script(setup=lines), WORK="exit 0")
    assert ended.code == 0
    failed = ("no-such-module load x: exit code 127", "test -e ./nothing: exit code 1")
    assert ended.notes.failed_setup[:2] == failed
    assert ended.notes.failed_setup[2].endswith("exit code 3")
    assert f"setup: {failed[0]}" in ended.log


@pytest.mark.parametrize(
    "line", ["no-such-module || exit 1", "set -e; no-such-module", "set -u; $X"]
)
def test_a_set_up_that_ends_the_job_says_so(desk, line):
    """A required line, as a shell writes it, ends the job before its work, with the reason."""
    ended = desk.run(desk.script(setup=[line]), WORK="exit 0")
    assert ended.code != 0
    assert commands(ended, "finetune") == []
    assert ended.notes.why_ended.startswith("the setup of the site ended the job")


def test_every_command_of_slurm_is_repeated(desk, tmp_path):
    """Each fails twice: the job is requeued once, and what the controller said is in the log."""
    desk.fails("scontrol", times=2)
    ended = desk.run(desk.script(), WORK="exit 0", END="again")
    assert ended.code == 75
    assert commands(ended, "scontrol show") == ["scontrol show job -o 7"] * 3
    assert "--slurm JobId=7 JobState=RUNNING" in commands(ended, "finetune attempt end")[0]
    assert ended.log.count("Unable to contact slurm controller") == 2
    for left in range(3):
        desk.fails("sbatch", times=left)
        desk.fails("squeue", times=left)
        (desk.chain / "calls").unlink()
        ended = desk.run(desk.script(requeue="forbidden"), WORK="exit 0", END="again")
        assert ended.code == 0, ended.log
        assert "--next 40 " in next(call for call in ended.calls if "continued" in call)
        assert commands(ended, "scontrol update") == [
            "scontrol update JobId=31 Dependency=afterok:40:41",
            "scontrol update JobId=32 Dependency=afterok:40",
        ]


def test_a_continuation_that_was_heard_is_not_submitted_twice(desk):
    """sbatch fails although Slurm took the job: it is found in the queue by its name."""
    desk.fails("sbatch", times=1)
    ended = desk.run(desk.script(requeue="forbidden"), WORK="exit 0", END="again", HEARD="yes")
    assert ended.code == 0
    assert len(commands(ended, "sbatch")) == 1
    assert "--next 77 " in next(call for call in ended.calls if "continued" in call)


def test_dependents_are_not_let_go_when_they_could_not_be_moved(desk):
    """finetune fails when asked who waits: the job fails, so that nothing starts without input."""
    broken = '#!/bin/bash\n[ "$3" = continued ] && exit 5\nexec "$@"\n'
    launcher = desk.program("launcher", broken)
    path = desk.script(requeue="forbidden", launcher=[str(launcher)])
    ended = desk.run(path, WORK="exit 0", END="again")
    assert ended.code == 1
    assert ended.notes.no_answer == "attempt continued, exit code 5"


def test_a_refusal_for_good_is_not_repeated(desk):
    """A site that forbids requeueing is not asked for ten minutes."""
    desk.fails("scontrol", times=99)
    ended = desk.run(
        desk.script(),
        WORK="exit 0",
        END="again",
        FAILURE="Requested operation is presently disabled",
    )
    assert ended.code == 75
    assert len(commands(ended, "scontrol")) == 2
    assert "presently disabled" in ended.log


def test_ranks_get_the_environment_of_the_job(desk):
    """Also where a site has --export=NONE, and without bash in PATH."""
    path = desk.script(train={"ranks_per_node": 2})
    shown = 'echo "ranks: $SLURM_EXPORT_ENV $FINETUNE_RENDEZVOUS"'
    ended = desk.run(path, WORK=shown, SLURM_EXPORT_ENV="NONE")
    assert f"ranks: ALL {desk.chain}/attempts/train-7-0/rendezvous.json" in ended.log
    text = path.read_text("utf-8")
    assert not re.search(r"(?<!/bin/)\bbash -c", text)


def test_a_login_shell_is_asked_for(desk):
    """`shell: login` reads the profile; the default does not."""
    assert desk.script(shell="login").read_text("utf-8").startswith("#!/bin/bash -l\n#SBATCH")
    assert desk.script().read_text("utf-8").startswith("#!/bin/bash\n#SBATCH")


def test_an_attempt_after_a_recorded_one_counts(desk):
    """Notes of an earlier attempt do not explain the end of a later one."""

    notes = replace(parse_notes("begun\n"), restart=1)
    end = AttemptEvent(event="end", time="", job_id="7", restart=0)
    assert noted_end(notes, end) == noted_end(notes, None) == notes.why_ended
    assert noted_end(notes, replace(end, restart=1)) == ""
