"""Language codes: the table of macrolanguages is the registration authority's."""

from __future__ import annotations

import pytest

from finetune.spec.language import is_language, macrolanguage_problem
from finetune.spec.macrolanguages import MEMBERS, SHORT


def test_the_table_is_that_of_the_registration_authority() -> None:
    """Members and two-letter codes are those that python-iso639 packs, where it is installed."""
    iso639 = pytest.importorskip("iso639", reason="pip install python-iso639 to compare the table")
    macros = [x for x in iso639.ALL_LANGUAGES if x.scope == "M"]
    assert {x.part1: x.part3 for x in macros if x.part1} == dict(SHORT)
    members: dict[str, set[str]] = {x.part3: set() for x in macros}
    for language in iso639.ALL_LANGUAGES:
        if language.macrolanguage and language.status == "A":
            members[language.macrolanguage].add(language.part3)
    assert members == {code: set(names.split()) for code, names in MEMBERS.items()}


def test_every_short_code_leads_to_a_macrolanguage() -> None:
    """A two-letter code of the table names an entry of it, and members are three letters."""
    assert set(SHORT.values()) <= set(MEMBERS)
    assert all(len(code) == 3 for names in MEMBERS.values() for code in names.split())


@pytest.mark.parametrize("code", ["wol", "hau", "fuc", "mnk", "snk", "srr", "dyo", "hin", "san"])
def test_languages_of_both_programmes_are_no_macrolanguages(code: str) -> None:
    """The codes that cards of the two programmes use are taken as they are."""
    assert macrolanguage_problem(code) is None
    assert is_language(f"{code}_Latn")
