"""Tables of verbs in which one of them fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from finetune.verbs import VERBS, Verb


@dataclass(frozen=True, slots=True)
class _Failing(Verb):
    error: Exception | None = None

    def module(self) -> Any:
        def run(*_: object) -> int:
            assert self.error is not None
            raise self.error

        return SimpleNamespace(run=run)


def failing(name: str, error: Exception) -> Mapping[str, Verb]:
    """Return the table of verbs with one that raises an error when it is run."""
    return {**VERBS, name: _Failing(name, VERBS[name].group, VERBS[name].help, error=error)}
