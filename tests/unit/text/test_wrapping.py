"""Hard-wrapped text is seen in every script; lists, verse and sentences are not taken for it."""

from __future__ import annotations

import random
import textwrap

import pytest

from finetune.text.wrapping import joined_lines, wrapping_of

ALPHABETS = {
    "Latin": ("abdeginoŋɓ", "."),
    "Cyrillic": ("авгеиқноү", "."),
    "Arabic": ("ابتجدرسعک", "۔"),
    "Devanagari": ("कखगचतनपमा", "।"),
    "Ethiopic": ("ሀለመሰረሸቀበ", "።"),
    "Ol Chiki": ("ᱚᱛᱜᱠᱟᱫᱱ", "᱾"),
}
UNSPACED = {"Thai": "กขคงจชดตนบ", "Khmer": "កខគងចជដតនប", "Chinese": "天地人日月山水火木土"}


def sentences(letters: str, mark: str, *, count: int = 120) -> list[str]:
    """Return sentences of words of random lengths, each with a capital if the script has them."""
    chance = random.Random(letters)
    made = []
    for _ in range(count):
        words = [
            "".join(chance.choices(letters, k=chance.randint(2, 9)))
            for _ in range(chance.randint(4, 22))
        ]
        made.append(" ".join(words).capitalize() + mark)
    return made


def wrapped(texts: list[str], width: int) -> list[str]:
    """Return paragraphs of four sentences, wrapped, with blank lines between."""
    lines = []
    for start in range(0, len(texts), 4):
        lines += [*textwrap.wrap(" ".join(texts[start : start + 4]), width), ""]
    return lines


@pytest.mark.parametrize("script", ALPHABETS)
@pytest.mark.parametrize("width", [40, 60, 76])
def test_wrapped_lines_are_found(script: str, width: int) -> None:
    assert wrapping_of(wrapped(sentences(*ALPHABETS[script]), width)).is_wrapped


@pytest.mark.parametrize("script", UNSPACED)
def test_wrapped_lines_without_spaces_are_found(script: str) -> None:
    """A script without spaces is cut anywhere, and has no capitals."""
    text = "".join(random.Random(script).choices(UNSPACED[script], k=4000))
    assert wrapping_of([text[at : at + 38] for at in range(0, len(text), 38)]).is_wrapped


@pytest.mark.parametrize("script", ALPHABETS)
@pytest.mark.parametrize("mark", [True, False])
def test_sentences_are_no_wrapped_lines(script: str, mark: bool) -> None:
    """One sentence per line, also without a mark at its end."""
    letters, sign = ALPHABETS[script]
    assert not wrapping_of(sentences(letters, sign if mark else "")).is_wrapped


@pytest.mark.parametrize("script", ALPHABETS)
@pytest.mark.parametrize("most", [1, 3])
def test_lists_of_words_are_no_wrapped_lines(script: str, most: int) -> None:
    """A dictionary, strings of software: small letters, and no marks at all."""
    chance = random.Random(script)
    letters = ALPHABETS[script][0]
    words = ["".join(chance.choices(letters, k=chance.randint(2, 12))) for _ in range(600)]
    lines = [" ".join(words[n : n + chance.randint(1, most)]) for n in range(0, 600, 3)]
    assert not wrapping_of(lines).is_wrapped


@pytest.mark.parametrize("script", ALPHABETS)
@pytest.mark.parametrize("feet", [4, 6])
def test_verse_is_no_wrapped_text(script: str, feet: int) -> None:
    """Lines of as many words in stanzas, most of them without a mark, in small letters."""
    chance = random.Random(script + str(feet))
    letters, mark = ALPHABETS[script]
    lines = []
    for _ in range(40):
        for line in range(4):
            words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(feet)]
            lines.append(" ".join(words) + (mark if line == 3 else ""))
        lines.append("")
    assert not wrapping_of(lines).is_wrapped


def test_a_few_lines_are_not_judged() -> None:
    assert not wrapping_of(wrapped(sentences(*ALPHABETS["Latin"]), 60)[:10]).is_wrapped
    assert not wrapping_of([]).is_wrapped


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["Nanga", "  def?"], "Nanga def?"),
        (["ภาษา", "ไทย"], "ภาษาไทย"),
        (["ภาษา ", "ไทย"], "ภาษา ไทย"),
        (["བོད་", "ཡིག"], "བོད་ཡིག"),
        (["မြန်", "မာ"], "မြန်မာ"),
        (["中文，", "字"], "中文，字"),
        (["한국어", "글"], "한국어 글"),
        (["well-", "known"], "well-known"),
        (["he said -", "and left"], "he said - and left"),
        (["पहला", "दूसरा"], "पहला दूसरा"),
    ],
)
def test_lines_are_joined_as_their_script_is_written(lines: list[str], text: str) -> None:
    assert joined_lines(lines) == text
