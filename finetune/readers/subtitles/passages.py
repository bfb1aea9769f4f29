"""Reader of subtitles: one document per stretch of speech of one speaker without a pause.

A sentence runs over several cues, so a single cue is a fragment; and a whole film as one document
would leave nothing to hold out. A document ends where another speaker begins, at a silence of two
seconds, or after a minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from finetune.errors import DataError
from finetune.messages import Place, sentence
from finetune.readers.guards import SPLIT, large_file, no_nul, opened, too_much, unreadable
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.subtitles.cue import Cue
from finetune.readers.subtitles.cue_events import (
    MICRODVD,
    microdvd_cues,
    substation_cues,
    ttml_cues,
)
from finetune.readers.subtitles.cue_files import is_sbv, sbv_cues, srt_cues, vtt_cues
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.spec.values.table_keys import Encoding

PAUSE_MS = 2_000
"""Silence before a new document; pauses within a sentence are shorter."""
STRETCH_MS = 60_000
"""Length after which the next cue begins a new document: automatic captions have no pauses."""
ROLL_MS = 60
"""Gap between two cues of captions that roll up, and length of one that only shows a line again."""
MAX_BYTES = 32 * 2**20
"""A day of speech is about 2 MiB; a subtitle file is read as a whole."""
MAX_LINES = 1_000_000
_DASH = re.compile(r"[-‐–—]+\s*(?=\D)")
"""Beginning of a line of another speaker; before a digit it is a minus sign."""
_NOTES = re.compile(r"(?:(?<!\s)\s++)?[♪♫♬♩]++\s*+")
_SOUND = re.compile(
    r"[-‐–—\s]*+(?:\[[^\[\]]*+\]|【[^【】]*+】|\([^()a-zA-Z]*+[A-Z][^()a-z]*+\)"
    r"|[♪♫♬♩#][♪♫♬♩#\s]*+|(?<=\s))\s*+"
)
"""A line that only names a sound: `[music]`, `(DOOR SLAMS)`, notes without words."""
_CREDITS = re.compile(
    r"^\W*(?:(?:english\s+|french\s+)?(?:sub)?titles?\s+(?:by|from|downloaded|provided|created)\b"
    r"|subtitl(?:ed|ing)\s+by\b|caption(?:s|ed|ing)\s+(?:by|made|provided|copyright)\b"
    r"|(?:re-?)?sync(?:ed|hroni[sz]ed)?\b.{0,40}\bby\b|translat(?:ed|ion)\s*(?:by\b|:)"
    r"|transcri(?:bed|ption|pt)\s*(?:by\b|:)|sous-titr\w+\s*(?:par\b|:|réalis)"
    r"|(?:traduction|traducción|tradução)\s*(?:par\b|por\b|:)|subt[ií]tulos\s+(?:por|de)\b"
    r"|legendas?\s+(?:por|de)\b|untertitel\w*\s*(?:von\b|:))"
    r"|\b(?:opensubtitles|addic7ed|subscene|podnapisi|amara\.org|yts\.mx)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Authors of the subtitles."""


@dataclass(slots=True)
class _Speech:
    """The words since the last pause or change of speaker."""

    at: Place = field(default_factory=Place)
    begun: int = 0
    end: int = 0
    sung: bool = False
    words: list[str] = field(default_factory=list)

    def done(self) -> Iterator[Record]:
        """Yield it, if there is anything, and begin anew."""
        if self.words:
            yield Record(self.at, {"text": " ".join(self.words)})
        self.words = []

    def add(self, words: str, cue: Cue) -> None:
        if not self.words:
            self.at, self.begun = cue.at, cue.start_ms
        self.words.append(words)


