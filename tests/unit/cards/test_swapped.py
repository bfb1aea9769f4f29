"""Sides of translations: what columns and files are called is compared with the card."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from finetune.cards.check.findings import check_card
from finetune.cli import main
from tests.support.surroundings import Inside

ARGUMENTS = ("--language=wol_Latn, fra_Latn", "--licence=cc-by-4.0", "--kind=parallel")
SWAPPED = {
    "names of the other side": (("fran\u00e7ais", "Wolof (texte)"), 2),
    "names of their own side": (("Wolof traduit du fran\u00e7ais", "French"), 0),
    "names of no language": (("source", "target"), 0),
}


@pytest.mark.parametrize(("names", "count"), SWAPPED.values(), ids=SWAPPED)
def test_a_column_with_the_name_of_the_other_language_is_reported(
    names: tuple[str, str], count: int, tmp_path: Path, inside: Inside
) -> None:
    """A card with the sides swapped would train a translator backwards."""
    inside(tmp_path)
    Path("t.csv").write_text(";".join(names) + "\na;b\nc;d\n", encoding="utf-8")
    columns = [f"--column=wol_Latn={names[0]}", f"--column=fra_Latn={names[1]}"]
    assert main(["cards", "new", "t.csv", *columns, *ARGUMENTS]) == 0
    found = check_card(Path("data_cards/t.md"), today=date(2026, 1, 1))
    assert [one.code for one in found].count("swapped-columns") == count


def test_a_file_of_no_language_of_the_card_is_named(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    inside(tmp_path)
    names = ["a.fr", "a.wo", "a.en"]
    for name in names:
        Path(name).write_text("Benn.\n", encoding="utf-8")
    assert main(["cards", "new", *names, *ARGUMENTS, "--json"]) == 2
    output = "".join(capsys.readouterr())
    [error] = [json.loads(line) for line in output.splitlines() if "no-language-in-path" in line]
    assert "a.en" in json.dumps(error)
