"""What the model card says of new tokens, from what stages recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.spec.language import language_name


def extension_facts(
    vocabulary: Mapping[str, Any], evaluated: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what new tokens changed, or None: costs by language, speed, and rows to make."""
    measured = evaluated.get("extension")
    if not vocabulary or not measured:
        return None
    costs = measured["bytes_per_token"].items()
    speeds = measured["tokens_per_second"]
    return {
        "tokens": vocabulary["tokens"],
        "rows": vocabulary["vocabulary"],
        "costs": [
            {
                "language": language_name(language),
                "seconds": {
                    side: speeds[side] * cost[side] for side in cost if speeds[side] is not None
                },
            }
            | cost
            for language, cost in costs
        ],
        "speeds": speeds,
        "training": measured["training_tokens"],
    }
