"""Notes of a batch script: what happened around finetune, written by the shell itself.

One text file per attempt, `attempts/NAME-JOB ID-RESTART.txt`, so that a reason is kept also where
no Python could be started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from finetune.cluster.chain.chain import AttemptEvent, Chain
from finetune.output.digits import whole_number

_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes of one attempt."""

    restart: int = -1
    """Restarts of the job by Slurm before this attempt; -1 without notes."""
    failed_setup: tuple[str, ...] = ()
    """`COMMAND: exit code N` of each set-up line that failed."""
    kept: tuple[str, ...] = ()
    """Commands of the set-up that tried to change the traps of the stop signals."""
    options: str = ""
    """Options of the shell after the set-up (`SHELLOPTS`), if it changed them."""
    printed: tuple[str, ...] = ()
    """Texts that the launcher prints beside an answer."""
    no_answer: str = ""
    """The question that finetune did not answer, with its exit code."""
    in_setup: bool = False
    """True if the set-up began and did not end."""

    @property
    def why_ended(self) -> str:
        """Return why the job ended without a record; empty if the notes do not tell."""
        if self.no_answer:
            question, _, code = self.no_answer.partition(", ")
            return f"`finetune {question}` gave no answer ({code}); see its log"
        if not self.in_setup:
            return ""
        last = f", after `{self.failed_setup[-1]}`" if self.failed_setup else ""
        return f"the setup of the site ended the job{last}; see its log"


def noted_end(notes: Notes, last: AttemptEvent | None) -> str:
    """Return the reason in the notes of an attempt that has no record of its end, else nothing.

    `last`: the newest record of the job, perhaps of an attempt before.
    """
    recorded = last is not None and last.event == "end" and last.restart >= notes.restart
    return "" if recorded else notes.why_ended


def notes_of(chain: Chain, name: str, job_id: str | None) -> Notes:
    """Return the notes of the newest attempt of a job."""
    label = chain.job(name).script_label
    paths = list((chain.folder / "attempts").glob(f"{label}-{job_id}-*.txt"))
    if not paths:
        return Notes()
    newest = max(paths, key=lambda path: (len(path.name), path.name))
    restart = whole_number(newest.stem.rpartition("-")[2])
    try:
        with newest.open(encoding="utf-8", errors="replace") as file:
            notes = parse_notes(file.read(_MOST_BYTES))
    except OSError:
        return Notes()
    return replace(notes, restart=-1 if restart is None else restart)


def parse_notes(text: str) -> Notes:
    """Parse the notes of an attempt.

    >>> parse_notes("begun\\nfailed: module load x: exit code 1\\n").why_ended
    'the setup of the site ended the job, after `module load x: exit code 1`; see its log'
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(": ")
        found.setdefault(word, []).append(rest)
    return Notes(
        failed_setup=tuple(dict.fromkeys(found.get("failed", ()))),
        kept=tuple(dict.fromkeys(found.get("kept", ()))),
        options=found.get("options", [""])[-1],
        printed=tuple(dict.fromkeys(found.get("printed", ()))),
        no_answer=found.get("no answer", [""])[-1],
        in_setup="begun" in found and "ended" not in found,
    )


def setup_notices(chain: Chain, ids: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return one warning per set-up line that failed, with the jobs; `ids`: job id by name."""
    jobs: dict[str, list[str]] = {}
    for name in names:
        for line in notes_of(chain, name, ids.get(name)).failed_setup:
            jobs.setdefault(line, []).append(name)
    return [
        f"setup of the site: `{line.rpartition(': ')[0]}` failed ({line.rpartition(': ')[2]}) in "
        f"{', '.join(of)}; correct `setup`, or write `... || exit 1` where jobs must not go on"
        for line, of in jobs.items()
    ]
