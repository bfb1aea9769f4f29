"""Installed packages, from their metadata: names, versions, and the commit of finetune."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from finetune.errors import InputError
from finetune.messages import problem

DISTRIBUTION, PACKAGE = "finetune-lowres", "finetune"
UNKNOWN = "unknown"
GIT_SECONDS = 20
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit of the running code."""

    commit: str
    """Hex digits, or `unknown`: neither a checkout nor metadata tell it."""
    changed: bool = False
    """True if files of the package differ from the commit."""


def training_packages() -> dict[str, str]:
    """Return name -> installed version of finetune and of everything that a training run needs."""
    return closure([DISTRIBUTION], extras=frozenset({"train"}))


def closure(
    names: Iterable[str], *, extras: frozenset[str] = frozenset(), absent: bool = False
) -> dict[str, str]:
    """Return name -> installed version of packages with extras, and of all that they need here.

    With `absent`, those that are not installed are omitted. Raises InputError for them otherwise.
    """
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
            if absent:
                continue
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


@cache
def source_commit() -> Commit:
    """Return the commit of the code that runs: of its checkout, else of its metadata (PEP 610)."""
    root = Path(__file__).parents[2]
    git = shutil.which("git")
    if (root / ".git").exists():
        head = _git(git, root, "rev-parse", "HEAD") if git else None
        if not head or not _COMMIT.fullmatch(head):
            return Commit(UNKNOWN)
        return Commit(head, changed=_git(git, root, "status", "--porcelain", "--", PACKAGE) != "")
    try:
        stated = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "")
        found = str(stated["vcs_info"]["commit_id"])
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        return Commit(UNKNOWN)
    return Commit(found if _COMMIT.fullmatch(found) else UNKNOWN)


def _git(git: str | None, root: Path, *arguments: str) -> str | None:
    """Return what git prints, None if it fails: another owner of the checkout, for example."""
    try:
        done = subprocess.run(
            [str(git), "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
