"""Files that travel with an adapter into each of its forms: card, notices, licences, provenance."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from finetune.sources.archives import refused_name

SHIPPED = (
    *("README.md", "LICENSE", "NOTICE", "LICENSES/*.txt", "credits.csv"),
    *("TRAINING_CONTENT.md", "training_content.json", "training_data.json"),
    *("provenance/*.json", "provenance/data_cards/*.md", "provenance/data_cards/withdrawn/*.txt"),
    "provenance/SHA256SUMS",
)
"""Patterns of their names; `*` goes through folders."""
MOST_FILES = 2000
MAX_BYTES = 32 * 2**20
"""Of each file."""


def is_shipped(name: str) -> bool:
    """Return whether a file of a folder or repository travels.

    >>> is_shipped("LICENSES/MIT.txt"), is_shipped("pytorch_model.bin"), is_shipped("../NOTICE")
    (True, False, False)
    """
    return refused_name(name) is None and any(fnmatchcase(name, one) for one in SHIPPED)


def shipped_files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder that travel, by name; links and oversized files do not."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not is_shipped(name) or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size <= MAX_BYTES and len(found) < MOST_FILES:
            found[name] = path
    return found
