"""Subtitles (SRT, WebVTT): a segment per cue, or per speaker in a dialogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from finetune.readers.subtitles.cue_files import (
    ARROW,
    ASIDE,
    POSITION,
    TAG,
    TIMES,
    blocks,
    without_number,
)
from finetune.translate.formats.inline_marks import joined_lines, lines_of
from finetune.translate.placeholders_kept import DIRECTION
from finetune.translate.skeleton import Part

_NEW_SPEAKER = re.compile(r"\s{0,9}(?:<[^<>]{1,99}>\s{0,9}){0,4}[-\u2010-\u2015]\s{0,9}\S")
_VOICE = re.compile(r"\s{0,9}<v\b")
_SRT_MARKS = re.compile(f"{TAG.pattern}|{POSITION.pattern}|{DIRECTION.pattern}", re.IGNORECASE)
_RUBY = r"<rt\b[^<>\n]{0,99}>[^<\n]{0,99}(?:</rt>)?"
_VTT_MARKS = re.compile(
    rf"{_RUBY}|</?[A-Za-z][^<>]{{0,300}}>|<\d[\d:.]{{0,20}}>|{DIRECTION.pattern}", re.IGNORECASE
)
Lines = Sequence[tuple[str, str]]


def cut_srt(text: str) -> list[Part]:
    """Return the texts of an SRT file; numbers, times and positions stay."""
    lines = lines_of(text)
    bodies = [body for body, _ in lines]
    begins = [n for n, body in enumerate(bodies) if ARROW in body and TIMES.fullmatch(body)]
    parts: list[Part] = []
    done = 0
    for at, after in zip(begins, [*begins[1:], len(lines)], strict=False):
        end = without_number(bodies, at + 1, after)
        parts += ["".join(line) for line in lines[done : at + 1]]
        parts += _cue(lines[at + 1 : end], label=_number(bodies, at), marks=_SRT_MARKS)
        done = end
    return [*parts, *("".join(line) for line in lines[done:])]


def cut_vtt(text: str) -> list[Part]:
    """Return the texts of a WebVTT file; names, times, settings, notes and styles stay."""
    lines = lines_of(text)
    bodies = [body for body, _ in lines]
    parts: list[Part] = []
    done = count = 0
    for begin, block in blocks(bodies):
        timed = next((n for n, line in enumerate(block[:2]) if ARROW in line), None)
        if begin == 0 or ASIDE.match(block[0]) or timed is None:
            continue
        count += 1
        first, end = begin + timed + 1, begin + len(block)
        label = block[0].strip() if timed else str(count)
        parts += ["".join(line) for line in lines[done:first]]
        parts += _cue(lines[first:end], label=label, marks=_VTT_MARKS)
        done = end
    return [*parts, *("".join(line) for line in lines[done:])]


def _number(bodies: Sequence[str], at: int) -> str:
    above = bodies[at - 1].strip() if at else ""
    return above if above.isdigit() else bodies[at].partition(ARROW)[0].strip()


def _cue(lines: Lines, *, label: str, marks: re.Pattern[str]) -> Iterator[Part]:
    """Yield the parts of the lines of a cue: those of one speaker are one segment."""
    spoken: list[tuple[str, str]] = []
    for line in lines:
        is_blank = not line[0].strip()
        if spoken and (is_blank or _NEW_SPEAKER.match(line[0]) or _VOICE.match(line[0])):
            yield from joined_lines(spoken, label=label, marks=marks)
            spoken = []
        if is_blank:
            yield "".join(line)
        else:
            spoken.append(line)
    yield from joined_lines(spoken, label=label, marks=marks)
