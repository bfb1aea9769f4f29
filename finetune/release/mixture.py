"""What of each language and card a training saw, as it was recorded, for the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def seen_rows(train: Mapping[str, Any], *, phases: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a phase, language and card: tokens, unique and repeated tokens, epochs.

    `train` is the result of the last phase's training, `phases` are the names of all. Phases that
    were trained before this was recorded are left out.
    """
    recorded = [*train.get("seen_before", ()), train.get("seen", ())]
    named = zip(phases[-len(recorded) :], recorded[-len(phases) :], strict=True)
    return [
        {"phase": phase, "repeated_tokens": row["tokens"] - row["unique_tokens"]} | row
        for phase, rows in named
        for row in rows
    ]


def mix_in_words(train: Mapping[str, Any]) -> str | None:
    """Return how languages were mixed in a sentence, or None if texts were taken as they are."""
    recorded = train.get("mix")
    if not recorded:
        return None
    mix = recorded["settings"]
    methods = [mix["method"], *(s["method"] for s in mix["stages"] if s["method"])]
    words = {
        "proportional": "by size",
        "temperature": f"by size with temperature {mix['temperature']:g}",
        "unimax": f"by UniMax with at most {mix['max_epochs']:g} epochs",
        "fixed": "by fixed weights",
    }
    used = ", then ".join(dict.fromkeys(words[method] for method in methods))
    stages = f", in {len(mix['stages'])} stages" if mix["stages"] else ""
    return f"Each {mix['by']} had a share of the {mix['unit']} {used}{stages}."
