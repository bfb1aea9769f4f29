"""`finetune cards new`: a card from a file of texts and a few answers."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import date
from pathlib import Path

from finetune.cards import words
from finetune.cards.findings import check_card, show_findings
from finetune.cards.interview import answers_of
from finetune.cards.new import write_card
from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.verbs.options import add_cards_folder

ANSWERS = {
    "language": "code and script, e.g. wol_Latn; of translations all, 'fra_Latn wol_Latn'",
    "title": "a title for people",
    "dialect": "dialect or region",
    "orthography": "spelling standard",
    "speakers": "who spoke or wrote, in a sentence",
    "licence": "e.g. cc-by-4.0; of a community: 'NAME https://...'",
    "basis": "of consent: written, spoken, community, licence, public-domain",
    "consent": "what was agreed, in a sentence",
    "withdrawal": "who may take texts back, and how",
    "contact": "whom to ask",
    "personal-data": "none-known, present or removed",
}
"""Answers that can be given as flags; at a terminal the others are asked for."""


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("file", nargs="*", type=Path, help="the texts: one file, or several alike")
    action.add_argument("--name", help="name of the card; default: from the file's name")
    action.add_argument("--format", help="what the files are; default: what their names say")
    action.add_argument("--kind", choices=["text", "parallel", "chat"])
    action.add_argument(
        "--column", action="append", default=[], metavar="ROLE=COLUMN", help="e.g. text=Sentence"
    )
    action.add_argument("--use", action="append", default=[], metavar="USE", help="permitted use")
    action.add_argument("--no-samples", action="store_true", help="show no text in the card")
    for flag, text in ANSWERS.items():
        action.add_argument(f"--{flag}", help=text)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Write a card, and show what it lacks."""
    answers = answers_of(options, lang=lang, ask=_asker(console))
    card, seen = write_card(answers, cards=options.cards)
    console.say(
        words.say("written", lang, path=card.path, count=seen.records),
        card=str(card.path),
        texts=seen.records,
    )
    show_findings(card.path, check_card(card.path, today=date.today()), console=console, lang=lang)
    return 0


def _asker(console: Console) -> Callable[[str], str] | None:
    """Return how to ask a person, or None where nobody sits at a terminal."""
    if console.json_lines or not (sys.stdin.isatty() and console.out.isatty()):
        return None

    def ask(text: str) -> str:
        try:
            return input(f"{text}\n> ")
        except EOFError:
            raise RecipeError("the questions were not answered; nothing was written") from None

    return ask
