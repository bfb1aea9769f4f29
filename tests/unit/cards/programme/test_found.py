"""Languages of a programme, by the names that people write."""

from __future__ import annotations

import pytest

from finetune.cards.programme.found import language_of
from finetune.errors import RecipeError
from finetune.spec.tables.language_table import language_row
from finetune.spec.tables.programme import PROGRAMMES, Programme

ROWS = [(programme, row) for programme in PROGRAMMES.values() for row in programme.languages]


def test_every_code_leads_to_its_row() -> None:
    """A code of the table is found in its own programme."""
    assert all(language_of(row.code, programme) == row for programme, row in ROWS)


def _answer(name: str, programme: Programme) -> str:
    """Return the code of the language that a name leads to, or the question which one it is."""
    try:
        return language_of(name, programme).code
    except RecipeError as error:
        return str(error)


def test_english_french_and_own_names_lead_to_the_language() -> None:
    """Each leads to the language, or where it has several scripts or namesakes to a question."""
    for programme, row in ROWS:
        known = language_row(row.code[:3])
        assert known is not None
        for name in {row.name, known.english, known.french, known.own} - {""}:
            answer = _answer(name, programme)
            assert answer[:3] == row.code[:3] or f"({row.code})" in answer, name
        assert {_answer(own, programme) for own in row.own} <= {row.code}


def test_both_scripts_of_a_language_can_be_named() -> None:
    """Kashmiri, Sindhi and Meitei have two rows, each found by its script."""
    india = PROGRAMMES["india"]
    words = ["Kashmiri (deva)", "sindhi arabic", "Meitei (Mtei)", "manipuri bengali"]
    assert [language_of(word, india).code for word in words] == [
        *("kas_Deva", "snd_Arab", "mni_Mtei", "mni_Beng")
    ]


@pytest.mark.parametrize(
    ("programme", "text", "said"),
    [
        ("senegal", "Wolov", "Did you mean Wolof (wol_Latn)"),
        ("senegal", "pulare", "Pulaar (fuc_Latn)"),
        ("india", "Santaly", "Did you mean Santali (sat_Olck)"),
        ("india", "kashmiri", "write one of Kashmiri (kas_Arab), Kashmiri (kas_Deva)"),
        ("senegal", "hausa", "finetune init --language hau_Latn --text FILE"),
        ("india", "qqqq", "which has Assamese (asm_Beng), Bangla (ben_Beng)"),
    ],
)
def test_what_is_no_language_of_a_programme_is_answered_with_those_that_are(
    programme: str, text: str, said: str
) -> None:
    """Near names are proposed, several scripts listed, others sent to `init` with their texts."""
    with pytest.raises(RecipeError) as refused:
        language_of(text, PROGRAMMES[programme])
    assert said in str(refused.value)
