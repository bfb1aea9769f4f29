"""The verbs of the command line, one module a group; each is imported when it runs."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_STORE = ".finetune"


def default_store() -> Path:
    """Return the store of whoever names none."""
    return Path(os.environ.get("FINETUNE_STORE", DEFAULT_STORE))
