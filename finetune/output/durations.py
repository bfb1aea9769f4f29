"""Times and durations as people read them."""

from __future__ import annotations

import time
from datetime import datetime


def clock(when: str) -> str:
    """Return a time of the chain's files or of Slurm as local `HH:MM`, with the day if not today.

    >>> clock("not a time")
    'not a time'
    """
    try:
        moment = datetime.fromisoformat(when).astimezone()
    except ValueError:
        return when
    today = datetime.now().astimezone().date()
    return moment.strftime("%H:%M" if moment.date() == today else "%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Write a duration for people.

    >>> duration(12), duration(185), duration(5400), duration(200000)
    ('12 s', '3 min', '1 h 30 min', '2 d 7 h')
    """
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def age_seconds(when: float | None) -> float | None:
    """Return how long ago a file's time was."""
    return None if when is None else max(0.0, time.time() - when)
