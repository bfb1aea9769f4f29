"""Cues of SRT, WebVTT and SBV files, which have a line with times before the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape

from finetune.messages import Sentence, sentence
from finetune.readers.reasons import RUBY
from finetune.readers.record import Rejection
from finetune.readers.subtitles.cue import Cue, malformed, milliseconds
from finetune.sources.files import SourceFile

ARROW = "-->"
TIMES = re.compile(r"\s*([\d:.,]+)\s*-->\s*([\d:.,]+)(?:\s.*)?")
_SBV_TIMES = re.compile(r"\s*(\d{1,2}:\d\d:\d\d\.\d{3}),(\d{1,2}:\d\d:\d\d\.\d{3})\s*")
_TORN_TIMES = re.compile(r"\s*\d+:\d+:\d+[,.]?\d*")
_NUMBER = re.compile(r"\s*\d+\s*")
ASIDE = re.compile(r"(?:NOTE|STYLE|REGION)\b")
POSITION = re.compile(r"\{\\[^{}]*\}")  # `{\an8}`: of another format, but common in SRT
_RUBY = re.compile(r"<rt\b[^<>\n]*>([^<\n]*)(?:</rt>)?")
"""A reading aid above or beside the words."""
TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|font|c|v|lang|ruby|rt)\b[^<>]*>|<\d[\d:.]*>", re.IGNORECASE
)
"""Tags of both formats and times of karaoke. Other `<` and `>` are text: `3 < 5`, `<Musa> Ina`."""


def srt_cues(file: SourceFile, lines: Sequence[str]) -> Iterator[Cue | Rejection]:
    """Yield the cues of an SRT file; a blank line inside a text does not end it."""
    begins = [at for at, line in enumerate(lines) if ARROW in line or _is_torn(lines, at)]
    first = begins[0] if begins else len(lines)
    yield from _stray(file, lines, 0, without_number(lines, 0, first))
    for at, after in zip(begins, [*begins[1:], len(lines)], strict=False):
        end = without_number(lines, at + 1, after)
        text = [line for line in lines[at + 1 : end] if line.strip()]
        yield _timed(file, at, lines[at], _plain(text))
        if after == len(lines) and any(line.strip() for line in lines[end:after]):
            why = sentence("the file ends after the number of a subtitle")
            yield malformed(file.place(end + 1), why, text=lines[end])


def vtt_cues(file: SourceFile, lines: Sequence[str]) -> Iterator[Cue | Rejection]:
    """Yield the cues of a WebVTT file; a blank line ends a cue, notes and styles are none."""
    for begin, block in blocks(lines):
        if begin == 0 or ASIDE.match(block[0]):
            continue
        timed = next((n for n, line in enumerate(block[:2]) if ARROW in line), None)
        if timed is None:
            yield from _stray(file, lines, begin, begin + len(block))
            continue
        text = "\n".join(block[timed + 1 :])
        for aid in _RUBY.findall(text):
            yield Rejection(file.place(begin + timed + 1), RUBY, aid)
        plain = _plain(_RUBY.sub("", text).split("\n"), web=True)
        yield _timed(file, begin + timed, block[timed], plain)


def sbv_cues(file: SourceFile, lines: Sequence[str]) -> Iterator[Cue | Rejection]:
    """Yield the cues of an SBV file (YouTube)."""
    for begin, block in blocks(lines):
        times = _SBV_TIMES.fullmatch(block[0])
        if times is None:
            yield from _stray(file, lines, begin, begin + len(block))
            continue
        start, end = (milliseconds(clock) or 0 for clock in times.groups())
        texts, turns = _plain([part for line in block[1:] for part in line.split("[br]")])
        yield Cue(file.place(begin + 1), start, end, texts, turns)


def is_sbv(lines: Sequence[str]) -> bool:
    """Return whether the first line with text has the times of SBV."""
    return _SBV_TIMES.fullmatch(next((line for line in lines if line.strip()), "")) is not None


def blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line from 0, lines) between blank lines.

    A line of spaces stands inside a cue (automatic captions have them), unless a cue follows it.
    """
    block: list[str] = []
    for number, line in enumerate([*lines, ""]):
        spaces = not line.strip() and any(ARROW in one for one in lines[number + 1 : number + 3])
        if line and not spaces:
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _timed(
    file: SourceFile, at: int, line: str, plain: tuple[tuple[str, ...], frozenset[int]]
) -> Cue | Rejection:
    """Return the cue below a line with times, or its rejection."""
    times = TIMES.fullmatch(line)
    clocks = [milliseconds(clock) for clock in times.groups()] if times else [None]
    texts, turns = plain
    place = file.place(at + 1)
    if None in clocks:
        why = sentence("{line!r} is no start and end", line=line.strip()[:60])
        return malformed(place, why, text="\n".join(texts))
    start, end = (clock or 0 for clock in clocks)
    return Cue(place, start, end, texts, turns)


def _is_torn(lines: Sequence[str], at: int) -> bool:
    """Return whether a line is a time without an arrow, at the place of one."""
    return bool(_TORN_TIMES.match(lines[at])) and (
        at == 0 or not lines[at - 1].strip() or bool(_NUMBER.fullmatch(lines[at - 1]))
    )


def without_number(lines: Sequence[str], begin: int, end: int) -> int:
    """Return the end of a text, before the number of the next cue.

    At the end of a file a number counts as one only after a blank line.
    """
    last = end - 1
    while last >= begin and not lines[last].strip():
        last -= 1
    if last < begin or not _NUMBER.fullmatch(lines[last]):
        return end
    apart = last == 0 or last == begin == 0 or not lines[last - 1].strip()
    return last if apart or (end < len(lines) and last > begin) else end


def _stray(
    file: SourceFile, lines: Sequence[str], begin: int, end: int
) -> Iterator[Cue | Rejection]:
    """Yield text without times as a unit that cannot be read."""
    texts = [line for line in lines[begin:end] if line.strip()]
    if texts:
        why: Sentence = sentence(
            "there is no line with times before it, as in {example}",
            example="00:01:02.345 --> 00:01:04.345",
        )
        yield malformed(file.place(begin + 1), why, text="\n".join(texts))


def _plain(raw: Sequence[str], *, web: bool = False) -> tuple[tuple[str, ...], frozenset[int]]:
    """Return the lines of a cue without tags, and those with the voice of another speaker."""
    texts: list[str] = []
    turns: set[int] = set()
    for line in raw:
        text = POSITION.sub("", TAG.sub("", line))
        text = (unescape(text) if web else text).strip()
        if text:
            turns |= {len(texts)} if line.lstrip().startswith("<v") else set()
            texts.append(text)
    return tuple(texts), frozenset(turns)
