"""The command that removes an artefact, for messages about a damaged one."""

from __future__ import annotations

import shlex
from pathlib import Path

from finetune.messages import Sentence, sentence


def how_to_remake(path: Path) -> Sentence:
    """Return the remedy for a damaged artefact at `path` (`STORE/STAGE/KEY`)."""
    return sentence("make it again: {command}, then the same command", command=removal(path))


def removal(path: Path) -> str:
    """Return the command that removes the artefact at `path`."""
    store = shlex.quote(str(path.parents[1]))
    return (
        f"finetune runs --store {store} --remove {shlex.quote(f'{path.parent.name}/{path.name}')}"
    )
