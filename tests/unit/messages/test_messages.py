"""Problems and sentences: facts kept, text made in the language that is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from finetune.errors import DataError, RecipeError
from finetune.messages import Place, available, chosen, counted, joined, problem, sentence
from finetune.messages.extract import extracted, mismatched, po_file, read, untranslated

LANGUAGES = [one for one in available() if one != "en"]


def test_french_is_there() -> None:
    """`make setup` and the tests compile the translations."""
    assert available()[:2] == ("en", "fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated(language: str) -> None:
    """None is missing, none is outdated, none names other facts: run extract.py."""
    catalogue = read(po_file(language), language)
    assert not untranslated(catalogue)
    assert not mismatched(catalogue)
    assert not [one.id for one in catalogue if one.fuzzy]
    assert {(one.id, one.context) for one in catalogue} == {
        (one.id, one.context) for one in extracted()
    }


def test_numbers_and_quotes_follow_the_language() -> None:
    """1,234.5 in English is 1 234,5 in French; a line number is never grouped."""
    said = sentence(
        "{count} {part:,.1f} {line:d} {word!r} {share:.0%}",
        **{"count": 1234, "part": 1234.5, "line": 9999, "word": "x", "share": 0.5},
    )
    assert str(said) == "1,234 1,234.5 9999 'x' 50%"
    assert said.in_language("fr") == "1\u202f234 1\u202f234,5 9999 «\u00a0x\u00a0» 50\u202f%"


def test_lists_and_sentences_are_facts() -> None:
    """A list is joined, each item quoted where asked; a sentence follows the language."""
    said = sentence("{names}; {names!r}; {why}", names=["a", "b"], why=sentence("{n}", n=2000))
    assert str(said) == "a, b; 'a', 'b'; 2,000"
    assert said.in_language("fr").endswith("2\u202f000")
    assert str(joined([sentence("{n}", n=1), sentence("{n}", n=2)], between=" {x} ")) == "1 {x} 2"


def test_a_value_is_never_a_template() -> None:
    """Braces in what people wrote stay as they are; escapes are shown."""
    assert str(sentence("{word}", word="{0} {x!r} %s")) == "{0} {x!r} %s"
    assert sentence("{word!r}", word="a\x1b").in_language("fr") == "«\u00a0a\\x1b\u00a0»"


def test_a_problem_has_its_place_before_it() -> None:
    """The place is file, line, column, part and key, as far as known."""
    found = problem("odd", "is odd", at=Place(Path("a.yaml"), 3, 4, key="train.rank"))
    assert str(found) == "a.yaml:3:4: train.rank: is odd"
    part = Place("a.xlsx", part=sentence("row {number:d}", number=1200))
    assert str(found.at(part)) == "a.xlsx: row 1200: is odd"
    assert found.in_language("fr").startswith("a.yaml:3:4: train.rank\u00a0: ")
    assert str(found.at(Place(key="--language"))) == "--language: is odd"


def test_problems_are_compared_and_hashed_by_what_they_are() -> None:
    """The same problem found twice is one; lists as facts do not hinder that."""
    two = [problem("odd", "is {names}", at=Place("a", 1), names=["a", "b"]) for _ in range(2)]
    assert len(set(two)) == 1
    assert two[0].facts == {"names": ("a", "b")}


def test_a_problem_as_json() -> None:
    """Numbers stay numbers, places are fields."""
    found = problem("odd", "{count} of {file}", at=Place("a.md", 2), count=1234, file=Path("x"))
    assert found.as_json() == {
        "code": "odd", "file": "a.md", "line": 2, "column": None, "key": None, "part": None,
        "facts": {"count": 1234, "file": "x"}, "message": "a.md:2: 1,234 of x",
    }  # fmt: skip


def test_errors_carry_problems() -> None:
    """An error has codes, is reported in a language, and survives being sent to another process."""
    error = DataError(problem("odd", "is odd", at=Place("a", 1)), problem("even", "{n}", n=1000))
    again = pickle.loads(pickle.dumps(error))
    assert again.codes == ("odd", "even")
    assert str(again) == "a:1: is odd\n1,000"
    assert again.in_language("fr") == "a:1\u00a0: is odd\n1\u202f000"
    assert str(RecipeError(*(f"p{n}" for n in range(102)))).endswith("p99\n... and 2 more problems")


def test_plural_forms_follow_the_language() -> None:
    """French has no plural at zero."""
    assert [str(counted("{count} file", "{count} files", n)) for n in (0, 1, 2)] == [
        "0 files", "1 file", "2 files",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "environment", "terminal", "language"),
    [
        ("fr", {}, False, "fr"),
        (None, {"FINETUNE_LANG": "fr"}, False, "fr"),
        (None, {"LANG": "fr_SN.UTF-8"}, True, "fr"),
        (None, {"LANG": "fr_SN.UTF-8"}, False, "en"),
        (None, {"LC_ALL": "C", "LANG": "fr_FR"}, True, "en"),
        (None, {"FINETUNE_LANG": "en", "LANG": "fr_FR"}, True, "en"),
        (None, {"LANG": "xx_XX@euro"}, True, "en"),
        (None, {}, True, "en"),
    ],
)
def test_the_language_is_chosen(
    option: str | None, environment: dict[str, str], terminal: bool, language: str
) -> None:
    """Option, FINETUNE_LANG, the locale where a person looks on, English."""
    assert chosen(option, environment=environment, terminal=terminal) == language
