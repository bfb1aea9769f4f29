"""The time of the attempts at a training run by part, in a line and as facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.artefacts.timeline.attempts import PARTS, Attempt
from finetune.messages import Sentence, counted, joined, sentence
from finetune.output.durations import duration

ORDER = ("compute", "data", "validation", "checkpoints", "start_up", "finish", "other")
"""The parts as they are shown."""


def seconds_by_part(attempts: Sequence[Attempt]) -> dict[str, float]:
    """Return the seconds of each part that was recorded, over all attempts; `other` is the rest."""
    found: dict[str, float] = {}
    for attempt in attempts:
        for part in (*PARTS, "other"):
            seconds = getattr(attempt, part)
            if seconds is not None:
                found[part] = found.get(part, 0.0) + seconds
    return {part: found[part] for part in ORDER if part in found}


def times_line(attempts: Sequence[Attempt]) -> tuple[Sentence, dict[str, Any]]:
    """Return the shares of the time in a line, and the seconds of each part as facts."""
    parts = seconds_by_part(attempts)
    whole = sum(parts.values())
    line = counted(
        "time: {time} in {count} attempt; {shares}",
        "time: {time} in {count} attempts; {shares}",
        len(attempts),
        time=duration(whole),
        shares=shares(parts),
    )
    lost = sum(attempt.lost_steps for attempt in attempts)
    if lost:
        line = joined(
            [line, counted("{count} step was done twice", "{count} steps were done twice", lost)],
            between="; ",
        )
    facts = {"attempts": len(attempts), "seconds_by_part": parts, "lost_steps": lost}
    return line, facts


def shares(parts: dict[str, float]) -> Sentence:
    """Return each part's share of all parts, in words."""
    whole = max(sum(parts.values()), 1e-9)
    return joined([_share(part, seconds / whole) for part, seconds in parts.items()], between=", ")


def _share(part: str, of_whole: float) -> Sentence:
    return {
        "compute": sentence("steps {share:.0%}", share=of_whole),
        "data": sentence("batches {share:.0%}", share=of_whole),
        "validation": sentence("validation {share:.0%}", share=of_whole),
        "checkpoints": sentence("checkpoints {share:.0%}", share=of_whole),
        "start_up": sentence("start-up {share:.0%}", share=of_whole),
        "finish": sentence("writing the adapter {share:.0%}", share=of_whole),
        "other": sentence("other {share:.0%}", share=of_whole),
    }[part]
