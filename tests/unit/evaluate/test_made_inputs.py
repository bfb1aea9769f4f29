"""Short and hard inputs: made the same every time, laid out as in training, counted as stated."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.artefacts.items import Item
from finetune.evaluate.descriptions.everyday import NEGATED
from finetune.evaluate.descriptions.hard_input_facts import facts_of, is_unexplained, longest_ratio
from finetune.evaluate.descriptions.made_inputs import (
    clusters,
    hard_items,
    numbers_in,
    with_typing_error,
)
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group

SOURCES = [
    *("Hello", "Good morning {name}", "We sold 12 goats in 2019", "The farmer waters the field"),
    *("Open <b>settings</b>", "Children sing", "Page %d of %d", "Thank you for the visit"),
]


def _item(source: str, *, to: str = "hau_Latn", asked: str = "<user>Into Hausa:\n") -> Item:
    prompt = f"{asked}{source}<end>"
    return Item("i", "toy", to, prompt, f"fassara {source}", source, f"eng_Latn>{to}")


ITEMS = [_item(source) for source in SOURCES]
PART = Part(None, ITEMS, {}, {}, 0)


def test_every_input_stands_where_the_source_stood():
    """Nothing but the source differs from the prompt of a test item, without a reference."""
    made = hard_items(ITEMS, per_kind=4)
    assert set(made) == {"one word", "upper case", "typing errors", "numbers", "negation"}
    for items in made.values():
        assert 0 < len(items) <= 4
        for item in items:
            assert item.prompt == f"<user>Into Hausa:\n{item.source}<end>"
            assert item.reference is None
    assert made == hard_items(ITEMS, per_kind=4)
    assert hard_items(ITEMS, per_kind=0) == hard_items([], per_kind=4) == {}


def test_a_prompt_without_its_source_gives_no_input():
    """A template that changed the source leaves no place to put another one."""
    assert hard_items([replace(ITEMS[0], prompt="<user>HELLO<end>")], per_kind=4) == {}


def test_what_each_kind_is():
    """Placeholders and markup are left alone; numbers are those outside of them."""
    made = hard_items(ITEMS, per_kind=3)
    found = {kind: [item.source for item in items] for kind, items in made.items()}
    assert found["one word"] == ["Hello", "We", "The"]
    assert found["upper case"] == [
        *("HELLO", "WE SOLD 12 GOATS IN 2019", "THE FARMER WATERS THE FIELD"),
    ]
    assert found["numbers"] == ["We sold 12 goats in 2019"]
    assert found["negation"] == list(NEGATED["eng_Latn"][0])
    assert all(text not in SOURCES for text in found["typing errors"])


def test_scripts_without_capitals_get_none():
    """A source in Bengali has no upper case, and English templates are no French ones."""
    bengali = [_item("শুভ সকালবেলা বন্ধু"), _item("আমরা বাজারে যাই")]
    made = hard_items([replace(one, direction="ben_Beng>eng_Latn") for one in bengali], per_kind=4)
    assert set(made) == {"one word", "typing errors"}


@given(st.text(alphabet="abcɗƙèनमस्तेकाᱡᱚ ़́", max_size=30))
def test_a_typing_error_keeps_letters_with_their_marks(text):
    """Letters are exchanged or one is missing; none is invented and no mark is separated."""
    wrong = with_typing_error(text)
    if wrong is None:
        return
    before, after = clusters(text), clusters(wrong)
    assert wrong != text
    assert len(before) - len(after) in (0, 1)
    left = sorted(before)
    for letter in after:
        left.remove(letter)
    assert not any(unicodedata.category(word[0])[0] == "M" for word in wrong.split()) or any(
        unicodedata.category(word[0])[0] == "M" for word in text.split()
    )


@pytest.mark.parametrize("pairs", NEGATED.values(), ids=list(NEGATED))
def test_no_sentence_is_there_twice(pairs):
    """Sentences and negations differ, also from those of other pairs."""
    sentences = [sentence for pair in pairs for sentence in pair]
    assert len(set(sentences)) == len(sentences) == 60


LONGEST = 2.0


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("Hello", "Sannu", False),
        ("Hello", "Sannu da zuwa ga dukan abokai", True),
        ("Hello {name}", "Sannu {name}", False),
        ("Hello", "Sannu %s", True),
        ("12 goats", "Awaki 12", False),
        ("१२ goats", "Awaki 12", False),
        ("goats", "Awaki 7", True),
        ("Hello", "", False),
    ],
)
def test_what_the_source_does_not_explain(source, text, expected):
    """Length beyond the references' ratio, and numbers or placeholders that were invented."""
    assert is_unexplained(Generation(text, "", source), LONGEST) is expected


def test_facts_of_planted_outputs():
    """Empty and repeated outputs, lost numbers, and a negation that changes nothing are counted."""

    def counted(kind: str, *pairs: tuple[str, str]) -> Any:
        outputs = [Generation(text, "", source) for source, text in pairs]
        group = Group(language="hau_Latn", direction="eng_Latn>hau_Latn", items=[], unit=kind)
        return facts_of(group, outputs, system="adapter", part=PART, longest=50.0)

    found = counted("one word", ("Hello", ""), ("Good", "koyi koyi koyi koyi"), ("We", "Mu"))
    assert (found.n, found.empty, found.repeated, found.unexplained) == (3, 1, 1, 0)
    assert found.numbers_kept is found.pairs_alike is None
    assert counted("numbers", ("12 goats", "awaki 12"), ("3 cows", "shanu")).numbers_kept == 1
    alike = counted("negation", ("a", "Eh"), ("not a", " Eh "), ("b", "Eh"), ("not b", "A'a"))
    assert alike.pairs_alike == 1


def test_the_longest_ratio_is_that_of_the_references():
    """Of the direction's own items; without any there is no limit."""
    assert longest_ratio([_item("abcd")], direction="eng_Latn>hau_Latn") == len("fassara abcd") / 4
    assert longest_ratio(ITEMS, direction="fra_Latn>hau_Latn") == float("inf")


def test_numbers_are_read_in_any_script():
    """Digits of a script are its numbers, those of placeholders are none."""
    assert numbers_in("১২ ও 3") == {12, 3}
    assert numbers_in("{0} %1$s &nbsp; https://example.org/12") == frozenset()
