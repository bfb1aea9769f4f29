"""Language codes: the table of macrolanguages is the registration authority's."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.spec import macrolanguages
from finetune.spec.language import is_language, macrolanguage_problem
from finetune.spec.macrolanguages import MEMBERS, SHORT
from tests.support.macrolanguages import module


def test_the_table_is_that_of_the_registration_authority() -> None:
    """The module is what is written from the tables that python-iso639 packs."""
    source = Path(macrolanguages.__file__).read_text(encoding="utf-8")
    assert source == module(), "python -m tests.support.macrolanguages writes the module"


def test_every_short_code_leads_to_a_macrolanguage() -> None:
    """A two-letter code of the table names an entry of it, and members are three letters."""
    assert set(SHORT.values()) <= set(MEMBERS)
    assert all(len(code) == 3 for names in MEMBERS.values() for code in names.split())


@pytest.mark.parametrize("code", ["wol", "hau", "fuc", "mnk", "snk", "srr", "dyo", "hin", "san"])
def test_languages_of_both_programmes_are_no_macrolanguages(code: str) -> None:
    """The codes that cards of the two programmes use are taken as they are."""
    assert macrolanguage_problem(code) is None
    assert is_language(f"{code}_Latn")