def read_passages(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Stretches of speech, each at the line with the times of its first cue.

    A dash or voice tag begins another speaker, and signs of music a song. Lines of a cue and cues
    are joined by a space. Tags, positions, signs of music and dashes are no text; lines that only
    name a sound, credits and damaged cues are rejected.
    """
    for file in files:
        speech = _Speech()
        for found in _fresh(file, corpus):
            if isinstance(found, Rejection):
                yield found
                continue
            cue, fresh = found
            pause = cue.start_ms - speech.end >= PAUSE_MS
            if pause or not 0 <= cue.start_ms - speech.begun < STRETCH_MS:
                yield from speech.done()
            yield from _of_cue(fresh, speech)
            if cue.lines:
                speech.end = cue.end_ms
        yield from speech.done()


def spoken(file: SourceFile, corpus: CorpusBlock) -> Iterator[Rejection | tuple[Cue, str]]:
    """Yield each cue with its words, and what is no speech as rejected, as `read_passages`."""
    for found in _fresh(file, corpus):
        if isinstance(found, Rejection):
            yield found
            continue
        cue, fresh = found
        speech, words = _Speech(), list[str]()
        for unit in chain(_of_cue(fresh, speech), speech.done()):
            if isinstance(unit, Rejection):
                yield unit
            else:
                words.append(unit.fields["text"])
        if words:
            yield cue, " ".join(words)


def _fresh(file: SourceFile, corpus: CorpusBlock) -> Iterator[Rejection | tuple[Cue, Cue]]:
    """Yield each cue, and the same without lines that the one before shows already."""
    before: Cue | None = None
    for cue in _cues(file, corpus):
        if isinstance(cue, Rejection):
            yield cue
            continue
        shown = _shown_again(before, cue)
        before = cue
        for line in cue.lines[:shown]:
            yield Rejection(cue.at, "repeated-cue", line)
        turns = frozenset(number - shown for number in cue.turns)
        yield cue, replace(cue, lines=cue.lines[shown:], turns=turns)


def _shown_again(before: Cue | None, cue: Cue) -> int:
    """Return how many lines of a cue the one before shows already, in captions that roll up."""
    if before is None or cue.start_ms - before.end_ms > ROLL_MS:
        return 0
    for count in (2, 1):
        more = len(cue.lines) > count or cue.end_ms - cue.start_ms <= ROLL_MS
        if more and cue.lines[:count] == before.lines[-count:]:
            return count
    return 0


def _of_cue(cue: Cue, speech: _Speech) -> Iterator[Unit]:
    whole = "\n".join(cue.lines)
    if _CREDITS.search(whole):
        yield Rejection(cue.at, "credits", whole)
        return
    if cue.lines and _SOUND.fullmatch(whole):
        yield Rejection(cue.at, "sound", whole)
        return
    for number, line in enumerate(cue.lines):
        if _SOUND.fullmatch(line):
            yield Rejection(cue.at, "sound", line)
            continue
        words = _NOTES.sub(" ", _DASH.sub("", line, count=1) if _DASH.match(line) else line).strip()
        sung = _NOTES.search(line) is not None
        if words and (number in cue.turns or _DASH.match(line) or sung != speech.sung):
            yield from speech.done()
            speech.sung = sung
        if words:
            speech.add(words, cue)


def _cues(file: SourceFile, corpus: CorpusBlock) -> Iterator[Cue | Rejection]:
    """Yield the cues of a file, by the format that its first lines show.

    Raises DataError for a file without any cue that can be read.
    """
    lines = _lines(file, corpus.encoding)
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("WEBVTT"):
        cues = vtt_cues(file, lines)
    elif first.lstrip().startswith("<"):
        cues = ttml_cues(file, form=corpus.format)
    elif any(line.startswith(("[Script Info]", "[Events]", "Dialogue:")) for line in lines[:50]):
        cues = substation_cues(file, lines)
    elif MICRODVD.fullmatch(first):
        cues = microdvd_cues(file, lines)
    elif is_sbv(lines):
        cues = sbv_cues(file, lines)
    else:
        cues = srt_cues(file, lines)
    readable, faults = False, []
    for cue in cues:
        readable = readable or isinstance(cue, Cue)
        if isinstance(cue, Rejection) and not readable:
            faults.append(cue)  # shown once a cue can be read
            continue
        yield from faults
        faults = []
        yield cue
    if not readable:
        if faults and faults[0].problem:
            raise DataError(*(one.problem for one in faults if one.problem))
        what = sentence("a subtitle file (SRT, WebVTT, ASS, SBV, MicroDVD or TTML)")
        raise unreadable(file.place(), what=what, why=sentence("it has no subtitle"))


def _lines(file: SourceFile, encoding: Encoding) -> list[str]:
    """Return the lines as an editor numbers them."""
    with opened(file) as stream:
        if len(stream.read(MAX_BYTES + 1)) > MAX_BYTES:
            instead = sentence("is it a subtitle file?")
            raise large_file(file, limit=MAX_BYTES, instead=instead)
    lines: list[str] = []
    for number, line in numbered_lines(file, encoding=encoding):
        if len(lines) + line.count("\r") >= MAX_LINES:
            raise too_much(file.place(), what=sentence("lines"), limit=MAX_LINES, instead=SPLIT)
        # the line ends of old Macs
        lines += (no_nul(part, at=file.place(number)) for part in line.split("\r"))
    return lines
