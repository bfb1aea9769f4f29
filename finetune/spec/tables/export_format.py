"""The table of export formats of an adapter, for `finetune export --format`.

A row is a name and where its descriptor is. A package outside adds one with an entry point:

    [project.entry-points."finetune.exports"]
    phone = "my_package.phone:EXPORT"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from finetune.spec.entry_points import described

GROUP = "finetune.exports"
EXPORTS: Mapping[str, str] = {
    "peft": "finetune.release.exports.peft:EXPORT",
    "merged": "finetune.release.exports.merged:EXPORT",
}
UNCHECKED = 3
"""Exit code of an export that could not be checked. One that was checked and differs is an error,
and nothing is kept of it."""
IN_RELEASE = ("peft",)
"""Formats in a release folder, beside the card, notices and scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Result of an export."""

    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For machines."""
    remarks: tuple[str, ...] = ()
    """Remarks for its users."""
    unchecked: str | None = None
    """Reason for which nothing here could check what was written (say, no engine for the format):
    then it is kept as `NAME.unchecked`, the exit code is `UNCHECKED`, and it is never published.
    None: it was checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A form in which an adapter leaves."""

    name: str
    about: str
    """Description of its output, as an item of a list."""
    write: Callable[[Any], Exported]
    """Writes into `workspace` of a Job whose inputs are what it needs, and `vocabulary` where the
    base's was extended. Proves what it wrote, or raises ReleaseError."""
    needs: tuple[str, ...] = ("base", "train")
    """Inputs, by role."""
    files: tuple[str, ...] = ()
    """Names of files that it may write into a release."""
    required: tuple[str, ...] = ()
    """Those that a release cannot be without."""


@cache
def export_format(name: str) -> Export:
    """Return the row of a name. Raises RecipeError if neither we nor a package have one."""
    return described(name, Export, group=GROUP, known=EXPORTS)
