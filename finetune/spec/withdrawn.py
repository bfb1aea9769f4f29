"""The withdrawal list of a card: `withdrawn/NAME.txt` beside it.

One record hash (sha256, 64 hex digits) a line, or the word `all`; `#` begins a comment. The list
holds no text, so that what was taken back is written nowhere again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.output.durable import replace_text
from finetune.spec.card import ALL

_HASH = re.compile(r"[0-9a-f]{64}")


def record_hash(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a record as its reader gave it: role -> value.

    The order of the fields does not count; a side that is missing counts as empty.

    >>> record_hash({"text": "a"}) == record_hash({"text": "a", "input": None})
    True
    """
    present = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(present, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def list_path(card_path: Path) -> Path:
    """Return where the withdrawal list of a card is, or would be.

    >>> list_path(Path("data_cards/radio.md")).as_posix()
    'data_cards/withdrawn/radio.txt'
    """
    return card_path.parent / "withdrawn" / f"{card_path.stem}.txt"


def read_withdrawn(card_path: Path) -> frozenset[str]:
    """Return the withdrawn record hashes of a card (or `all`); RecipeError for another line."""
    path = list_path(card_path)
    if not path.is_file():
        return frozenset()
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from None
    found, problems = set(), []
    for number, line in enumerate(lines, start=1):
        word = line.partition("#")[0].strip()
        if word == ALL or _HASH.fullmatch(word):
            found.add(word)
        elif word:
            problems.append(
                f"{path}:{number}: {word[:40]!r} is neither `all` nor a record hash (64 hex "
                "digits); write withdrawals with `finetune cards withdraw`"
            )
    if problems:
        raise RecipeError(*problems)
    return frozenset(found)


def add_withdrawn(card_path: Path, hashes: Iterable[str], *, day: date) -> tuple[Path, int]:
    """Append record hashes (or `all`) to the list of a card; return it, and how many are new."""
    path = list_path(card_path)
    new = sorted(set(hashes) - read_withdrawn(card_path))
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text("utf-8-sig") if path.is_file() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        replace_text(path, before + f"# {day.isoformat()}\n" + "\n".join(new) + "\n")
    return path, len(new)
