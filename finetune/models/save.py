"""Model folders with the permissions of the umask."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Any


def save_model(model: Any, folder: Path) -> None:
    """Write a transformers model as safetensors and JSON, with the modes that the umask gives.

    The library's writer makes weights that only their owner can read. Raises OSError where the
    disk is full or the folder cannot be written.
    """
    from safetensors import SafetensorError

    before = set(folder.iterdir()) if folder.is_dir() else set()
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # the format's writer has an error of its own for the disk
        full = {f"os error {number}": number for number in (errno.ENOSPC, errno.EDQUOT)}
        number = next((n for words, n in full.items() if words in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error
    for path in sorted(set(folder.iterdir()) - before):
        follow_umask(path)


def follow_umask(path: Path) -> None:
    """Give a file the mode that this process gives to new files beside it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mode-") as folder:
        probe = Path(folder) / "probe"
        probe.touch()  # asking the umask means setting it, for every thread
        mode = stat.S_IMODE(probe.stat().st_mode)
    path.chmod(mode)
