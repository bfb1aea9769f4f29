"""The table of scores that a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.evaluate.scores import TABLE_COLUMNS, pairs_of, table_rows
from finetune.output.console import Console


def show_scores(result: Mapping[str, Any], *, console: Console) -> None:
    """Show base against adapter, from the result of the stage evaluate."""
    rows = table_rows(pairs_of(result))
    title = "base against adapter, on held-out texts"
    if console.json_lines:
        console.table(title, TABLE_COLUMNS, rows)
        return
    # intervals under their values, so that a terminal of 80 columns is enough
    narrow = [
        (
            f"{metric}\n{where}",
            base.replace(" [", "\n["),
            adapter.replace(" [", "\n["),
            f"{difference}\np {p}" if p.startswith("<") else f"{difference}\np = {p}",
            verdict,
        )
        for metric, where, base, adapter, difference, p, verdict in rows
    ]
    console.table(title, ("", "base [95 %]", "adapter [95 %]", "difference", "verdict"), narrow)
