"""Short and hard inputs, made from the sources of test items: the same ones every time.

An input stands in the prompt of its item instead of the item's own source, so that it is laid out
as in training to the character.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from finetune.artefacts.items import Item
from finetune.evaluate.descriptions.everyday import NEGATED
from finetune.evaluate.frames import Frame, frames_of
from finetune.text.borrowed import without_markup
from finetune.text.placeholders import placeholders_in

ONE_WORD, UPPER_CASE, TYPING_ERRORS = "one word", "upper case", "typing errors"
NUMBERS, NEGATION = "numbers", "negation"
"""Kinds; inputs of the last come in pairs, a sentence and its negation."""
WORD_CLUSTERS = range(4, 21)
"""Length of a word in which a typing error is made; scripts without spaces have longer ones."""
_VIRAMA = 9
"""Combining class of the sign that joins two consonants into one cluster."""
_JOINERS = "\u200c\u200d"
_Change = Callable[[str], str | None]
"""Source -> input, or None where it gives none."""


def hard_items(items: Sequence[Item], *, per_kind: int) -> dict[str, list[Item]]:
    """Return inputs of each kind from the items of one direction, the first ones that fit."""
    frames = frames_of([i.prompt or "" for i in items], [i.source or "" for i in items])
    framed = [(item, frame) for item, frame in zip(items, frames, strict=True) if frame]
    made = {
        ONE_WORD: _changed(framed, per_kind, one_word),
        UPPER_CASE: _changed(framed, per_kind, upper_case),
        TYPING_ERRORS: _changed(framed, per_kind, with_typing_error),
        NUMBERS: _changed(framed, per_kind, with_numbers),
        NEGATION: list(_negated(framed[:1], per_kind)),
    }
    return {kind: found for kind, found in made.items() if found}


def one_word(source: str) -> str | None:
    """Return the first word of a text without markup.

    >>> one_word("Good morning!"), one_word("{name} 12")
    ('Good', None)
    """
    if not _is_plain(source):
        return None
    words = re.findall(r"[^\W\d_](?:[\w'’-]|[\u0300-\u036f])*", source)
    return words[0] if words and len(words[0]) > 1 else None


def upper_case(source: str) -> str | None:
    """Return a text in capitals; None in a script without them."""
    loud = source.upper()
    return loud if _is_plain(source) and loud != source else None


def with_typing_error(source: str) -> str | None:
    """Return a text with two letters exchanged, or without one of them, in one of its words.

    >>> with_typing_error("Good morning")
    'Good mroning'
    """
    if not _is_plain(source):
        return None
    words = source.split(" ")
    fit = [n for n, word in enumerate(words) if _takes_an_error(clusters(word))]
    if not fit:
        return None
    dice = int.from_bytes(hashlib.sha256(source.encode("utf-8", "replace")).digest()[:8], "big")
    place = fit[dice % len(fit)]
    letters = clusters(words[place])
    at = 1 + dice // 7 % (len(letters) - 2)  # never the first letter
    swapped = [*letters[:at], letters[at + 1], letters[at], *letters[at + 2 :]]
    shorter = letters[:at] + letters[at + 1 :]
    for wrong in (swapped, shorter) if dice % 3 else (shorter, swapped):
        if wrong != letters and clusters("".join(wrong)) == wrong:
            return " ".join([*words[:place], "".join(wrong), *words[place + 1 :]])
    return None


def with_numbers(source: str) -> str | None:
    """Return a text as it is if there are numbers in it, outside of markup."""
    return source if numbers_in(source) else None


def numbers_in(text: str) -> frozenset[int]:
    """Return the numbers in a text, in the digits of any script, outside of markup.

    >>> sorted(numbers_in("12 and १२, {0} %5$s, 7")), numbers_in("no")
    ([7, 12], frozenset())
    """
    bare = text
    for mark in placeholders_in(text):
        bare = bare.replace(mark, " ")
    return frozenset(int(found) for found in re.findall(r"\d{1,18}", without_markup(bare)))


def clusters(text: str) -> list[str]:
    """Return what a reader takes for letters: each with its marks, conjuncts together.

    >>> clusters("ɗàn"), clusters("नमस्ते")
    (['ɗ', 'à', 'n'], ['न', 'म', 'स्ते'])
    """
    found: list[str] = []
    for character in text:
        before = found[-1] if found else ""
        bare = before.rstrip(_JOINERS)
        is_joined = bool(bare) and unicodedata.combining(bare[-1]) == _VIRAMA
        is_mark = unicodedata.category(character)[0] == "M" or character in _JOINERS
        if found and (is_mark or (is_joined and character.isalpha())):
            found[-1] += character
        else:
            found.append(character)
    return found


def _takes_an_error(letters: Sequence[str]) -> bool:
    return len(letters) in WORD_CLUSTERS and all(one[0].isalpha() for one in letters)


def _is_plain(source: str) -> bool:
    return not placeholders_in(source) and without_markup(source) == source


def _with_source(item: Item, frame: Frame, source: str) -> Item:
    before, after = frame
    return replace(item, prompt=before + source + after, source=source, reference=None)


def _changed(framed: Sequence[tuple[Item, Frame]], most: int, change: _Change) -> list[Item]:
    """Return the first items of which a change gives an input, each input once."""
    found: dict[str, Item] = {}
    for item, frame in framed:
        if len(found) == most:
            break
        source = change(item.source or "")
        if source:
            found.setdefault(source, _with_source(item, frame, source))
    return list(found.values())


def _negated(first: Sequence[tuple[Item, Frame]], most: int) -> Iterator[Item]:
    for item, frame in first:
        pairs = NEGATED.get((item.direction or "").partition(">")[0], ())
        for pair in pairs[: most // 2]:
            yield from (_with_source(item, frame, source) for source in pair)
