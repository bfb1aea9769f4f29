"""Lines of the front matter of a data card."""

from __future__ import annotations

from pathlib import Path

from finetune.errors import RecipeError
from finetune.messages import Place
from finetune.spec.yaml_file import Path_, parse, read_text, shown


def place_in_card(path: Path, keys: Path_) -> Place:
    """Return file, line and column of a key of a card, or of the nearest key above it.

    Without a readable file (a card of a program) the place has file and key alone.
    """
    try:
        lines = read_text(path).split("\n")
        end = next(i for i, line in enumerate(lines) if i and line.rstrip() == "---")
        document = parse("\n" + "\n".join(lines[1:end]), source=str(path), as_hub_reads=True)
    except (RecipeError, StopIteration):
        return Place(path, key=shown(keys))
    return document.at(keys)
