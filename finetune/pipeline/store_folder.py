"""The default folder of the store; separate, so that `--help` stays light."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_STORE = ".finetune"


def default_store() -> Path:
    """Return the folder of the store where none is named: $FINETUNE_STORE, or .finetune here."""
    return Path(os.environ.get("FINETUNE_STORE") or DEFAULT_STORE)


def named_store(root: Path) -> tuple[str, ...]:
    """Return what has to be typed so that a command uses this store; nothing for the usual one."""
    return () if root == default_store().resolve() else ("--store", str(root))
