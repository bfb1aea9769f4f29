"""Commands in messages of the program, taken from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from finetune.verbs import VERBS
from tests.support.syntax import tree_of

ROOT = Path(__file__).parents[2]
_FACT = re.compile(r"\{[^{}]*\}")
_END = re.compile(r"[,.:](?:\s|$)| and | or | where | says | with a | with an ")
_COMMAND = re.compile(rf"(?<![\w/-])finetune ({'|'.join(VERBS)})\b([^`;\n«»()]*)")


class Advice(NamedTuple):
    """A command in a message, with `{}` for each fact."""

    file: str
    command: str


@cache
def all_advice() -> tuple[Advice, ...]:
    """Return the commands in strings of the program, without docstrings and help, each once."""
    found = []
    for path in sorted((ROOT / "finetune").rglob("*.py")):
        tree = tree_of(path)
        skipped = _docstrings(tree)
        for text in _texts(tree, skipped):
            for match in _COMMAND.finditer(text):
                words = _END.split(match[2])[0]
                command = _FACT.sub("{}", f"finetune {match[1]}{words}".strip())
                found.append(Advice(path.relative_to(ROOT).as_posix(), " ".join(command.split())))
    return tuple(dict.fromkeys(found))


def _texts(tree: ast.AST, skipped: set[int]) -> Iterator[str]:
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node) if part is not node}
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif id(node) not in inside | skipped and isinstance(node, ast.Constant):
            yield str(node.value)


def _docstrings(tree: ast.AST) -> set[int]:
    """Return the texts that stand alone: docstrings, also those of fields."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
