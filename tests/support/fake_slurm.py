"""Slurm's commands as short shell scripts: jobs are noted in a folder, and none ever runs."""

from __future__ import annotations

import os
from pathlib import Path

NOTE = """\
#!/bin/sh
{ printf '%s\\037' "${0##*/}" "$@"; echo; } >>"${0%/*}/calls"
if [ -f "$0.refusal" ]; then
    { read -r pattern; read -r answer; } <"$0.refusal"
    case "$*" in $pattern) echo "$answer" >&2; exit 1 ;; esac
fi
"""
SBATCH = """\
case "$*" in *--test-only*) exit 0 ;; esac
for script; do :; done
number=1
while ! mkdir "$FAKE_QUEUE/$number" 2>/dev/null; do number=$((number + 1)); done
echo PENDING >"$FAKE_QUEUE/$number/state"
echo "$(pwd)/${script#"$(pwd)"/}" >"$FAKE_QUEUE/$number/script"
echo "$number"
"""
SQUEUE = """\
for job in "$FAKE_QUEUE"/*; do
    [ -f "$job/script" ] && grep -q PENDING "$job/state" && echo "${job##*/}|$(cat "$job/script")"
done
exit 0
"""
SCONTROL = """\
[ "$1" = --version ] && echo "slurm 23.11.4" && exit 0
show() {
    job="$FAKE_QUEUE/$1"
    [ -f "$job/record" ] && cat "$job/record" && return
    [ -f "$job/script" ] || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }
    echo "JobId=$1 JobName=x JobState=$(cat "$job/state") Reason=None ExitCode=0:0 Restarts=0" \\
        "Command=$(cat "$job/script")"
}
for number; do :; done
[ "$number" = -o ] || { show "$number"; exit; }
for all in "$FAKE_QUEUE"/*; do
    [ -d "$all" ] && show "${all##*/}"
done
exit 0
"""
SCANCEL = """\
for id; do
    number=${id%%_*}
    [ -d "$FAKE_QUEUE/$number" ] && echo CANCELLED >"$FAKE_QUEUE/$number/state"
done
exit 0
"""
PROGRAMS = {"sbatch": SBATCH, "squeue": SQUEUE, "scontrol": SCONTROL, "scancel": SCANCEL}


class FakeSlurm:
    """The commands in a folder, and the queue that they share; `environment()` makes them found."""

    def __init__(self, folder: Path) -> None:
        """Write the commands into `folder`, which is made."""
        self.programs, self.queue = folder / "programs", folder / "queue"
        self.queue.mkdir(parents=True)
        write_programs(self.programs)

    def environment(self) -> dict[str, str]:
        """Return the variables with which the commands are found, and find their queue."""
        return environment(self.programs, self.queue)

    def wraps(self, program: str, text: str) -> None:
        """Let a site's wrapper stand before a command, which it finds as `$REAL`."""
        path = self.programs / program
        path.rename(path.with_suffix(".real"))
        path.write_text(
            f"#!/bin/bash\nREAL={path.with_suffix('.real')}\n{text}\n", encoding="utf-8"
        )
        path.chmod(0o755)

    def knows(self, job: str, record: str) -> None:
        """Let `scontrol show job` print a record about a job."""
        (self.queue / job).mkdir(exist_ok=True)
        (self.queue / job / "record").write_text(record, encoding="utf-8")

    def forgets(self, job: str) -> None:
        """Take back what `knows` said about a job."""
        (self.queue / job / "record").unlink()

    def refuses(self, program: str, answer: str, *, arguments: str = "*") -> None:
        """Let a command fail with an answer if its arguments match a pattern of the shell."""
        refusal = self.programs / f"{program}.refusal"
        refusal.write_text(f"{arguments}\n{answer}\n", encoding="utf-8")

    def calls(self) -> list[tuple[str, ...]]:
        """Return every command with its arguments, in the order of their starts."""
        noted = self.programs / "calls"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        return [tuple(line.split("\037")[:-1]) for line in lines]


def write_programs(folder: Path) -> None:
    """Write the commands into a folder that is to stand first in PATH."""
    folder.mkdir()
    for name, text in PROGRAMS.items():
        path = folder / name
        path.write_text(NOTE + text, encoding="utf-8")
        path.chmod(0o755)


def environment(programs: Path, queue: Path) -> dict[str, str]:
    """Return the variables with which the commands are found, and find their queue."""
    queue.mkdir(parents=True, exist_ok=True)
    return {"PATH": f"{programs}:{os.environ['PATH']}", "FAKE_QUEUE": str(queue)}


def queued(queue: Path) -> dict[str, Path]:
    """Return the script of each job that waits, by its number."""
    return {
        job.name: Path((job / "script").read_text().strip())
        for job in sorted(queue.iterdir(), key=lambda path: int(path.name))
        if (job / "state").read_text().strip() == "PENDING"
    }
