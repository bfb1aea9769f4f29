"""Messages for machine failures with a remedy: no memory, no file handles, a full disk.

Only for what no place of the program knows more about: a stage that knows which file it was reports
it better.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from finetune.errors import first_line
from finetune.messages import Place, Problem, problem

AGAIN = "nothing that was finished is lost, and the same command continues"
_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota is used up; free some space",
    errno.EFBIG: "the file is larger than this shell or file system allows; raise `ulimit -f`",
    errno.EMFILE: "this process may open no more files; raise `ulimit -n`",
    errno.ENFILE: "this machine may open no more files; close other programs",
    errno.ENOMEM: "there is not enough memory; raise `ulimit -v`, or take a machine with more",
    errno.EACCES: "you may not read or write it; ask its owner, or name another place",
    errno.EPERM: "you may not read or write it; ask its owner, or name another place",
    errno.EROFS: "it cannot be written to; name another place",
    errno.ENAMETOOLONG: "the path is too long; name a shorter one",
    errno.ELOOP: "links there lead in a circle; remove one",
    errno.ENOTDIR: "a file stands where a folder is needed; move it, or name another place",
    errno.EISDIR: "a folder stands where a file is needed; move it, or name another place",
    errno.ENOENT: "it is not there; was it removed meanwhile?",
    errno.EEXIST: "it is there already; move it, or name another place",
    errno.EIO: "the disk could not be read or written; look at its health",
    errno.ESTALE: "the network file system lost it",
    errno.EAGAIN: "this machine may start no more processes; raise `ulimit -u`",
}


def machine_failure(error: BaseException) -> str | None:
    """Return a sentence for an error of the machine, or None if it is none.

    >>> machine_failure(OSError(errno.EMFILE, "Too many open files", "a.txt"))[:43]
    'a.txt: Too many open files: this process ma'
    >>> machine_failure(KeyError("x")) is None
    True
    """
    if isinstance(error, MemoryError):
        return f"out of memory: {_REMEDIES[errno.ENOMEM]}; {AGAIN}"
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read; look at the file that was named last"
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        return _unloadable(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return f"no thread can be started: {_REMEDIES[errno.EAGAIN]} or `ulimit -v`; {AGAIN}"
    if not isinstance(error, OSError) or error.errno is None or error.errno not in _REMEDIES:
        return None
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if _is_name(n)]
    at = f"{' -> '.join(names)}: " if names else ""
    return f"{at}{error.strerror}: {_REMEDIES[error.errno]}; {AGAIN}"


def _unloadable(error: ImportError) -> str | None:
    """A library that is there and cannot be loaded: of memory, or of another machine."""
    said = str(error)
    if "failed to map" in said or "cannot allocate memory" in said.lower():
        return f"{first_line(error)}: {_REMEDIES[errno.ENOMEM]}; {AGAIN}"
    if ".so" in said:
        return f"a library cannot be loaded ({first_line(error)}); install finetune again"
    return None


def _is_name(name: object) -> bool:
    return isinstance(name, str | bytes)


def not_written(path: Path, error: OSError) -> Problem:
    """Return the problem of a file that the machine refused to write."""
    return problem(
        "not-written",
        "cannot be written: {reason}",
        at=Place(path),
        reason=error.strerror or str(error),
    )
