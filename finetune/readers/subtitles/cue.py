"""Cues of subtitles: lines with the time at which they are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from finetune.messages import Place, Sentence, sentence
from finetune.readers.guards import unreadable
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Rejection

_CLOCK = re.compile(r"\s*(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2})(?:[.,:](\d{1,3}))?\s*")


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines that are shown together, without the codes of their format."""

    at: Place
    """The line with its times."""
    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    turns: frozenset[int] = frozenset()
    """Numbers of lines that another speaker begins, from 0."""


def milliseconds(clock: str) -> int | None:
    """Return a time (`1:02:03.5`, `02:03,456`) in milliseconds; None for what is none.

    >>> milliseconds("1:02:03.5"), milliseconds("02:03,456"), milliseconds("02:03")
    (3723500, 123456, None)
    """
    found = _CLOCK.fullmatch(clock)
    if not found or (found[1] is None and found[4] is None):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    rest = int((found[4] or "0").ljust(3, "0"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def malformed(at: Place, why: Sentence, *, text: str) -> Rejection:
    """Return a cue that cannot be read as a unit."""
    [fault] = unreadable(at, what=sentence("a subtitle"), why=why).problems
    return Rejection(at, MALFORMED, text, fault)
