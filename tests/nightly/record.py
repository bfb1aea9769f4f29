"""The record of a nightly run: `docs/why/reliability.json`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetune.output.durable import replace_text

SCHEMA = 1
KEPT_FAILURES = 50
"""Failures of a part that are written down; the others are only counted."""
ROOT = Path(__file__).parents[2]


class Failure(BaseModel):
    """A trial that something was wrong after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    count: int
    """`python -m tests.nightly --only PART --seed SEED --count COUNT` repeats it."""
    case: str
    problems: tuple[str, ...]


class Outcome(BaseModel):
    """Findings of a part."""

    model_config = ConfigDict(extra="forbid")

    name: str
    about: str
    seed: int
    commit: str
    start: str
    end: str
    tried: int = 0
    survived: int = 0
    cpu_seconds: float = 0.0
    asked: int
    """Number of planned cases; fewer were tried if the run was stopped."""
    failures: list[Failure] = Field(default_factory=list)


class Record(BaseModel):
    """All parts; each says itself when, on which commit and from which seed it ran."""

    model_config = ConfigDict(extra="forbid")

    format: int = SCHEMA
    parts: dict[str, Outcome] = Field(default_factory=dict)


def read_record(path: Path) -> Record:
    """Return what a file holds, or an empty record if there is none."""
    if not path.exists():
        return Record()
    return Record.model_validate_json(path.read_text(encoding="utf-8"))


def write_record(record: Record, path: Path) -> None:
    """Replace the file in one step."""
    replace_text(path, record.model_dump_json(indent=1) + "\n")


def commit() -> str:
    """Return the commit that is tried; `+` behind it if files were changed since."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!docs/why/reliability.*")
    return git("rev-parse", "--short=12", "HEAD") + "+" * bool(changed)
