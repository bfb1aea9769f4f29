"""Installed packages: names and versions, from their metadata."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from finetune.errors import InputError
from finetune.messages import problem

DISTRIBUTION = "finetune-lowres"


def training_packages() -> dict[str, str]:
    """Return name -> installed version of finetune and of everything that a training run needs."""
    return closure([DISTRIBUTION], extras=frozenset({"train"}))


def closure(names: Iterable[str], *, extras: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return name -> installed version of packages with extras, and of all that they need here."""
    from packaging.requirements import Requirement

    versions: dict[str, str] = {}
    waiting = [(name, extras) for name in names]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise InputError(
                problem(
                    "package-not-installed",
                    "package {package!r} is not installed here; run `finetune doctor`",
                    package=name,
                )
            ) from None
        versions[canonical(name)] = installed.version
        for text in installed.requires or ():
            one = Requirement(text)
            chosen = [
                one.marker is None or one.marker.evaluate({"extra": e}) for e in ("", *extras)
            ]
            if any(chosen):
                waiting.append((canonical(one.name), frozenset(one.extras)))
    return dict(sorted(versions.items()))


def canonical(name: str) -> str:
    """Return the normalised name of a distribution."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
