"""The folder of data cards: one by name, or all."""

from __future__ import annotations

from pathlib import Path

from finetune.errors import RecipeError, did_you_mean


def card_path(name: str, folder: Path) -> Path:
    """Return the file of a card, named by it or by the card; RecipeError if there is none."""
    given = Path(name)
    found = given if given.suffix == ".md" or given.is_file() else folder / f"{name}.md"
    if not found.is_file():
        known = sorted(p.stem for p in folder.glob("*.md"))
        hint = did_you_mean(given.stem, known)
        raise RecipeError(f"{found}: there is no such data card{hint or _known(known, folder)}")
    return found


def _known(names: list[str], folder: Path) -> str:
    return f"; in {folder} there are: {', '.join(names)}" if names else f"; {folder} has none"


def all_cards(folder: Path) -> list[Path]:
    """Return the files of all cards, by name; RecipeError if there is none."""
    found = sorted(folder.glob("*.md"))
    if not found:
        raise RecipeError(
            f"{folder}: no data cards there; say where they are with --cards, or make one with "
            "`finetune cards new`"
        )
    return found
