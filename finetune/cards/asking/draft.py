"""Answers of an unfinished interview, kept in a file beside the card until it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from finetune.output.durable import write_json
from finetune.output.small_files import UnreadableError, read_bytes


@dataclass(slots=True)
class Draft:
    """Owns the file of the answers; each is on the disk before the next question."""

    path: Path
    answers: dict[str, str] = field(default_factory=dict)
    """Name of a question -> value."""

    def keep(self, name: str, value: str) -> None:
        """Keep an answer, also over a kill; on a disk that cannot be written only until the end."""
        self.keep_all({name: value})

    def keep_all(self, answers: Mapping[str, str]) -> None:
        """Keep several answers in one writing, as `keep`."""
        self.answers |= answers
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self.answers)

    def forget(self, names: tuple[str, ...]) -> None:
        """Forget answers whose names begin so, to ask again."""
        left = {name: value for name, value in self.answers.items() if not name.startswith(names)}
        self.answers = left
        with suppress(OSError):
            write_json(self.path, left)

    def remove(self) -> None:
        """Delete the file; the card has the answers."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def draft_of(cards: Path, name: str) -> Draft:
    """Return the draft of a card; without answers if there is none, or it is damaged."""
    path = cards / f".{name}.draft.json"
    try:
        kept = json.loads(read_bytes(path))
    except (OSError, UnreadableError, ValueError):
        return Draft(path)
    if not isinstance(kept, dict):
        return Draft(path)
    return Draft(path, {str(key): value for key, value in kept.items() if isinstance(value, str)})
