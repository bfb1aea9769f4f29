"""Advice rests on a measurement; without one there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.tokenizer import advice
from finetune.tokenizer.measure import Audit, BaseCost, Measure


def sure(value: float) -> Measure:
    return Measure(value, value * 0.99, value * 1.01)


def cost(name: str = "one", **measures: object) -> BaseCost:
    plain = BaseCost(
        name=name,
        tokens=1000,
        bytes_per_token=sure(2.0),
        characters_per_token=sure(2.0),
        tokens_per_word=sure(2.0),
        premium=None,
        english_tokens_per_word=None,
        pieces=sure(0),
        broken=sure(0),
        unknown=sure(0),
        missing=sure(0),
        missing_letters=(),
        nfd=sure(1.0),
        against_cheapest=sure(1.0),
    )
    return replace(plain, **measures)  # type: ignore[arg-type]


def audit(*costs: BaseCost, scripts: dict[str, float] | None = None, size: int = 10**6) -> Audit:
    return Audit(
        documents=100,
        bytes=size,
        characters=size,
        words=500,
        scripts=scripts or {"Latin": 1.0},
        distinct_letters=20,
        parallel=False,
        decomposed_differs=True,
        bases=costs,
    )


def test_costs_are_computed_from_the_measures():
    """8,192 tokens at 2 per word are 4,100 words; 10 tokens per second are 5 words per second."""
    one = cost(premium=sure(1.5), english_tokens_per_word=sure(1.25))
    context, training, phone = advice.costs(one, context_tokens=8192, phone_tokens_per_second=10)
    assert (
        "8,192 tokens hold about 4,100 words of this text (6,600 words of the English)" in context
    )
    assert "1,000 words are about 2,000 tokens" in training
    assert "1.50 [1.48, 1.52] times the tokens of English" in training
    assert "at 10 tokens per second" in phone
    assert "writes 5 words per second (8 words of English)" in phone


def test_without_words_characters_are_meant_and_without_facts_nothing_is_said():
    """No context known, no English, no words: two lines, about characters."""
    lines = advice.costs(cost(tokens_per_word=None), context_tokens=None, phone_tokens_per_second=4)
    assert len(lines) == 2
    assert "1,000 characters are about 500 tokens." in lines[0]
    assert "8 characters per second." in lines[1]
    assert "English" not in "".join(lines)


@pytest.mark.parametrize(
    ("one", "scripts", "sources"),
    [
        (cost(tokens_per_word=sure(4.1)), None, [advice.KAZAKH, advice.HINDI, advice.LITTLE_TEXT]),
        (cost(tokens_per_word=sure(4.0)), None, []),  # the interval reaches below
        (cost(tokens_per_word=Measure(9.0, None, None)), None, []),  # too few documents
        (cost(premium=sure(2.2)), None, [advice.SENEGAL]),
        (cost(premium=sure(2.2)), {"Telugu": 0.95, "Latin": 0.05}, []),
        (cost(premium=sure(2.5)), None, []),
        (cost(), None, []),
        (cost(unknown=sure(0.1), tokens_per_word=sure(9)), None, [advice.MEASURED_HERE]),
    ],
)
def test_extension_is_advised_only_where_something_was_measured(one, scripts, sources):
    """Each rule speaks within what its source measured, and is silent beyond."""
    remarks = advice.extension(audit(one, scripts=scripts), one)
    assert [remark.source for remark in remarks] == sources


def test_a_large_text_is_not_reported_of_small_ones():
    """The finding about 10 MB is for texts of about that size."""
    one = cost(tokens_per_word=sure(5.0))
    remarks = advice.extension(audit(one, size=10**9), one)
    assert advice.LITTLE_TEXT not in [remark.source for remark in remarks]


def test_the_cheapest_base_is_named_only_if_it_is_surely_cheaper():
    """A tenth fewer tokens, by the lower end of the interval."""
    cheap = cost("cheap", tokens=500)
    near = cost("near", against_cheapest=sure(1.05))
    dear = cost("dear", against_cheapest=sure(2.0))
    [remark] = advice.choice(audit(near, cheap, dear))
    assert remark.text.startswith("dear needs 2.00 [1.98, 2.02] times the tokens of cheap")


def test_letters_without_a_token_are_shown_with_their_number():
    """The most frequent dozen, and how many more."""
    letters = (("ᱚ", 5000), ("\u0301", 101), *((chr(0x1C5B + n), 100 - n) for n in range(18)))
    [line] = advice.letters_line(cost(missing_letters=letters))
    assert "(20): ᱚ (U+1C5A, 5,000 times), ◌\u0301 (U+0301, 101 times), " in line
    assert line.endswith("and 8 more.")
    assert advice.letters_line(cost()) == []


def test_decomposed_text_is_mentioned_where_it_costs():
    """2 % and more, surely."""
    assert advice.losses(cost(nfd=Measure(1.03, 1.01, 1.05))) == []
    [line] = advice.losses(cost(nfd=sure(1.2)))
    assert "1.20 [1.19, 1.21] times the tokens" in line


def test_equal_tokenizers_are_named():
    """Two bases with one tokenizer are not compared."""
    assert advice.same_tokenizer({"a": "x", "b": "y", "c": "x"}) == [
        "a and c have the same tokenizer."
    ]


def test_notes_say_what_is_omitted():
    """No words, no English, no intervals, nothing to decompose: each is reported."""
    one = cost(against_cheapest=Measure(1.0, None, None))
    whole = replace(audit(one, scripts={"Thai": 1.0}), words=None, decomposed_differs=False)
    text = "\n".join(advice.notes(whole))
    assert "Thai is written without spaces" in text
    assert "--parallel" in text
    assert "at least 10 documents" in text
    assert "NFC and NFD are the same" in text
