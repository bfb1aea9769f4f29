"""A card of a made-up corpus."""

from __future__ import annotations

from pathlib import Path

from finetune.spec.card import DataCard
from finetune.spec.load import load_card

CARD = """\
---
language: [wo]
license: cc-by-4.0
pretty_name: Radio stories
corpus:
  kind: text
  languages: [wol_Latn]
  source: {kind: files, files: [{path: a.txt, sha256: "SUM"}]}
  format: text
MORE---
# Radio stories
""".replace("SUM", "0" * 64)


def card(folder: Path, more: str = "", *, old: str = "", new: str = "") -> DataCard:
    """Write and load a card; `more` are lines of the corpus block."""
    lines = "".join(f"  {line}\n" for line in more.splitlines())
    path = folder / "radio.md"
    path.write_text(CARD.replace(old, new, 1).replace("MORE", lines), encoding="utf-8")
    return load_card(path)
