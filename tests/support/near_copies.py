"""Lines of made-up words, and copies of them that differ in the ways in which copies do."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

SYLLABLES = [a + b for a in "bdfgklmnrstwyɓɗƙ" for b in "aeiou"]


def line(rng: random.Random, *, words: int = 18) -> str:
    """Return a line of random words, about 100 characters."""
    return " ".join(word(rng) for _ in range(words)).capitalize() + "."


def word(rng: random.Random) -> str:
    """Return a random word of one to four syllables."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(1, 4)))


def typo(text: str, rng: random.Random) -> str:
    """Return a text with one letter replaced."""
    at = rng.choice([n for n, letter in enumerate(text) if letter.isalpha()])
    letter = rng.choice([other for other in "bdfgklmnrst" if other != text[at].lower()])
    return text[:at] + letter + text[at + 1 :]


def other_case(text: str, _: random.Random) -> str:
    """Return a text in capitals, and other punctuation."""
    return text.upper().replace(".", " !")


def other_word(text: str, rng: random.Random) -> str:
    """Return a text with one word replaced."""
    words = text.split(" ")
    words[rng.randrange(len(words))] = word(rng)
    return " ".join(words)


def appended(text: str, rng: random.Random) -> str:
    """Return a text with a word more at its end."""
    return f"{text} {word(rng)}"


def marked(text: str, rng: random.Random) -> str:
    """Return a text with a tone mark on one vowel."""
    at = rng.choice([n for n, letter in enumerate(text) if letter in "aeiou"])
    return unicodedata.normalize("NFC", text[: at + 1] + "\u0301" + text[at + 1 :])


COPIES: dict[str, Callable[[str, random.Random], str]] = {
    "typo": typo,
    "case": other_case,
    "word": other_word,
    "appended": appended,
    "mark": marked,
}
