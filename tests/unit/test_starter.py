"""Files of the package for `finetune init`."""

from __future__ import annotations

from pathlib import Path

import finetune
from finetune.spec.tables.programme import PROGRAMMES

ROOT = Path(finetune.__file__).parents[1]
STARTER = ROOT / "finetune" / "starter"


def test_the_starter_holds_what_it_names() -> None:
    """Each file is that of the repository at the same place, with its content."""
    files = [path for path in STARTER.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert path.read_bytes() == (ROOT / path.relative_to(STARTER)).read_bytes(), path.name


def test_the_starter_holds_the_cards_of_the_programmes() -> None:
    """An installed package can write the recipe of every language, and has no other cards."""
    rows = [row for programme in PROGRAMMES.values() for row in programme.languages]
    cards = {f"{name}.md" for row in rows for name in row.cards}
    assert {path.name for path in (STARTER / "data_cards").iterdir()} == cards | {"kolibri-hau.md"}
