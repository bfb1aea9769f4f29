"""Minimal pairs: near texts that differ in a word or number that matters, so that both are kept.

In any language, without a list of words. The words of two near texts are aligned; what differs is
noise (spacing, a typing error, a text that was cut off or has something put in front or behind), or
it is content: other numbers, or words in place of words, too different to be spellings of one word,
or both of them words of the corpus. Scripts without spaces are aligned by letters with their marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from finetune.text.counts import is_unspaced

Known = Callable[[str], bool]
KNOWN_TEXTS = 3
"""A word in so many texts is one of the language; a typing error is in one, and in its copies."""
WORD_LETTERS = 4
"""A word of so many letters is no speck that a scanner read as a letter."""
_HAN = ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_BRIDGE = 3
"""Fewer equal letters than this between two differences do not part them (unspaced scripts)."""
_NAME_WITH_SIGN = re.compile(r"\w[#+]+(?!\w)")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Difference:
    """Words of one text in place of words of the other; one side may have none."""

    left: Sequence[str]
    right: Sequence[str]
    at_start: bool
    at_end: bool
    neighbours: tuple[str, str]
    """The words before and behind, or nothing."""


def is_minimal_pair(one: str, other: str, *, known: Known, front: str = ":") -> bool:
    """Return whether two comparable texts differ in content; `known` tells words of the corpus.

    `front`: what the longer text has in front (`front_of`). Words that no sign sets apart from the
    rest belong to it ("context menu", "menu"); others are a heading or a name.

    >>> def known(word): return word in ("left", "right", "http", "https")
    >>> [is_minimal_pair("to the left side", text, known=known) for text in
    ...  ("to the right side", "to the lefft side", "tothe left side", "to the left")]
    [True, False, False, False]
    >>> is_minimal_pair("cup of 1998", "cup of 2002", known=known)
    True
    """
    first, second = list(_tokens(one)), list(_tokens(other))
    apart = any(unicodedata.category(c)[0] in "PS" for c in front)
    differences = list(_differences(first, second))
    if differences and differences[0].at_start and not apart:
        differences[0] = replace(differences[0], at_start=False)
    return any(_is_content(it, known) for it in differences) or _both_have_more(differences, known)


def _tokens(text: str) -> Iterator[str]:
    """Yield words; of scripts without spaces letters with their marks."""
    for word in text.split(" "):
        if not any(map(is_unspaced, word)):
            yield word
            continue
        cluster = ""
        for character in word:
            if cluster and unicodedata.category(character)[0] != "M":
                yield cluster
                cluster = ""
            cluster += character
        yield cluster


def _differences(first: list[str], second: list[str]) -> Iterator[_Difference]:
    spans: list[list[int]] = []
    for kind, *span in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if spans and 0 < span[0] - spans[-1][1] < _BRIDGE and _unspaced(first[spans[-1][1]]):
            spans[-1][1], spans[-1][3] = span[1], span[3]
        else:
            spans.append(span)
    for start, end, other_start, other_end in spans:
        yield _Difference(
            first[start:end],
            second[other_start:other_end],
            at_start=start == other_start == 0,
            at_end=(end, other_end) == (len(first), len(second)),
            neighbours=(first[start - 1] if start else "", first[end] if end < len(first) else ""),
        )


def _unspaced(token: str) -> bool:
    return any(map(is_unspaced, token))


def _is_content(it: _Difference, known: Known) -> bool:
    left, right = "".join(it.left), "".join(it.right)
    numbers = ["".join(_DIGITS.findall(side)) for side in (left, right)]
    if all(numbers) and numbers[0] != numbers[1]:
        return True
    if not (left and right):
        return _inserted(it, known)
    if left == right or _is_cut_off(it, known):
        return False  # spacing is no content either
    if _unspaced(left) or _unspaced(right):
        return _letters_replaced(it)
    return _words_replaced(it, known)


def _is_cut_off(it: _Difference, known: Known) -> bool:
    left, right = "".join(it.left), "".join(it.right)
    ends_early = it.at_end and (left.startswith(right) or right.startswith(left))
    shorter, longer = sorted((left, right), key=len)
    is_word = 2 * len(shorter) >= len(longer) and known(shorter) and known(longer)
    return ends_early and not is_word


def _words_replaced(it: _Difference, known: Known) -> bool:
    if len(it.left) == len(it.right):
        return any(_other_word(*words, known) for words in zip(it.left, it.right, strict=True))
    left, right = "".join(it.left), "".join(it.right)
    return distance(left, right) > _slips(left, right)


def _inserted(it: _Difference, known: Known) -> bool:
    """Return whether words that only one text has change it: numbers, and words inside of it."""
    words = it.left or it.right
    if all(word.isdecimal() for word in words):
        return True
    if it.at_start or it.at_end or any(word in it.neighbours for word in words):
        return False  # something put in front or behind, cut off, or written twice
    return not _unspaced(words[0]) and all(len(w) >= WORD_LETTERS or known(w) for w in words)


def _both_have_more(differences: Sequence[_Difference], known: Known) -> bool:
    """Return whether each text has words, at other places, that the other lacks."""
    only = (
        sorted(word for it in differences if not it.right for word in it.left),
        sorted(word for it in differences if not it.left for word in it.right),
    )
    if not all(only) or only[0] == only[1]:  # equal: words in another order
        return False
    return all(_unspaced(word) or known(word) for words in only for word in words)


def _letters_replaced(it: _Difference) -> bool:
    """Return whether letters of a script without spaces are those of another word."""
    longer = max(len(it.left), len(it.right))
    if longer == 1:  # a word, or a slip, which leaves the letter or its mark
        [one], [other] = it.left, it.right
        return (_is_han(one[0]) and _is_han(other[0])) or distance(one, other) > 1
    return distance(it.left, it.right) > longer / 2


def _is_han(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _HAN)


def _other_word(one: str, other: str, known: Known) -> bool:
    if one == other:
        return False
    if distance(one, other) > _slips(one, other):
        return True
    return known(one) and known(other)


def _slips(one: str, other: str) -> int:
    """Return how many letters may differ by slips of typing or reading."""
    longer = max(len(one), len(other))
    return 1 if longer < 8 else 2 if longer < 14 else 3


def front_of(one: str, other: str) -> str:
    """Return what the longer of two texts has in front if the rest of it is the shorter one.

    >>> front_of("Menu changed", "Context menu changed"), front_of("Note: a", "a")
    ('Context ', 'Note: ')
    """
    shorter, longer = sorted((one, other), key=len)
    return longer[: len(longer) - len(shorter)]


def signs_differ(one: str, other: str) -> bool:
    """Return whether signs make two texts of the same words: mathematics, money, names with signs.

    >>> signs_differ("a < b", "a > b"), signs_differ("C", "C#"), signs_differ("a!", "(a)")
    (True, True, False)
    """
    signs = [[c for c in text if unicodedata.category(c) in ("Sm", "Sc")] for text in (one, other)]
    if signs[0] != signs[1] and len(signs[0]) == len(signs[1]):
        return True
    return _NAME_WITH_SIGN.findall(one) != _NAME_WITH_SIGN.findall(other)


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many letters are inserted, omitted, replaced or swapped (Damerau 1964).

    >>> distance("left", "lfet"), distance("left", "right")
    (1, 4)
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        row = [at]
        for place, facing in enumerate(other, start=1):
            cost = min(last[place] + 1, row[-1] + 1, last[place - 1] + (letter != facing))
            if at > 1 < place and letter == other[place - 2] and one[at - 2] == facing:
                cost = min(cost, before[place - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
