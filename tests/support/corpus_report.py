"""The facts of a small corpus report."""

from __future__ import annotations

from typing import Any

from finetune.prepare.checking.checks import REASONS


def facts(**other: Any) -> dict[str, Any]:
    """Return what report.json of a small corpus has, with other sections."""
    counts = {"documents": 1, "rows": 1, "tokens": 9, "supervised_tokens": 5}
    splits = {"train": 1, "validation": 0, "test": 0}
    return {
        "counts": dict.fromkeys(splits, counts),
        "funnel": [
            {
                "card": "c",
                "language": "urd_Arab",
                "read": 3,
                "rejected": {"empty": 2},
                "kept": splits,
            }
        ],
        "languages": {
            "urd_Arab": {
                **{"documents": 1, "splits": splits, "words": 2, "bytes": 9, "tokens": 3},
                **{"bytes_per_token": 3.0, "tokens_per_word": 1.5},
            }
        },
        "reasons": {"empty": str(REASONS["empty"].about)},
        "lengths": {"urd_Arab": [{"from": 5, "kept": 1, "rejected": 2}]},
        "changes": [],
        "findings": [],
        "personal_data": [],
        "kept_samples": {"urd_Arab": ["\u0627\u0628"]},
        "rejected_samples": [],
        "examples": [],
        "documents": [
            {
                "card": "books",
                "documents": 6,
                "held_out": 1,
                "texts": 40,
                "share": 0.1667,
                "why": "",
                "names": ["kare.txt"],
            }
        ],
        **other,
    }
