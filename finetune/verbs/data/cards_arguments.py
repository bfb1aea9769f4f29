"""The command-line tree of `finetune cards`; argparse alone, so that --help stays quick."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

ACTIONS = {
    "new": "describe texts of yours: a card from a file and a few answers",
    "check": "say in plain words what a card lacks (English or French)",
    "list": "show all cards in a table",
    "catalogue": "make one offline web page of all cards",
    "publish": "put the texts with their card on a hub, private unless told otherwise",
    "review": "write a table of what was left out, for speakers to look through",
    "fingerprint": "hash an evaluation set, so that it can be kept out of training unseen",
    "withdraw": "take texts back; says which corpora, adapters and releases hold them",
}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions of `finetune cards` to its parser."""
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        # SUPPRESS: what was said before the action is not undone by a default after it
        for flags in (("--json",), ("-v", "--verbose")):
            action.add_argument(*flags, action="store_true", default=argparse.SUPPRESS)
        action.add_argument(
            "--lang", choices=["en", "fr"], help="language of messages; default: your system's"
        )
        _OWN[name](action)


def _folder(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--cards",
        type=Path,
        default=Path("data_cards"),
        metavar="DIR",
        help="folder of the cards (default: data_cards)",
    )


def _check(action: argparse.ArgumentParser) -> None:
    action.add_argument("card", nargs="*", help="names or files of cards; default: all")
    _folder(action)


def _new(action: argparse.ArgumentParser) -> None:
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
    _folder(action)


def _withdraw(action: argparse.ArgumentParser) -> None:
    action.add_argument("card", help="name or file of the card")
    action.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="only these: one text, or one fingerprint, a line; default: the whole card",
    )
    action.add_argument("--contributor", metavar="NAME", help="only what this person gave")
    action.add_argument("--dry-run", action="store_true", help="write nothing, only say")
    _store(action)
    _folder(action)


def _review(action: argparse.ArgumentParser) -> None:
    action.add_argument("card", help="name or file of the card")
    action.add_argument("out", type=Path, metavar="OUT.csv", help="opens in any spreadsheet")
    _store(action)
    _folder(action)


def _fingerprint(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "file", nargs="+", type=Path, help="text with one sentence a line, .csv, .tsv or .jsonl"
    )
    action.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="of a table: a column with texts; name every language side",
    )
    action.add_argument("--out", type=Path, required=True, metavar="FILE.fingerprint")


def _store(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        default=Path(os.environ.get("FINETUNE_STORE", ".finetune")),
        help="where artefacts are kept (default: $FINETUNE_STORE or .finetune)",
    )


def _publish(action: argparse.ArgumentParser) -> None:
    action.add_argument("card", help="name or file of the card")
    action.add_argument("--repo", required=True, metavar="ORG/NAME", help="name of the data set")
    action.add_argument(
        "--hub",
        choices=["directory", "huggingface"],
        default="directory",
        help="a local folder (default: hub/ in the store), or the Hugging Face Hub",
    )
    action.add_argument("--directory", type=Path, metavar="DIR", help="root of the folder hub")
    action.add_argument("--public", action="store_true", help="everybody may see it")
    action.add_argument("--dry-run", action="store_true", help="send nothing, only say what")
    _store(action)
    _folder(action)


def _catalogue(action: argparse.ArgumentParser) -> None:
    action.add_argument("out", type=Path, metavar="OUT_DIR", help="gets an index.html")
    _folder(action)


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

_OWN: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "new": _new,
    "check": _check,
    "list": _folder,
    "catalogue": _catalogue,
    "publish": _publish,
    "review": _review,
    "fingerprint": _fingerprint,
    "withdraw": _withdraw,
}
