"""Extensions by name: own tables and entry points of installed packages, imported on use.

A name of ours stands in a table as "module:attribute". A package outside adds one with an entry
point of the same group (`finetune.readers`, `finetune.metrics`, `finetune.tasks`,
`finetune.exports`):

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:READER"

The installed entry points are looked through only for a name that is not ours: that takes longer
than the rest of a check.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from finetune.errors import (
    FinetuneError,
    PackageError,
    RecipeError,
    first_line,
    suggestion,
)
from finetune.messages import Place, Sentence, phrase, problem, sentence

Row = TypeVar("Row")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EIO)


def find(name: str, *, group: str, known: Mapping[str, str]) -> str:
    """Return the "module:attribute" of a name: ours first, then installed entry points.

    Raises RecipeError with the nearest name if there is none.

    >>> find("text", group="finetune.readers", known={"text": "finetune.readers.html:read_html"})
    'finetune.readers.html:read_html'
    """
    if name in known:
        return known[name]
    others = installed(group)
    if name in others:
        return others[name]
    there = names(group, known=known)
    raise RecipeError(
        problem(
            "unknown-extension",
            "{name!r} is none of the {group}: {there}; or the package that adds it is not "
            "installed{hint}",
            name=name,
            group=group.removeprefix("finetune."),
            there=there,
            hint=suggestion(name, there),
        )
    )


def names(group: str, *, known: Mapping[str, str]) -> list[str]:
    """Return every name of a group in order of the alphabet, ours and the installed ones."""
    return sorted({*known, *installed(group)})


def installed(group: str) -> dict[str, str]:
    """Return name -> "module:attribute" of the entry points that installed packages add.

    Raises RecipeError if two packages add the same name.
    """
    return {name: point.value for name, point in _points(group).items()}


def _points(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other is not point:
            raise RecipeError(
                problem(
                    "added-twice",
                    "{name!r} is added by {first} and by {second}; uninstall one of them",
                    at=Place(key=group),
                    name=point.name,
                    first=_package(other),
                    second=_package(point),
                )
            )
    return found


def _package(point: EntryPoint) -> Sentence:
    if point.dist is None:
        return sentence("a package without a name")
    return phrase(f"{point.dist.name} {point.dist.version}")


def load(target: str) -> Any:
    """Import what "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def origin(name: str, *, group: str, known: Mapping[str, str]) -> str:
    """Return what a name is the name of, for a key: itself, or with package and version.

    A name of ours stands for itself, since the version of a stage changes with its meaning.
    Raises RecipeError if there is none.
    """
    find(name, group=group, known=known)
    return name if name in known else f"{name} of {_package(_points(group)[name])}"


def loaded(name: str, target: str, *, group: str) -> Any:
    """Return what an entry point names; RecipeError if its package cannot be imported.

    Whatever the package raises while it is imported, SystemExit too, is reported with its name.
    """
    if ":" not in target:
        raise RecipeError(
            problem(
                "no-attribute",
                "{name!r} of an installed package is {target!r}, not module:attribute; tell its "
                "authors",
                at=Place(key=group),
                name=name,
                target=target,
            )
        )
    try:
        return load(target)
    except (Exception, SystemExit) as error:
        raise RecipeError(
            problem(
                "package-cannot-be-imported",
                "{name!r} of an installed package cannot be imported ({target}: {error}); install "
                "it again, or tell its authors",
                at=Place(key=group),
                name=name,
                target=target,
                error=_raised(error),
            )
        ) from error


@contextmanager
def blamed(name: str, *, group: str, known: Collection[str]) -> Iterator[None]:
    """Name the package of an entry point in whatever its code raises; nothing for one of ours.

    Raises PackageError. Errors of the family, and those of a machine without memory, room or file
    handles, pass as they are.
    """
    try:
        yield
    except (FinetuneError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
        if name in known or no_room or name not in _points(group):
            raise
        raise PackageError(
            problem(
                "package-failed",
                "{name} of {package}: failed with {error}; tell the authors of the package what -v "
                "shows. Finished artefacts are kept",
                at=Place(key=group),
                name=name,
                package=_package(_points(group)[name]),
                error=_raised(error),
            )
        ) from error


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def described(name: str, kind: type[Row], *, group: str, known: Mapping[str, str]) -> Row:
    """Return the descriptor of a name: an object of `kind` whose `name` it is.

    Raises RecipeError if there is none, or if what a package names is something else.
    """
    target = find(name, group=group, known=known)
    found = loaded(name, target, group=group)
    if not isinstance(found, kind) or getattr(found, "name", None) != name:
        raise RecipeError(
            problem(
                "package-without-row",
                "{name} = {target!r} is no {kind} with the name {name!r}; tell the authors of the "
                "package",
                at=Place(key=group),
                name=name,
                target=target,
                kind=".".join((kind.__module__, kind.__name__)),
            )
        )
    return found
