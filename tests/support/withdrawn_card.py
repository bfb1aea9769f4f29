"""Withdrawal lines, and an artefact of prepared texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.pipeline.store import Request, Store
from finetune.spec.withdrawn import record_hash


def prepared(
    store: Store, key: str, *, cards: list[str], lines: list[dict[str, Any]] | None
) -> None:
    """Put a prepared corpus into the store; without `lines` it is one from before ledgers."""

    def build(workspace: Path) -> dict[str, Any]:
        if lines is not None:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (workspace / "ledger.jsonl").write_text(text)
        return {}

    content = {"content": {"cards": {card: {} for card in cards}}}
    store.build(Request("prepare", key, "tiny", content, {}), build)


def line(text: str, *, card: str = "radio", who: str | None = None) -> dict[str, Any]:
    """Return a line of a ledger."""
    return {"record": record_hash({"text": text}), "card": card, "contributor": who}
