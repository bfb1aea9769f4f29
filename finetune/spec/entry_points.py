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
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from finetune.errors import RecipeError, did_you_mean, first_line

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
        f"{name!r} is none of the {group.removeprefix('finetune.')}: {', '.join(there)}; or the "
        f"package that adds it is not installed{did_you_mean(name, there)}"
    )


def names(group: str, *, known: Mapping[str, str]) -> list[str]:
    """Return every name of a group in order of the alphabet, ours and the installed ones."""
    return sorted({*known, *installed(group)})


def installed(group: str) -> dict[str, str]:
    """Return name -> "module:attribute" of the entry points that installed packages add.

    Raises RecipeError if two packages add one name: which is meant, nobody could say.
    """
    return {name: point.value for name, point in _points(group).items()}


def _points(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other is not point:
            raise RecipeError(
                f"{group}: {point.name!r} is added by {_package(other)} and by {_package(point)}; "
                "uninstall one of them"
            )
    return found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"


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
    return name if name in known else f"{name} of {_package(_points(group)[name])}"


def loaded(name: str, target: str, *, group: str) -> Any:
    """Return what an entry point names; RecipeError if its package cannot be imported.

    Whatever the package raises while it is imported, SystemExit too, is said with its name.
    """
    if ":" not in target:
        raise RecipeError(
            f"{group}: {name!r} of an installed package is {target!r}, not module:attribute; tell "
            "its authors"
        )
    try:
        return load(target)
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"{group}: {name!r} of an installed package cannot be imported ({target}: "
            f"{type(error).__name__}: {first_line(error)}); install it again, or tell its authors"
        ) from error


def described(name: str, kind: type[Row], *, group: str, known: Mapping[str, str]) -> Row:
    """Return the descriptor of a name: an object of `kind` whose `name` it is.

    Raises RecipeError if there is none, or if what a package names is something else.
    """
    target = find(name, group=group, known=known)
    found = loaded(name, target, group=group)
    if not isinstance(found, kind) or getattr(found, "name", None) != name:
        raise RecipeError(
            f"{group}: {name} = {target!r} is no {kind.__module__}.{kind.__name__} with the name "
            f"{name!r}; tell the authors of the package"
        )
    return found
