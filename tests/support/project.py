"""A whole small project in a folder: tiny random model, two corpora, one recipe."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from finetune.release.contents import VARYING_FACTS, VARYING_LINES
from finetune.release.provenance.provenance_index import MANIFESTS, SUMS
from finetune.release.provenance.write_provenance import VARYING
from tests.support.tiny import write_tiny_model

RECIPE = """\
name: tiny
base:
  model: ./model
  hub_id: org/tiny-base
  revision: "0000000000000000000000000000000000000001"
  licence: apache-2.0
corpora:
  - card: pairs
    source: eng_Latn
    target: hau_Latn
  - card: lines
prepare:
  sequence_tokens: 128
  validation_share: 0.15
  test_share: 0.2
lora: {rank: 4}
train:
  max_steps: 4
  batch_tokens: 512
  validate_every_steps: 2
  learning_rate: 5e-3
  warmup_steps: 1
evaluate: {generate_items: 4, max_new_tokens: 8, samples: 2, resamples: 100, control_items: 0,
  kl_prompts: 0}
release: {repo: org/tiny-lora}
run: {checkpoint_every_steps: 1, tensorboard: false, threads: 1}
"""
CARD = """\
---
language: {language}
license: mit
pretty_name: "{name}"
corpus:
  kind: {kind}
  languages: {languages}
  source:
    kind: files
    files:
      - path: {file}
        sha256: "{sha256}"
  format: {format}
  columns: {columns}
---
# {name}
"""


def write_project(folder: Path) -> Path:
    """Write model, cards and recipe; return the recipe's path."""
    write_tiny_model(folder / "model")
    cards = folder / "data_cards"
    cards.mkdir()
    pairs = "english\thausa\n" + "".join(f"open door {i}\tbude kofa {i} ƙ\n" for i in range(60))
    lines = "".join(f"Ina kwana lafiya {i * 7} ɗan gida.\n" for i in range(60))
    (cards / "pairs.tsv").write_text(pairs, encoding="utf-8")
    (cards / "lines.txt").write_text(lines, encoding="utf-8")
    _card(cards, "pairs", file="pairs.tsv", kind="parallel", form="tsv")
    _card(cards, "lines", file="lines.txt", kind="text", form="text")
    (folder / "recipes").mkdir()
    recipe = folder / "recipes" / "tiny.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe


def _card(cards: Path, name: str, *, file: str, kind: str, form: str) -> None:
    parallel = kind == "parallel"
    text = CARD.format(
        name=name,
        language="[en, ha]" if parallel else "[ha]",
        languages="[eng_Latn, hau_Latn]" if parallel else "[hau_Latn]",
        columns="{eng_Latn: english, hau_Latn: hausa}" if parallel else "{}",
        kind=kind,
        file=file,
        format=form,
        sha256=hashlib.sha256((cards / file).read_bytes()).hexdigest(),
    )
    (cards / f"{name}.md").write_text(text, encoding="utf-8")


def repeatable(path: Path) -> str:
    """Return the checksum of a file, without the lines and fields that differ every time."""
    if path.parent.name == MANIFESTS:
        facts = json.loads(path.read_bytes())
        lasting = without_fields(facts, set(VARYING))
        return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()
    changing = ("README.md", "every_eval_ever/", f"provenance/{MANIFESTS}/", f"provenance/{SUMS}")
    if path.name.endswith(".published.json"):
        sums = json.loads(path.read_bytes())
        lasting = {name: found for name, found in sums.items() if not name.startswith(changing)}
        return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()
    lines = path.read_bytes().splitlines(keepends=True)
    if path.name == SUMS:
        lines = [line for line in lines if not line[66:].decode().startswith(changing)]
    varying = tuple(start.encode() for start in (*VARYING_LINES, *VARYING_FACTS))
    kept = [line for line in lines if not line.startswith(varying)]
    return hashlib.sha256(b"".join(kept)).hexdigest()


def without_fields(value: Any, names: set[str]) -> Any:
    """Return a value of JSON without the fields of these names, at any depth."""
    if isinstance(value, list):
        return [without_fields(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    return {k: without_fields(v, names) for k, v in value.items() if k not in names}
