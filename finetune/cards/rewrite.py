"""Changes of single values in a card; everything else stays as its owner wrote it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.output.durable import replace_text
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.spec.load import card_of

SIZE = "size_categories"
"""Key of the Hub for the number of records."""


def rewrite(
    path: Path,
    edit: Callable[[str], str | None],
    *,
    corpus: Mapping[str, Any],
    size: bool = False,
    prose: bool = False,
) -> bool:
    """Write the card that `edit` makes of its text; return whether that was possible.

    `corpus`: the fields of `corpus` that change, with their new values; `size` and `prose`: whether
    `size_categories` and the text below the front matter may change too. The card stays as it was,
    and False is returned, where `edit` finds no place (None), anything else would change, or the
    file cannot be read or written.
    """
    try:
        content = read_bytes(path)
        mark = "\ufeff" if content.startswith(codecs.BOM_UTF8) else ""
        old = content.decode("utf-8-sig")
        new = edit(old)
        if new is None:
            return False
        if new != old and not _changes_only(path, old, new, corpus, size=size, prose=prose):
            return False
        if new != old:
            replace_text(path.resolve(), mark + new)
    except (OSError, UnreadableError, UnicodeDecodeError):
        return False
    return True


def _changes_only(
    path: Path, old: str, new: str, corpus: Mapping[str, Any], *, size: bool, prose: bool
) -> bool:
    """Return whether the card of the new text is the one of the old text with these changes."""
    before = card_of(old, path, with_list=False)
    try:
        after = card_of(new, path, with_list=False)
    except RecipeError:
        return False
    expected: dict[str, Any] = {"corpus": before.corpus.model_copy(update=dict(corpus))}
    if size and SIZE in after.hub_metadata:
        written = {SIZE: after.hub_metadata[SIZE]}
        expected["hub_metadata"] = {**before.hub_metadata, **written}
    if prose:
        expected["body"] = after.body
    return after == before.model_copy(update=expected)
