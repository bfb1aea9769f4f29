"""Independent copies of files, by reflink where the file system has it.

A hard link saves the space of a copy but is no copy: a program that writes a file in place (`cp`,
`rsync --inplace`, `dd`) changes every name that the file has.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import IO

_FICLONE = 0x40049409
"""The number of Linux's request `FICLONE` on x86, Arm, RISC-V and s390."""
_BLOCK_BYTES = 4 * 2**20


def copy_file(source: Path, target: Path, *, synced: bool = False) -> None:
    """Copy a regular file (or what a link leads to) to a new file with an inode of its own.

    Where the file system has reflinks (Btrfs, XFS, bcachefs), the copy shares its blocks until one
    of the two is written to, and takes no time. Its mode follows the umask and not the source: what
    only its owner could read, a group that shares the copy can read. A copy that fails leaves
    nothing behind.

    Args:
        source: Followed if it is a link; callers that must not follow one check before.
        target: Must not be there, not even as a link that leads nowhere.
        synced: Whether the content is on the disk itself when this returns.

    Raises:
        FileExistsError: `target` is there.
        OSError: no regular file, no permission, no space.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)  # never waits for a pipe's writer
    with open(descriptor, "rb", buffering=0) as reader:  # noqa: PTH123, a descriptor has no path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(source))
        with target.open("xb") as writer:  # buffered: a raw write may write less than it is given
            try:
                if not _reflinked(reader, writer):
                    shutil.copyfileobj(reader, writer, _BLOCK_BYTES)
                writer.flush()
                if synced:
                    os.fsync(writer.fileno())
            except BaseException:
                target.unlink(missing_ok=True)
                raise


def _reflinked(reader: IO[bytes], writer: IO[bytes]) -> bool:
    """Give the new file the blocks of the old one; False where the file system cannot."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
    except OSError:  # another disk, or no reflinks here; a full disk is met again by the copy
        return False
    return True
