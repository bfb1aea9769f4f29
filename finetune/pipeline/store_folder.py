"""The default folder of the store; separate, so that `--help` stays light."""

from __future__ import annotations

import os
from pathlib import Path

from finetune.output.paths import as_written, is_same_place

DEFAULT_STORE = ".finetune"


def default_store() -> Path:
    """Return the folder of the store where none is named: $FINETUNE_STORE, or .finetune here."""
    return Path(os.environ.get("FINETUNE_STORE") or DEFAULT_STORE)


def named_store(root: Path) -> tuple[str, ...]:
    """Return what has to be typed so that a command uses this store; nothing for the usual one."""
    return () if is_default(root) else ("--store", str(root))


def is_default(root: Path) -> bool:
    """Return whether commands without --store use this store."""
    return is_same_place(root, default_store())


def store_root(folder: Path | str | None) -> Path:
    """Return the absolute folder of a store, its links as written; without one, the default."""
    return as_written(Path(folder or default_store()))
