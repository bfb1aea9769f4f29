"""Places of tags, line ends and notes in a translation: at the word with the same share of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from finetune.text.wrapping import is_unspaced
from finetune.translate.placeholders_kept import placeholders_at


class Placed(Protocol):
    """A part that is put back into a text."""

    @property
    def at(self) -> int:
        """Return its offset in the source."""

    @property
    def takes_space(self) -> bool:
        """Return whether it stands in place of a space."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, and which of its characters belong to words or placeholders."""

    text: str
    is_word: Sequence[bool]

    def opens(self, at: int) -> bool:
        """Return whether a word begins at an offset."""
        return not self._in_word(at - 1) and self._in_word(at)

    def closes(self, at: int) -> bool:
        """Return whether a word ends at an offset."""
        return self._in_word(at - 1) and not self._in_word(at)

    def may_part(self, at: int) -> bool:
        """Return whether a text without spaces (Thai, Chinese) may be parted before a character."""
        return (
            is_unspaced(self.text[at - 1])
            and is_unspaced(self.text[at])
            and unicodedata.category(self.text[at])[0] != "M"
        )

    def _in_word(self, at: int) -> bool:
        return 0 <= at < len(self.is_word) and self.is_word[at]


def places(source: str, text: str, joints: Sequence[Placed]) -> list[int]:
    """Return the offset of each joint in a translation, in the same order.

    A line end takes the place of a space, a tag that opens stands before a word, one that closes or
    a note behind it. Joints at the ends stay at the ends; words and placeholders are never parted.

    >>> from finetune.translate.skeleton import Joint
    >>> places("a big dog", "karen babba", [Joint(2, ("<i>",)), Joint(5, ("</i>",))])
    [0, 5]
    """
    if source == text:
        return [joint.at for joint in joints]
    ours, theirs = _text(source), _text(text)
    inner = range(1, len(text))
    between = [n for n in inner if theirs.may_part(n)]
    spaces = [n for n in inner if text[n] == " " and not theirs.is_word[n]]
    starts = sorted({n for n in range(len(text)) if theirs.opens(n)} | set(between))
    ends = sorted({n for n in range(1, len(text) + 1) if theirs.closes(n)} | set(between))
    found: list[int] = []
    for group in _adjacent(joints):
        at, takes_space = group[0].at, any(joint.takes_space for joint in group)
        # what stood around a word does so again, if there is one
        floor = found[-1] + 1 if found else 0
        if at == 0 or at >= len(source):
            place = len(text) if at else 0
        else:
            if takes_space:
                fit = [n for n in spaces if n >= floor] or between
            elif ours.opens(at):
                fit = starts
            else:
                fit = ends if ours.closes(at) else sorted({*starts, *ends})
            share = at * len(text) / len(source)
            fit = [n for n in fit if n >= floor] or [len(text)]
            place = min(fit, key=lambda n: (abs(n - share), n))
        for joint in group:
            found.append(place)
            place += joint.takes_space and text[place : place + 1] == " "
    return found


def _adjacent(joints: Sequence[Placed]) -> Iterator[list[Placed]]:
    """Yield joints that have no text between them."""
    group: list[Placed] = []
    for joint in joints:
        if group and joint.at != group[-1].at + group[-1].takes_space:
            yield group
            group = []
        group.append(joint)
    if group:
        yield group


def _text(text: str) -> _Text:
    is_word = [
        sign in "'\u2019\u02bc\u200c\u200d" or unicodedata.category(sign)[0] in "LMN"
        for sign in text
    ]
    for begin, end in placeholders_at(text):
        is_word[begin:end] = [True] * (end - begin)
    return _Text(text, is_word)
