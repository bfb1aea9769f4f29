"""A file as its texts and all that stands around and between them, byte for byte.

A format returns a file as strings, which come back as they are, and segments to translate.
What stands inside a sentence and is no text of it (a tag, a line end, a note) is a joint: the model
never sees it, and it is put back at the word that stands at the same share of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from finetune.translate.joint_places import places
from finetune.translate.placeholders_kept import has_words

Found = Callable[[str], str | None]
"""Text of a segment -> its translation; None: the source stays."""
_OPENING = re.compile(r"(?:[-\u2010-\u2015*#>\u2022\u2669-\u266f]{1,8}[^\S\r\n]{1,8}){1,8}")
"""Dashes of a dialogue, bullets and notes of music, which are no text."""
_CLOSING = re.compile(r"(?:[^\S\r\n]{1,8}[*#\u2669-\u266f]{1,8}){1,8}\Z")
_LONGEST_CLOSING = 64


@dataclass(frozen=True, slots=True)
class Joint:
    """A tag, a line end or a note between two characters of a segment."""

    at: int
    """Offset in the text of its segment."""
    parts: tuple[Part, ...]
    takes_space: bool = False
    """True if it stands in place of the space at `at`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A text to translate, in one line."""

    text: str
    label: str
    """Its place for a reviewer: a cue number, a verse, a row."""
    joints: tuple[Joint, ...] = ()
    escaped: Callable[[str, str], str] = field(default=lambda text, _: text, compare=False)
    """A piece of (translation, source) as the format writes it."""

    @property
    def placed_joints(self) -> int:
        """Joints whose place in a translation is found by their share of the text."""
        return sum(0 < one.at < len(self.text) for one in self.joints)


@dataclass(frozen=True, slots=True)
class Enclosed:
    """Parts whose text is written as a whole: in quotation marks, or over several lines."""

    parts: tuple[Part, ...]
    enclosed: Callable[[str], str] = field(compare=False)
    unless_all: str | None = None
    """Text to write where a segment has no translation; None: it keeps its source."""


Part = str | Segment | Enclosed


class Mark(NamedTuple):
    """Parts between the words of a sentence that are no text of it."""

    parts: tuple[Part, ...]
    is_space: bool = False
    """True for a line end inside a sentence, which the model reads as a space."""


def segments_in(parts: Sequence[Part]) -> Iterator[Segment]:
    """Yield the segments of a file in order, those of notes behind the segment they stand in."""
    for part in parts:
        if isinstance(part, Enclosed):
            yield from segments_in(part.parts)
        elif isinstance(part, Segment):
            yield part
            for joint in part.joints:
                yield from segments_in(joint.parts)


def written(parts: Sequence[Part], found: Found) -> str:
    """Return the text of a file with translations in place of its segments."""
    return "".join(_written(part, found) for part in parts)


def _written(part: Part, found: Found) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Enclosed):
        if part.unless_all is not None and any(
            found(segment.text) is None for segment in segments_in(part.parts)
        ):
            return part.unless_all
        return part.enclosed(written(part.parts, found))
    translated = found(part.text)
    text = part.text if translated is None else translated
    out, begin = [], 0
    for joint, at in zip(part.joints, places(part.text, text, part.joints), strict=True):
        out.append(part.escaped(text[begin:at], part.text))
        out.append(written(joint.parts, found))
        begin = at + joint.takes_space * (text[at : at + 1] == " ")
    return "".join([*out, part.escaped(text[begin:], part.text)])


def segment_of(
    pieces: Sequence[str | Mark],
    *,
    label: str,
    escaped: Callable[[str, str], str] = lambda text, _: text,
) -> list[Part]:
    """Return the segment of a sentence, with what stands before and behind it as strings.

    `pieces` are its texts and marks in order. Without a letter there is no segment.
    """
    inside = list(pieces)
    before = _taken_off(inside, first=True)
    behind = _taken_off(inside, first=False)
    texts = "".join(one for one in inside if isinstance(one, str))
    if not has_words(texts):
        return [*before, *_flat(inside), *behind]
    text, joints = "", []
    for piece in inside:
        if isinstance(piece, str):
            text += piece
            continue
        takes_space = piece.is_space and not text.endswith(" ")
        joints.append(Joint(len(text), piece.parts, takes_space))
        text += " " * takes_space
    return [*before, Segment(text, label, tuple(joints), escaped), *behind]


def _taken_off(pieces: list[str | Mark], *, first: bool) -> list[Part]:
    """Take marks, space and signs off an end of a sentence."""
    off: list[Part] = []
    while pieces:
        piece = pieces[0 if first else -1]
        if isinstance(piece, str):
            bare = _without_signs(piece, first=first)
            cut = len(piece) - len(bare)
            taken, rest = (
                (piece[:cut], piece[cut:]) if first else (piece[len(bare) :], piece[: len(bare)])
            )
            off = [*off, taken] if first else [taken, *off]
            if rest:
                pieces[0 if first else -1] = rest
                break
        else:
            off = [*off, *piece.parts] if first else [*piece.parts, *off]
        del pieces[0 if first else -1]
    return [part for part in off if part != ""]


def _without_signs(text: str, *, first: bool) -> str:
    if first:
        text = text.lstrip()
        opening = _OPENING.match(text)
        return text[opening.end() :].lstrip() if opening else text
    text = text.rstrip()
    tail = text[-_LONGEST_CLOSING:]
    closing = _CLOSING.search(tail)
    return text[: len(text) - len(tail) + closing.start()].rstrip() if closing else text


def _flat(pieces: Sequence[str | Mark]) -> Iterator[Part]:
    for piece in pieces:
        if isinstance(piece, str):
            yield piece
        else:
            yield from piece.parts
