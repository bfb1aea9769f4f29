"""Renamed keys of recipes and sites; the old names are read for one release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from finetune.errors import RecipeError, shortened
from finetune.messages import Place, Problem, problem
from finetune.output.terminal import PlainWarning
from finetune.spec.yaml_file import Document, Path_, shown, typed_place

RECIPE: Mapping[str, str] = {
    "mix": "mixture",
    "mixture.stages": "curriculum",
    "phases.mix": "mixture",
    "phases.mixture.stages": "curriculum",
    "phases.train.patience": "early_stopping_patience",
    "lora.plus_ratio": "loraplus_lr_ratio",
    "lora.targets": "target_modules",
    "train.patience": "early_stopping_patience",
    "evaluate.generate_max_tokens": "max_new_tokens",
    "run.micro_batch_rows": "micro_batch_size",
}
"""Old key of a recipe (its sections by their new names) -> new name. Read until 0.2."""
SITE: Mapping[str, str] = {}
"""The same for sites: every key there already has the name that Slurm or its users give it."""


class RenamedKeyWarning(PlainWarning):
    """A file or `--set` uses the old name of a key."""


def renamed(path: Path_, names: Mapping[str, str]) -> Path_:
    """Return a path with the new name of each key.

    >>> renamed(("phases", 0, "mix", "stages"), RECIPE)
    ('phases', 0, 'mixture', 'curriculum')
    """
    new: list[str | int] = []
    section = ""
    longest = max(map(len, names), default=0)
    for part in path:
        if isinstance(part, int) or len(section) > longest:
            new.append(part)
            continue
        name = names.get(f"{section}.{part}" if section else part, part)
        section = f"{section}.{name}" if section else name
        new.append(name)
    return tuple(new)


def with_new_names(document: Document, names: Mapping[str, str]) -> Document:
    """Return a document with the new name of each key; warn of every old one.

    Raises RecipeError where the old and the new name of a key are both given.
    """
    old = [path for path in document.places if path and renamed(path, names)[-1] != path[-1]]
    if not old:
        return document
    twice = [path for path in old if (*path[:-1], renamed(path, names)[-1]) in document.places]
    if twice:
        raise RecipeError(*(_twice(document.at(path), renamed(path, names)) for path in twice))
    for path in old:
        warn(document.at(path), renamed(path, names))
    return Document(
        values=_with_new_names(document.values, (), names),
        places={renamed(path, names): place for path, place in document.places.items()},
        source=document.source,
    )


def with_new_key(given: str, names: Mapping[str, str]) -> str:
    """Return `KEY=VALUE` of `--set` with the new name of its key; warn of an old one.

    >>> with_new_key("lora.rank=8", RECIPE)
    'lora.rank=8'
    """
    key, equals, value = given.partition("=")
    path = typed_place(key.strip())
    new = shown(renamed(path, names))
    if new == shown(path):
        return given
    warn(Place(f"--set {shortened(given, most=200)}", key=shown(path)), renamed(path, names))
    return f"{new}{equals}{value}"


def warn(at: Place, new: Path_) -> None:
    """Warn of an old key; `new` is its path today."""
    old_key = problem(
        "old-key",
        "this key is now {new}; the old name is read until the next release",
        at=at,
        new=shown(new),
    )
    warnings.warn(RenamedKeyWarning(old_key), stacklevel=2)


def _twice(at: Place, new: Path_) -> Problem:
    return problem(
        "old-and-new-key",
        "the old name of {new}, which is given too; remove the old one",
        at=at,
        new=shown(new),
    )


def _with_new_names(value: Any, path: Path_, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            renamed((*path, key), names)[-1]: _with_new_names(inner, (*path, key), names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_with_new_names(v, (*path, i), names) for i, v in enumerate(value)]
    return value
