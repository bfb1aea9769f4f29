"""Nothing private leaves the machine: paths, user names, host names and tokens stop a release."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import ReleaseError

TOKEN = re.compile(
    r"\b(hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,})"
)
_HOME_OF_ANYONE = re.compile(r"(?<![\w.])(/home/[\w.-]+|/Users/[\w.-]+|[A-Za-z]:\\Users\\[\w.-]+)")
_NOBODY = frozenset({"root", "user", "admin", "runner", "ubuntu", "debian", "nobody", "localhost"})
_BINARY = (".safetensors", ".png")
_VOCABULARY = "tokenizer.json"
"""Holds every word that a tokenizer has a token for; a name among them is nobody's."""


@dataclass(frozen=True, slots=True)
class Private:
    """What must not leave: folders of this machine, names of its user and of itself."""

    folders: tuple[str, ...]
    names: tuple[str, ...]


def private_facts(*, folders: Iterable[Path] = ()) -> Private:
    """Return the private facts of this process; `folders` adds e.g. the store."""
    paths = {Path.home(), Path.cwd(), *(f.absolute() for f in folders)}
    paths |= {path.resolve() for path in paths}
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user id that has no name
        user = ""
    names = {user, Path.home().name, host, host.partition(".")[0]}
    return Private(
        folders=tuple(sorted(str(path) for path in paths if len(path.parts) > 1)),
        names=tuple(sorted(name for name in names if name and name.lower() not in _NOBODY)),
    )


def scan(files: Mapping[str, Path], *, private: Private, public: Sequence[str] = ()) -> None:
    """Raise ReleaseError with every leak found in `files` (name -> path).

    `public` are strings that people chose to publish (repository, contacts): a user name inside
    them is no leak, a path or token still is.
    """
    problems = []
    for name, path in sorted(files.items()):
        # latin-1 keeps every ASCII byte of a binary file, where paths hide in headers as well
        binary = path.suffix in _BINARY
        text = path.read_bytes().decode("latin-1" if binary else "utf-8", errors="replace")
        names = () if binary or name == _VOCABULARY else private.names
        for leak in _leaks(text, private=Private(private.folders, names), public=public):
            problems.append(f"{name}: {leak}")
    if problems:
        raise ReleaseError(
            "the release would publish private facts, so nothing was released:\n"
            + "\n".join(problems)
            + "\nRemove them from the data card or recipe that they come from."
        )


def hide_tokens(text: str) -> str:
    """Return `text` with every access token replaced.

    >>> hide_tokens("Bearer hf_abcdefghijklmnopqrst")
    'Bearer ***'
    """
    return TOKEN.sub("***", text)


def _leaks(text: str, *, private: Private, public: Sequence[str]) -> Iterable[str]:
    for match in TOKEN.finditer(text):
        yield f"line {_line(text, match.start())}: an access token ({match.group()[:4]}...)"
    for match in _HOME_OF_ANYONE.finditer(text):
        yield f"line {_line(text, match.start())}: the home folder {match.group()!r}"
    for folder in private.folders:
        found = re.search(rf"(?<![\w.]){re.escape(folder)}(?![\w-])", text)
        if found:
            yield f"line {_line(text, found.start())}: the local folder {folder!r}"
    for name in private.names:
        rest = text
        for phrase in sorted(public, key=len, reverse=True):
            if name in phrase:
                rest = rest.replace(phrase, " " * len(phrase))
        # a short name may be a word or a language code, so it counts only in a path or address
        pattern = rf"(?<![\w]){re.escape(name)}(?![\w])"
        if len(name) < 5:
            pattern = rf"(?:/{re.escape(name)}/|(?<!\w){re.escape(name)}@)"
        found = re.search(pattern, rest)
        if found:
            yield f"line {_line(text, found.start())}: the user or host name {name!r}"


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
