"""The lock file beside a recipe: fetched inputs, pinned by revision and checksum."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.durable import replace_text
from finetune.output.paths import is_absent
from finetune.output.small_files import UnreadableError, parse_json, read_bytes

_LOCK_VERSION = 1
_DIGITS = 12
Entries = Mapping[str, Mapping[str, Any]]
"""Name -> {"kind", "id", "revision" or "version", "sha256" or "files": {name: sha256}}."""


def lock_path(recipe_path: Path) -> Path:
    """Return the lock file of a recipe.

    >>> lock_path(Path("recipes/hausa.yaml")).as_posix()
    'recipes/hausa.lock.json'
    """
    return recipe_path.with_suffix(".lock.json")


def write_lock(recipe_path: Path, entries: Entries) -> Path:
    """Write the entries beside the recipe, in place of any lock; return the lock file.

    The same entries give the same bytes, and an unchanged lock is not touched.
    """
    path = lock_path(recipe_path)
    content = {"lock": _LOCK_VERSION, "entries": {k: dict(v) for k, v in entries.items()}}
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if _content(path) != text.encode():
        replace_text(path, text)
    return path


def read_lock(recipe_path: Path) -> dict[str, dict[str, Any]] | None:
    """Return the entries of a recipe's lock, None without one.

    Raises RecipeError if it is damaged or of another format, with the command that writes it anew.
    """
    path = lock_path(recipe_path)
    if is_absent(path):
        return None
    fetch = f"finetune fetch {shlex.quote(str(recipe_path))}"
    try:
        content = read_bytes(path)
        version = parse_json(content, dict[str, Any]).get("lock")
        if version != _LOCK_VERSION:
            raise RecipeError(
                problem(
                    "unknown-lock-format",
                    "has the unknown lock format {version}; look at it, then write it anew with: "
                    "{command}",
                    at=Place(path),
                    version=str(version)[:40],
                    command=fetch,
                )
            )
        return _entries(content)
    except UnreadableError as error:
        raise RecipeError(
            problem(
                "damaged-lock",
                "is no lock file ({why}); look at it, then write it anew with: {command}",
                at=Place(path),
                why=error.args[0],
                command=fetch,
            )
        ) from None
    except OSError as error:
        raise RecipeError(
            problem(
                "cannot-read-lock",
                "cannot be read: {why}; make it readable, or move it away and run: {command}",
                at=Place(path),
                why=error.strerror,
                command=fetch,
            )
        ) from None


def lock_changes(before: Entries, after: Entries) -> Iterator[str]:
    """Yield a line for each pin that is new, gone or another one: `NAME: OLD -> NEW`."""
    for name in sorted({*before, *after}):
        old, new = _pins(before.get(name, {})), _pins(after.get(name, {}))
        for pin in sorted({*old, *new}):
            if old.get(pin) != new.get(pin):
                at = f"{name}: {pin}" if pin else name
                yield f"{at}: {old.get(pin, 'nothing')} -> {new.get(pin, 'nothing')}"


def _entries(content: bytes) -> dict[str, dict[str, Any]]:
    found = parse_json(content, dict[str, Any])
    return parse_json(json.dumps(found.get("entries")), dict[str, dict[str, Any]])


def _content(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except (OSError, UnreadableError):
        return None


def _pins(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the pins of an entry, shortened: file or key -> value."""
    files = entry.get("files")
    own = {key: value for key, value in entry.items() if key not in ("kind", "files")}
    parts = own | (files if isinstance(files, dict) else {})
    return {key: _short(str(value)) for key, value in parts.items()}


def _short(value: str) -> str:
    return f"{value[:_DIGITS]}..." if len(value) > 40 else value
