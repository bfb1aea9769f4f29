"""Input and place of an export: the adapter with its base, and the folder to write into.

An export is a function `write(job: ExportJob) -> Exported` of `spec.tables.export_format`. It does
not see whether the adapter comes from a recipe, a folder or the Hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.artefacts.adapter_source import AdapterSource

if TYPE_CHECKING:
    from finetune.output.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """One export, ready to run."""

    source: AdapterSource
    workspace: Path
    """Folder that is kept if the export succeeds."""
    console: Console
    dtype: str | None = None
    """Number format that was asked for (`bf16`); None: the format's own default."""
    quantize: str | None = None
    """Quantization that was asked for; None: the format's own default."""
