"""Files that are whole or absent, whenever the machine stops."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of one."""
    replace_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 text in place of a file, all of it or nothing; a failed write leaves nothing.

    Raises OSError where the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(aside, text.encode())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
