"""Questions about paths that raise no exception.

A path from a user may be too long, contain a NUL, lead in a circle or through a folder without
permission. `Path.is_file` answers some of these with an exception, so every such question is asked
here. A path that is written into a script, a file or a message stays as the user wrote it
(`as_written`): a container or another node may know only that name. Only comparisons follow links.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from finetune.errors import Unfit
from finetune.messages import Problem, problem

MAX_PATH_BYTES = 4095
MAX_PART_BYTES = 255
HOME_OF_ANYONE = re.compile(r"(?<![\w.])(/home/[\w.-]+|/Users/[\w.-]+|[A-Za-z]:\\Users\\[\w.-]+)")


def is_file(path: Path) -> bool:
    """Say whether there is a regular file, or a link to one; False if unknown.

    >>> is_file(Path("x" * 5000))
    False
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Say whether there is a folder, or a link to one; False if unknown."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_there(path: Path) -> bool:
    """Say whether there is anything, a dangling link too; False if unknown."""
    return _mode(path) is not None or _mode(path, follow=False) is not None


def is_absent(path: Path) -> bool:
    """Say whether there is surely nothing: what may not be looked at is not absent.

    >>> is_absent(Path("/nowhere/x")), is_absent(Path("/"))
    (True, False)
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def path_problem(text: str) -> Problem | None:
    r"""Return why a text is no path of a file; None if it is one.

    >>> print(path_problem("a\0b"))
    'a\x00b' contains U+0000, which no path may contain
    >>> path_problem("models/base") is None
    True
    """
    if not text.strip():
        return problem("empty-path", "is empty; write a path")
    odd = next((c for c in text if not c.isprintable() and c != " "), None)
    if odd is not None:
        return problem(
            "path-with-control",
            "{path!r} contains U+{code:04X}, which no path may contain",
            path=_short(text),
            code=ord(odd),
        )
    if len(text.encode()) > MAX_PATH_BYTES:
        return problem(
            "long-path",
            "is {size} bytes long; a path has at most {most}",
            size=len(text.encode()),
            most=MAX_PATH_BYTES,
        )
    if text.startswith("~") and str(home_filled_in(text)).startswith("~"):
        return problem(
            "unknown-home",
            "{path!r}: {home} is the folder of no known user; write the path out",
            path=_short(text),
            home=text.partition("/")[0],
        )
    longest = max(len(part.encode()) for part in text.split("/"))
    if longest > MAX_PART_BYTES:
        return problem(
            "long-path",
            "{path!r} has a part of {size} bytes; a name has at most {most}",
            path=_short(text),
            size=longest,
            most=MAX_PART_BYTES,
        )
    return None


def typed_path(text: str) -> Path:
    """Return what a person typed as a path, `~` filled in.

    Raises Unfit with a reason for a text that is no path, or one that leads in a circle.
    """
    unfit = path_problem(text)
    if unfit:
        raise Unfit(unfit)
    path = home_filled_in(text)
    try:
        path.resolve()
    except (OSError, RuntimeError):
        raise Unfit(
            problem(
                "circle-of-links",
                "{path!r} leads in a circle of links; remove one",
                path=_short(text),
            )
        ) from None
    return path


def home_filled_in(text: str) -> Path:
    """Return a path with `~` filled in, as it is where there is no such home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user, or one without a home
        return Path(text)


def resolved(path: Path) -> Path:
    """Return a path without links and dots; one that leads in a circle stays as it is."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def as_written(path: Path) -> Path:
    """Return the absolute path with its links as written, relative ones below the shell's folder.

    That folder is `$PWD`, as `pwd` prints it, if it is the working folder: the system itself knows
    it only without links. `..` behind a link is left to the system.

    >>> as_written(Path("/a/./b//c")), as_written(Path("x")) == here() / "x"
    (PosixPath('/a/b/c'), True)
    """
    absolute = path if path.is_absolute() else here() / path
    short = Path(os.path.normpath(absolute))
    return short if short == absolute or is_same_place(short, absolute) else absolute


def here() -> Path:
    """Return the working folder as the shell names it (`$PWD`), else as the system does."""
    named = os.environ.get("PWD", "")
    try:
        if named.startswith("/") and os.path.samefile(named, "."):  # noqa: PTH121, no Path.cwd
            return Path(named)
    except (OSError, ValueError):  # left by a shell that was elsewhere
        pass
    return Path.cwd()


def is_same_place(path: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file or folder, which need not exist."""
    return resolved(path) == resolved(other)


def user_home() -> Path:
    """Return the home of who runs this; the root folder for a user id without one."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _mode(path: Path, *, follow: bool = True) -> int | None:
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except (OSError, ValueError):  # not there, not allowed, too long, a circle, a NUL
        return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
