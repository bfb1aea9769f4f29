"""Texts of licences: to the letter where there is one, and otherwise said so."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.release.licence_texts import shipped as shelf
from finetune.release.licence_texts.shipped import WITHOUT_TEXT, spdx_id, texts_for, write_texts
from finetune.spec.licence import KNOWN, MODEL_TERMS, NO_DERIVATIVES

FOLDER = Path(shelf.__file__).parent
TELLING = {
    "apache-2.0": "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
    "cc-by-4.0": "Attribution 4.0 International",
    "cc-by-sa-4.0": "ShareAlike 4.0 International",
    "cc0-1.0": "CC0 1.0 Universal",
    "gpl-3.0": "GNU GENERAL PUBLIC LICENSE",
    "mit": "Permission is hereby granted, free of charge",
    "odc-by": "ODC Attribution License",
}


def test_every_licence_of_the_table_has_a_text_or_a_reason() -> None:
    """None is missing without a word, and no text lies there that no licence has."""
    named = {f"{name}.txt" for licence in KNOWN if (name := spdx_id(licence))}
    assert {path.name for path in FOLDER.glob("*.txt")} == named
    without = {licence for licence in KNOWN - NO_DERIVATIVES if spdx_id(licence) is None}
    assert without == set(MODEL_TERMS) | set(WITHOUT_TEXT)


@pytest.mark.parametrize("licence", TELLING)
def test_a_text_is_that_of_its_licence(licence: str) -> None:
    """By a sentence that stands in it alone."""
    text = (FOLDER / f"{spdx_id(licence)}.txt").read_text("utf-8")
    assert TELLING[licence] in text


def test_texts_are_written_once_and_terms_of_publishers_stay_a_link(tmp_path: Path) -> None:
    """Gemma's terms are named with their address; nothing is made up for them."""
    found = texts_for(["mit", "gemma", "mit", "other", "bsd"])
    write_texts(found, tmp_path)
    assert [p.name for p in (tmp_path / "LICENSES").iterdir()] == ["MIT.txt"]
    assert found.files == {"mit": "LICENSES/MIT.txt"}
    assert found.without["gemma"] == MODEL_TERMS["gemma"]
    assert set(found.without) == {"gemma", "other", "bsd"}
