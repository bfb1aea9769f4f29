"""The table of export formats of an adapter, for `finetune export --format`.

A row is a name and where its descriptor is. A package outside adds one with an entry point:

    [project.entry-points."finetune.exports"]
    phone = "my_package.phone:EXPORT"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from finetune.spec.entry_points import described

GROUP = "finetune.exports"
EXPORTS: Mapping[str, str] = {
    "peft": "finetune.release.exports.peft:EXPORT",
    "merged": "finetune.release.exports.merged:EXPORT",
    "mlx": "finetune.release.exports.mlx:EXPORT",
    "gguf-lora": "finetune.release.exports.gguf.exported:LORA",
    "gguf": "finetune.release.exports.gguf.exported:MODEL",
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
    """Writes into `workspace` of an `artefacts.export_job.ExportJob`. Proves what it wrote, or
    raises ReleaseError, or says in the result that nothing here could check it."""
    dtypes: tuple[str, ...] = ()
    """Choices of --dtype; the first is the default. Empty: it takes none."""
    quantizations: tuple[str, ...] = ()
    """Choices of --quantize; the first is the default. Empty: it takes none."""
    library: str = ""
    """Library that opens it, as the Hub calls it (`transformers`); empty: not stated."""
    relation: Literal["adapter", "finetune", "quantized"] = "finetune"
    """Relation to the base in the metadata of the Hub."""
    files: tuple[str, ...] = ()
    """Names of files that it may write into a release."""
    required: tuple[str, ...] = ()
    """Those that a release cannot be without."""


@cache
def export_format(name: str) -> Export:
    """Return the row of a name. Raises RecipeError if neither we nor a package have one."""
    return described(name, Export, group=GROUP, known=EXPORTS)
