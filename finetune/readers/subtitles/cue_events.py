"""Cues of SubStation (ASS, SSA), MicroDVD and TTML files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from finetune.messages import sentence
from finetune.readers.record import Rejection
from finetune.readers.subtitles.cue import Cue, malformed, milliseconds
from finetune.readers.xml_stream import elements, local
from finetune.sources.files import SourceFile

DEFAULT_RATE = 23.976
"""Frames per second of a MicroDVD file that states none."""
MICRODVD = re.compile(r"\{(\d{1,9})\}\{(\d{1,9})\}(.*)")
_CODES = re.compile(r"\{[^{}]*\}")
_DRAWING = re.compile(r"\\p[1-9]")
_STYLE = re.compile(r"\{[a-zA-Z]:[^{}]*\}")
_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect")
_OFFSET = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(h|ms|m|s|f|t)")
_UNITS_MS = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0}
_FRAMES = 30.0


def substation_cues(file: SourceFile, lines: Sequence[str]) -> Iterator[Cue | Rejection]:
    """Yield the dialogue of an ASS or SSA file in order of time; comments and drawings are none."""
    names: Sequence[str] = (*_FIELDS, "text")
    cues: list[Cue] = []
    for number, line in enumerate(lines, start=1):
        kind, colon, rest = line.partition(":")
        if colon and kind.strip() == "Format" and "text" in rest.lower():
            names = [name.strip().lower() for name in rest.split(",")]
        if kind.strip() != "Dialogue":
            continue
        at = file.place(number)
        fields = dict(zip(names, rest.split(",", len(names) - 1), strict=False))
        start = milliseconds(fields.get("start", ""))
        end = milliseconds(fields.get("end", ""))
        raw = fields.get("text", "")
        plain = _CODES.sub("", raw).replace("\\h", " ").replace("\\n", "\\N")
        if start is None or end is None or "text" not in fields:
            why = sentence("{line!r} is no start and end", line=line.strip()[:60])
            yield malformed(at, why, text=plain)
        elif not _DRAWING.search(raw):
            texts = tuple(text for part in plain.split("\\N") if (text := part.strip()))
            cues.append(Cue(at, start, end, texts))
    yield from sorted(cues, key=lambda cue: cue.start_ms)


def microdvd_cues(file: SourceFile, lines: Sequence[str]) -> Iterator[Cue | Rejection]:
    """Yield the cues of a MicroDVD file, whose times are frames."""
    rate = DEFAULT_RATE
    for number, line in enumerate(lines, start=1):
        found = MICRODVD.fullmatch(line)
        at = file.place(number)
        if not line.strip():
            continue
        if found is None:
            yield malformed(at, sentence("a line without frames"), text=line.strip())
            continue
        start, end, raw = int(found[1]), int(found[2]), found[3]
        if start == end == 1 and re.fullmatch(r"\s*\d{1,3}(?:\.\d{1,5})?\s*", raw):
            rate = float(raw) or DEFAULT_RATE
            continue
        plain = (_STYLE.sub("", part).strip().removeprefix("/") for part in raw.split("|"))
        texts = tuple(text for part in plain if (text := part.strip()))
        yield Cue(at, round(1000 * start / rate), round(1000 * end / rate), texts)


def ttml_cues(file: SourceFile, *, form: str) -> Iterator[Cue | Rejection]:
    """Yield the paragraphs of a TTML (DFXP) file."""
    last = 0
    for number, (around, paragraph) in enumerate(elements(file, "p", form=form), start=1):
        at = file.place(part=sentence("subtitle {number:d}", number=number))
        texts = tuple(_lines_of(paragraph))
        root = around[0] if around else paragraph
        times = [_offset(paragraph.get(name, ""), root) for name in ("begin", "end", "dur")]
        begin, end, duration = times
        if begin is None and paragraph.get("begin"):
            why = sentence("{line!r} is no start and end", line=paragraph.get("begin", "")[:60])
            yield malformed(at, why, text="\n".join(texts))
            continue
        start = last if begin is None else begin
        last = end if end is not None else start + (duration or 0)
        yield Cue(at, start, last, texts)


def _lines_of(paragraph: Element) -> Iterator[str]:
    """Yield the lines of a paragraph: `br` ends one, and line ends of the file are spaces."""
    parts: list[str] = []
    waiting: list[Element | str] = [paragraph]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            parts.append(re.sub(r"\s+", " ", part))
            continue
        parts.append("\n" if local(part) == "br" else re.sub(r"\s+", " ", part.text or ""))
        for child in reversed(part):
            waiting += (child.tail or "", child)
    yield from (text for line in "".join(parts).split("\n") if (text := line.strip()))


def _offset(time: str, root: Element) -> int | None:
    """Return a time of TTML in milliseconds; None for what is none."""
    if (clock := milliseconds(re.sub(r":(\d\d)$", "", time) if time.count(":") == 3 else time)) or (
        clock == 0
    ):
        return clock
    found = _OFFSET.fullmatch(time.strip())
    if not found:
        return None
    value, unit = float(found[1]), found[2]
    if unit in _UNITS_MS:
        return round(value * _UNITS_MS[unit])
    name = "frameRate" if unit == "f" else "tickRate"
    rates = [text for key, text in root.attrib.items() if key.rpartition("}")[2] == name]
    rate = float(rates[0]) if rates and rates[0].isdigit() and int(rates[0]) else _FRAMES
    return round(1000 * value / rate)
