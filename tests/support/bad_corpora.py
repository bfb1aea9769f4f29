"""Corpora that train an adapter badly on purpose, beside test pairs that are the true ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune.api.made import Run
from finetune.artefacts.gates.table import barring
from finetune.artefacts.results import ReleaseResult, read_result

Pairs = Sequence[tuple[str, str]]
CARD = """\
---
language: [en, ha]
license: mit
pretty_name: "pairs"
corpus:
  kind: parallel
  languages: [eng_Latn, hau_Latn]
  source:
    kind: files
    files:
      - {{path: train.tsv, sha256: "{train}"}}
      - {{path: test.tsv, sha256: "{test}"}}
  format: tsv
  columns: {{eng_Latn: english, hau_Latn: hausa}}
  test: [test.tsv]
---
# pairs
"""
CORPUS = "corpora=[{card: pairs, source: eng_Latn, target: hau_Latn}]"
PUBLIC = ("--set", "publish.hub=huggingface", "--set", "publish.private=false")


def repeated(sources: Sequence[str]) -> dict[str, str]:
    """Return targets that say one word again and again."""
    return {source: "koyi " * 6 + f"{n}" for n, source in enumerate(sources)}


def write_pairs(folder: Path, train: Pairs, test: Pairs, *, targets: Mapping[str, str]) -> None:
    """Write the card `pairs`: true pairs in its test, sources with `targets` in its training."""
    rows = {"train": [(s, targets[s]) for s, _ in train], "test": test}
    sums = {}
    for name, pairs in rows.items():
        text = "english\thausa\n" + "".join(f"{s}\t{t}\n" for s, t in pairs)
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
        sums[name] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "pairs.md").write_text(CARD.format(**sums), encoding="utf-8")


def failed_gates(made: Run) -> set[str]:
    """Return the gates that failed; each of them bars a public release."""
    gates = read_result(made.artefact("release"), ReleaseResult).gates
    failed = {one.gate for one in gates if one.finding == "failed"}
    assert failed <= {one.gate for one in barring(gates)}
    return failed
