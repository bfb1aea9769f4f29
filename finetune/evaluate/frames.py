"""Frames: the text of a prompt around its source, which the prompts of a direction share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

Frame = tuple[str, str]
"""Text before and after the source."""


def frames_of(prompts: Sequence[str], sources: Sequence[str]) -> list[Frame | None]:
    """Return the frame of each prompt; None where its source is not in it.

    A short source may be in the instruction, too: of several frames it is the one that most of the
    prompts could have.

    >>> frames_of(["to Hausa: Hello", "to Hausa: a"], ["Hello", "a"])
    [('to Hausa: ', ''), ('to Hausa: ', '')]
    """
    possible = [
        list(_frames(prompt, source)) for prompt, source in zip(prompts, sources, strict=True)
    ]
    counts = Counter(frame for frames in possible for frame in frames)
    return [max(frames, key=lambda frame: counts[frame], default=None) for frames in possible]


def inside(text: str, frame: Frame) -> str | None:
    """Return what stands in a frame; None if the text does not have it.

    >>> inside("to Hausa: Hello", ("to Hausa: ", "")), inside("Hello", ("to Hausa: ", ""))
    ('Hello', None)
    """
    before, after = frame
    fits = text.startswith(before) and text.endswith(after)
    if not fits or len(text) < len(before) + len(after):
        return None
    return text[len(before) : len(text) - len(after)]


def _frames(prompt: str, source: str) -> Iterator[Frame]:
    at = prompt.find(source)
    while at >= 0:
        yield prompt[:at], prompt[at + len(source) :]
        at = prompt.find(source, at + 1)
