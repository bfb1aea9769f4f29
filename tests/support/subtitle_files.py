"""Subtitle files of given cues."""

from __future__ import annotations


def srt(*cues: tuple[float, float, str], first: int = 1) -> str:
    """Return an SRT file of (start, end, text)."""
    return "".join(
        f"{number}\n{clock(start)} --> {clock(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, start=first)
    )


def vtt(*cues: tuple[float, float, str], head: str = "WEBVTT") -> str:
    """Return a WebVTT file of (start, end, text)."""
    blocks = (f"{clock(a)} --> {clock(b)}\n{text}\n" for a, b, text in cues)
    return "\n".join([f"{head}\n", *(block.replace(",", ".", 2) for block in blocks)])


def clock(seconds: float) -> str:
    """Return a time as SRT files write it."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"
