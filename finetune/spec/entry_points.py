"""What can be added without touching the core, by name; nothing is imported until it is used.

A name of ours stands in a table as "module:attribute". A package outside adds one with an entry
point of the same group (`finetune.readers`, `finetune.metrics`, `finetune.tasks`,
`finetune.exports`):

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:READER"

The installed entry points are looked through only for a name that is not ours: that takes longer
than the rest of a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from finetune.errors import RecipeError, did_you_mean

Row = TypeVar("Row")


def find(name: str, *, group: str, known: Mapping[str, str]) -> str:
    """Return the "module:attribute" of a name: ours first, then installed entry points.

    Raises RecipeError with the nearest name if there is none.

    >>> find("text", group="finetune.readers", known={"text": "finetune.readers.tables:read_text"})
    'finetune.readers.tables:read_text'
    """
    if name in known:
        return known[name]
    others = installed(group)
    if name in others:
        return others[name]
    there = names(group, known=known)
    raise RecipeError(
        f"{name!r} is none of the {group.removeprefix('finetune.')}: {', '.join(there)}"
        f"{did_you_mean(name, there)}"
    )


def names(group: str, *, known: Mapping[str, str]) -> list[str]:
    """Return every name of a group in order of the alphabet, ours and the installed ones."""
    return sorted({*known, *installed(group)})


def installed(group: str) -> dict[str, str]:
    """Return name -> "module:attribute" of the entry points that installed packages add."""
    return {point.name: point.value for point in entry_points(group=group)}


def load(target: str) -> Any:
    """Import what "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def origin(name: str, *, group: str, known: Mapping[str, str]) -> str:
    """Return what a name is the name of, for a key: itself, or with package and version.

    A name of ours stands for itself, since the version of a stage says when its meaning changes.
    Raises RecipeError if there is none.
    """
    find(name, group=group, known=known)
    points = () if name in known else entry_points(group=group, name=name)
    for point in points:
        if point.dist is not None:
            return f"{name} of {point.dist.name} {point.dist.version}"
    return name


def described(name: str, kind: type[Row], *, group: str, known: Mapping[str, str]) -> Row:
    """Return the descriptor of a name: an object of `kind` whose `name` it is.

    Raises RecipeError if there is none, or if what a package names is something else.
    """
    target = find(name, group=group, known=known)
    try:
        found = load(target)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{group}: {name} = {target!r} cannot be imported: {error}") from error
    if not isinstance(found, kind) or getattr(found, "name", None) != name:
        raise RecipeError(
            f"{group}: {name} = {target!r} is no {kind.__module__}.{kind.__name__} with the name "
            f"{name!r}; tell the authors of the package"
        )
    return found
