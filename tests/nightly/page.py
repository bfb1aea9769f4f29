"""`docs/why/reliability.md`, written from a nightly record: `python -m tests.nightly.page`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from tests.nightly.parts import PARTS
from tests.nightly.record import ROOT, Outcome, Record, read_record

RECORD = ROOT / "docs/why/reliability.json"
PAGE = ROOT / "docs/why/reliability.md"


def page_of(record: Record) -> str:
    """Return the page, in Markdown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    made = Environment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"minutes": _minutes, "cell": _cell, "hours": _hours}
    found = {part.name: record.parts.get(part.name) for part in PARTS}
    return made.get_template("reliability.md.j2").render(parts=PARTS, found=found)


def _minutes(outcome: Outcome) -> str:
    begun, ended = map(datetime.fromisoformat, (outcome.start, outcome.end))
    return f"{(ended - begun).total_seconds() / 60:.0f} min"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _cell(text: str) -> str:
    """Return a text as it stands in a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def main() -> int:
    """Write the page."""
    PAGE.write_text(page_of(read_record(RECORD)), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
