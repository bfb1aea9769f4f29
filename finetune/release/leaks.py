"""Leak checks: paths, user names, host names and secrets stop a release."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, problem
from finetune.output.paths import HOME_OF_ANYONE, as_written, here
from finetune.output.secrets import hide, secrets_in

_NOBODY = frozenset({"root", "user", "admin", "runner", "ubuntu", "debian", "nobody", "localhost"})
_SHORT = 5
"""A name of fewer characters may be a word."""
_BINARY = (".npy", ".safetensors", ".png")
_PRINTED = re.compile(r"[\x20-\x7e\t]{8,}")
"""Text regions of a binary file: headers, names. Weights match any pattern by chance."""
_OF_OTHERS = (
    *("tokenizer.json", "items/*.jsonl", "every_eval_ever/*_samples.jsonl"),
    "LICENSES/*.txt",
)
"""Files with words and texts of others: a name among them is not that of a user."""


@dataclass(frozen=True, slots=True)
class Private:
    """Private facts: folders of this machine, names of its user and host."""

    folders: tuple[str, ...]
    names: tuple[str, ...]


def private_facts(*, folders: Iterable[Path] = ()) -> Private:
    """Return the private facts of this process; `folders` adds e.g. the store."""
    paths = {Path.home(), here(), Path.cwd(), *map(as_written, folders)}
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


def is_private(text: str) -> bool:
    """Return whether a text of others holds a secret, a home folder, or names of user or host."""
    private = private_facts()
    return bool(secrets_in(text)) or any(_leaks(text, private=private, public=()))


def scan(files: Mapping[str, Path], *, private: Private, public: Sequence[str] = ()) -> None:
    """Raise ReleaseError with every leak found in `files` (name -> path).

    `public` are strings that people chose to publish (repository, contacts): a user name inside
    them is no leak, a path or secret still is.
    """
    problems: list[Problem] = []
    for name, path in sorted(files.items()):
        # latin-1 keeps every ASCII byte of a binary file, where paths hide in headers as well
        binary = path.suffix in _BINARY
        text = path.read_bytes().decode("latin-1" if binary else "utf-8", errors="replace")
        of_others = any(fnmatchcase(name, pattern) for pattern in _OF_OTHERS)
        names = () if binary or of_others else private.names
        for leak in _leaks(text, private=Private(private.folders, names), public=public):
            problems.append(leak.at(Place(name, line=leak.facts["line"])))
        printed = "\n".join(_PRINTED.findall(text)) if binary else text
        for secret in secrets_in(printed):
            place = Place(name, line=_line(printed, secret.start))
            problems.append(
                problem(
                    "secret-in-release",
                    "would publish {kind}; remove it from the card or recipe it comes from",
                    at=place,
                    kind=secret.kind,
                )
            )
    if problems:
        raise ReleaseError(*problems)


def without_leaks(value: Any, *, private: Private, public: Sequence[str] = ()) -> Any:
    """Return a value of any depth with signs for what `scan` would find in its texts.

    >>> without_leaks({"a": ["see /srv/x/y"]}, private=Private(("/srv/x",), ()))
    {'a': ['see [folder]/y']}
    """
    if isinstance(value, str):
        return _replaced(value, private=private, public=public)
    if isinstance(value, Mapping):
        return {
            without_leaks(key, private=private, public=public): without_leaks(
                inner, private=private, public=public
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_leaks(inner, private=private, public=public) for inner in value]
    return value


def _replaced(text: str, *, private: Private, public: Sequence[str]) -> str:
    for folder in sorted(private.folders, key=len, reverse=True):
        pattern = _folder_pattern(folder)
        text = re.sub(pattern, "[folder]", text)
    text = HOME_OF_ANYONE.sub("[home]", text)
    for name in private.names:
        phrases = [p for p in sorted(public, key=len, reverse=True) if name in p]
        kept = "|".join(map(re.escape, phrases)) or r"(?!)"
        pattern = f"({kept})|{_name_pattern(name)}"
        text = re.sub(pattern, lambda match: match[1] or "[name]", text)
    return hide(text)


def _folder_pattern(folder: str) -> str:
    return rf"(?<![\w.]){re.escape(folder)}(?![\w-])"


def _name_pattern(name: str) -> str:
    """Return what finds a name; a short one counts only in a path or address.

    It may be a word or a language code.
    """
    if len(name) < _SHORT:
        return rf"(?:(?<=/){re.escape(name)}(?=/)|(?<!\w){re.escape(name)}(?=@))"
    return rf"(?<![\w]){re.escape(name)}(?![\w])"


def _leaks(text: str, *, private: Private, public: Sequence[str]) -> Iterable[Problem]:
    for match in HOME_OF_ANYONE.finditer(text):
        yield _leak(_line(text, match.start()), "home folder", match.group())
    for folder in private.folders:
        pattern = _folder_pattern(folder)
        found = re.search(pattern, text)
        if found:
            yield _leak(_line(text, found.start()), "local folder", folder)
    for name in private.names:
        rest = text
        for phrase in sorted(public, key=len, reverse=True):
            if name in phrase:
                rest = rest.replace(phrase, " " * len(phrase))
        pattern = _name_pattern(name)
        found = re.search(pattern, rest)
        if found:
            yield _leak(_line(text, found.start()), "user or host name", name)


def _leak(line: int, kind: str, value: str) -> Problem:
    return problem(
        "leak-in-release",
        "would publish the {kind} {value!r}; remove it from the card or recipe it comes from",
        kind=kind,
        value=value,
        line=line,
    )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
