"""`finetune cards new`: a card from a file of texts and a few answers."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import date
from pathlib import Path

from finetune.cards.asking.asked_keys import OPTIONS
from finetune.cards.asking.draft import draft_of
from finetune.cards.check.findings import check_card, show_findings
from finetune.cards.interview import answers_of
from finetune.cards.listing import KINDS
from finetune.cards.new import next_commands, write_card
from finetune.errors import RecipeError
from finetune.messages import Sentence, counted, phrase, problem, sentence
from finetune.output.console import Console
from finetune.output.folding import width_of, wrapped
from finetune.output.terminal import safe
from finetune.spec.card import DataCard
from finetune.spec.formats import UNITS, VERSES
from finetune.spec.sections.split_column import SplitColumn
from finetune.verbs.options import add_cards_folder

ANSWERS = {
    "language": "name or code, e.g. wol_Latn; for translations all: 'fra_Latn, wol_Latn'",
    "title": "a title, as readers will see it",
    "dialect": "dialect or region",
    "orthography": "spelling standard",
    "speakers": "who spoke or wrote, in a sentence",
    "licence": "e.g. cc-by-4.0; of a community: 'NAME https://...'",
    "basis": "of consent: written, spoken, community, licence, public-domain",
    "consent": "what was agreed, in a sentence",
    "withdrawal": "who may withdraw texts, and how",
    "contact": "whom to ask",
    "personal-data": "none-known, present, removed or not-stated",
    "personal-names": "none, public-figures, pseudonymised or present",
}
"""Answers that can be given as options; at a terminal the others are asked for."""


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("file", nargs="*", type=Path, help="the texts: one file, or several alike")
    action.add_argument("--name", help="name of the card; default: from the file's name")
    action.add_argument("--format", help="what the files are; default: what their names say")
    action.add_argument("--kind", choices=["text", "parallel", "chat"])
    action.add_argument(
        "--column", action="append", default=[], metavar="ROLE=COLUMN", help="e.g. text=Sentence"
    )
    action.add_argument(
        "--unit", choices=sorted({*UNITS, *VERSES}), help="one text; default: what the lines show"
    )
    for key, text in OPTIONS.items():
        action.add_argument(f"--{key}", help=text)
    action.add_argument("--sheet", action="append", default=[], help="of an Excel file, to read")
    action.add_argument("--use", action="append", default=[], metavar="USE", help="permitted use")
    action.add_argument("--no-samples", action="store_true", help="show no text in the card")
    for flag, text in ANSWERS.items():
        action.add_argument(f"--{flag}", help=text)
    action.add_argument(
        "--web", action="store_true", help="ask in a page in a browser on this machine"
    )
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write a card, and show the findings about it."""
    if options.web:
        return _on_a_page(options, console, lang)
    answers = answers_of(options, lang=lang, ask=asker(console, lang), tell=console.say)
    card, seen = write_card(answers, cards=options.cards, lang=lang)
    draft_of(options.cards, answers.name).remove()
    text = counted(
        "Wrote {path} ({count} text examined). Read it, and correct it in any text editor.",
        "Wrote {path} ({count} texts examined). Read it, and correct it in any text editor.",
        seen.records,
        path=card.path,
    )
    console.say(text.in_language(lang), card=str(card.path), texts=seen.records)
    if columns := card.corpus.columns:
        pairs = [phrase(f"{role} = {column}") for role, column in columns.items()]
        kind = KINDS[card.corpus.kind]
        text = sentence("Read as {kind}; columns: {columns}", kind=kind, columns=pairs)
        console.say(text.in_language(lang), kind=card.corpus.kind, columns=dict(columns))
    if card.corpus.unit and not answers.unit:
        text = sentence(
            "The lines look hard-wrapped, so `unit: {unit}` was written into the card; if each "
            "line is a text, write `unit: line`",
            unit=card.corpus.unit,
        )
        console.say(text.in_language(lang), unit=card.corpus.unit)
    if isinstance(card.corpus.test, SplitColumn):
        text = sentence(
            "The column {column} says which records are the test, so `test` was written into the "
            "card",
            column=card.corpus.test.column,
        )
        console.say(text.in_language(lang), test=card.corpus.test.model_dump())
    for sample in seen.samples:
        texts = "; ".join(f"{language}: {sample[language]}" for language in sample)
        console.say(f"  {texts}", sample=sample)
    findings = check_card(card.path, today=date.today(), console=console)
    show_findings(card.path, findings, console=console, lang=lang)
    if not console.json_lines:
        _say_next(card, console, lang)
    return 0


def _say_next(card: DataCard, console: Console, lang: str) -> None:
    """Show the next commands, with the names of this card."""
    console.say(sentence("Next, once the card is as you want it:").in_language(lang))
    for text, command in next_commands(card):
        console.say(sentence("{purpose}:", purpose=text).in_language(lang))
        console.show(f"  {command}")  # never folded: it is copied


def _on_a_page(options: Namespace, console: Console, lang: str) -> int:
    """Ask in a browser; a RecipeError if no port can be opened."""
    from finetune.cards.web.form import Form
    from finetune.cards.web.server import serve

    form = Form(options, lang, written=lambda card: console.say(str(card), card=str(card)))
    try:
        serve(form.answer, tell=lambda address: console.say(_open(address).in_language(lang)))
    except OSError as error:
        raise RecipeError(
            problem("no-page", "the page cannot be served: {why}", why=error.strerror)
        ) from None
    return 0


def _open(address: str) -> Sentence:
    return sentence(
        "Open this address in a browser on this machine, unless it is open already: {address} "
        "(Ctrl-C ends the program; your answers are kept in a draft)",
        address=address,
    )


def asker(console: Console, lang: str) -> Callable[[str], str] | None:
    """Return a function that asks a person, or None without a terminal."""
    if console.json_lines or not (sys.stdin.isatty() and console.out.isatty()):
        return None

    def ask(text: str) -> str:
        text = wrapped(text, width_of(console.out))
        try:
            return input(f"{safe(text)}\n> ")
        except EOFError:
            raise RecipeError(
                problem(
                    "not-answered",
                    "not all questions were answered; the same command resumes with the answers "
                    "so far",
                )
            ) from None
        except KeyboardInterrupt:
            kept = sentence("The answers so far are kept; the same command resumes with them.")
            console.say(kept.in_language(lang))
            raise

    return ask
