"""Reader of subtitles, SRT and WebVTT: one document per stretch of speech without a pause.

A sentence runs over several cues, so a cue by itself is a fragment; and a whole film or programme
as one document would leave nothing to hold out. Speech is cut where nobody speaks for two seconds,
or after a minute.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Any

from finetune.errors import DataError
from finetune.readers.guards import library, no_nul, unreadable
from finetune.readers.numbered_lines import Encoding, numbered_lines
from finetune.readers.record import Record
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

PAUSE_MS = 2_000
"""A silence that begins a new document; pauses within a sentence are shorter."""
STRETCH_MS = 60_000
"""After this the next cue begins a new document: captions made by machine have no pauses."""
MAX_BYTES = 32 * 2**20
"""A day of speech is about 2 MiB; a file of subtitles is read whole."""
ARROW = "-->"
DASHES = ("-", "‐", "–", "—")
"""What begins a line that somebody else speaks; in WebVTT a tag of a voice (`<v NAME>`) does."""
_POSITION = re.compile(r"\{\\[^{}]*\}")  # `{\an8}`: of another format, but common in SRT
_TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|font|c|v|lang|ruby|rt)\b[^<>]*>|<\d[\d:.]*>", re.IGNORECASE
)
"""Tags of both formats and times of karaoke. Other `<` and `>` are text: `3 < 5`, `<Musa> Ina`."""
_ASIDE = re.compile(r"(NOTE|STYLE|REGION)\b")
_NUMBER = re.compile(r"\s*\d+\s*")
_TIME = re.compile(r"\s*\d+:\d+:\d+[,.]?\d*")


def read_subtitles(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Stretches of speech, each at the line with the times of its first cue.

    Lines of a cue and cues are joined by a space, those of another speaker by a line end. Tags of
    formatting and voices, positions and notes are no text; sounds in brackets (`[music]`) are,
    since somebody wrote them: `drop_matching` of the card can leave them out.
    """
    for file in files:
        said: list[str] = []
        begun = end = line = 0
        for number, cue, text in _cues(file, corpus.encoding):
            start = cue.start_time.in_milliseconds()
            pause = start - end >= PAUSE_MS or not 0 <= start - begun < STRETCH_MS
            if said and pause:
                yield Record(f"{file.name}:{line}", {"text": "".join(said).strip()})
                said = []
            if not said:
                begun, line = start, number
            said.append(text)
            end = cue.end_time.in_milliseconds()
        if said:
            yield Record(f"{file.name}:{line}", {"text": "".join(said).strip()})


def _cues(file: SourceFile, encoding: Encoding) -> Iterator[tuple[int, Any, str]]:
    """Yield (line number of its times, cue, what is said with a space or line end before it)."""
    lines = _lines(file, encoding)
    web = lines[0].startswith("WEBVTT")
    library("webvtt", form="subtitles")
    from webvtt import from_buffer
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    try:
        begin = next((at for at, line in enumerate(lines) if line), 0)
        found = from_buffer(lines[begin:], format="vtt" if web else "srt")
    except (MalformedFileError, MalformedCaptionError) as error:
        what = "a file of subtitles (SRT or WebVTT)"
        raise unreadable(file.name, what=what, why=str(error)) from None
    for number, cue in _placed(lines, found.captions, web=web, name=file.name):
        text = ""
        for raw in cue.lines:
            plain = _POSITION.sub("", _TAG.sub("", raw))
            words = (unescape(plain) if web else plain).strip()
            turn = words.startswith(DASHES) or raw.startswith("<v")
            text += ("\n" if turn else " ") + words if words else ""
        if text:
            yield number, cue, text


def _lines(file: SourceFile, encoding: Encoding) -> list[str]:
    """Return the lines as an editor numbers them, and never none; what is no SRT is left as is."""
    try:
        size_bytes = file.path.stat().st_size
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror}") from None
    if size_bytes > MAX_BYTES:
        raise DataError(
            f"{file.name}: larger than {MAX_BYTES // 2**20} MiB; is it a file of subtitles?"
        )
    lines = [
        no_nul(part, where=f"{file.name}:{number}")
        for number, line in numbered_lines(file, encoding=encoding)
        for part in line.split("\r")  # the line ends of old Macs
    ]
    if lines and lines[0].startswith("WEBVTT"):
        return lines
    return [line.strip() for line in lines] or [""]


def _placed(
    lines: Sequence[str], cues: Sequence[Any], *, web: bool, name: str
) -> Iterator[tuple[int, Any]]:
    """Yield each cue with the line number of its times.

    The library passes over what it cannot read. Here every line with text is in a cue or no text
    by the rules of the format, or DataError names it.
    """
    waiting = deque((cue, text) for cue in cues for text in cue.lines if text.strip())
    marks = _marks(lines, web=web)
    end = max((number for number, line in enumerate(lines, start=1) if line), default=0)
    timed, last = 0, None
    for number, line in enumerate(lines, start=1):
        if number in marks:
            continue
        torn = "" if web else _torn(lines, number, end=end)
        if not torn and waiting and waiting[0][1] == line:
            cue, _ = waiting.popleft()
            if cue is not last:
                yield timed, cue
            last = cue
        elif ARROW in line:
            timed = number
        else:
            why = torn or "it has no line before it with times, as in 00:01:02.345 --> 00:01:04.345"
            raise unreadable(f"{name}:{number}", what="a cue of subtitles", why=why)


def _torn(lines: Sequence[str], number: int, *, end: int) -> str:
    """Return why a line of SRT is the rest of a cue, which the library would take for text."""
    line = lines[number - 1]
    if ARROW not in line and _TIME.match(line):
        return "a time without -->"
    if number == end and _NUMBER.fullmatch(line) and not lines[number - 2]:
        return "the file ends after the number of a cue"
    return ""


def _marks(lines: Sequence[str], *, web: bool) -> set[int]:
    """Return the numbers of lines that are no text: blank, the name of a cue, header and notes."""
    found = set()
    aside = web  # the header
    reach = 1 if web else 2  # in SRT a blank line may stand between a number and its times
    for number, line in enumerate(lines, start=1):
        first = number == 1 or not lines[number - 2]
        if web and first and _ASIDE.match(line):
            aside = True
        if not line or ARROW in line:
            aside = False
        after = next((text for text in lines[number : number + reach] if text), "")
        named = ARROW in after and ARROW not in line and (first if web else _NUMBER.fullmatch(line))
        if aside or named or not line.strip():
            found.add(number)
    return found
