"""A card without findings, and what `cards check` finds in one that is edited."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

from finetune.cards.check.finding import Finding
from finetune.cards.check.findings import check_card
from finetune.cards.headings import HEADINGS

TODAY = date(2026, 11, 25)
LINES = "".join(f"Nanga def {n}? Maa ngi fi rekk, jërëjëf.\n" for n in range(150))
CARD = """\
---
language: [wo]
license: cc-by-4.0
pretty_name: Radio stories
corpus:
  kind: text
  languages: [wol_Latn]
  source:
    kind: files
    files:
      - path: radio.txt
        sha256: "{sha256}"
  format: text
  consent: {{basis: spoken, statement: open use, withdrawal: a call to the station}}
  personal_data: none-known
  personal_names: none
  contact: the station
---
# Radio stories
"""
PROSE = "".join(f"\n## {heading}\n\nAs it is.\n" for heading in HEADINGS)


def write(folder: Path, *edits: tuple[str, str], texts: str = LINES) -> Path:
    """Write a good card with its texts, then edit it; return its path."""
    (folder / "radio.txt").write_text(texts, encoding="utf-8")
    card = CARD.format(sha256=hashlib.sha256(texts.encode()).hexdigest()) + PROSE
    for old, new in edits:
        assert old in card
        card = card.replace(old, new, 1)
    (folder / "radio.md").write_text(card, encoding="utf-8")
    return folder / "radio.md"


def found(path: Path) -> dict[str, Finding]:
    """Return the findings about a card by code, of each code the most serious one."""
    return {finding.code: finding for finding in reversed(check_card(path, today=TODAY))}
