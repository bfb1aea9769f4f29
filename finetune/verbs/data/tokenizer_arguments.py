"""The command-line tree of `finetune tokenizer`; argparse alone, so that --help stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune.verbs import default_store

AUDIT = (
    "what a text costs with the tokenizers of several bases, side by side; nothing is downloaded"
)


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions of `finetune tokenizer` to its parser."""
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    audit = actions.add_parser("audit", help=AUDIT, description=AUDIT)
    # SUPPRESS: what was said before the action is not undone by a default after it
    for flags in (("--json",), ("-v", "--verbose")):
        audit.add_argument(*flags, action="store_true", default=argparse.SUPPRESS)
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", type=Path, metavar="FILE", help="UTF-8 text, one document a line")
    what.add_argument("--card", metavar="CARD", help="name or file of a data card")
    audit.add_argument(
        "--base",
        nargs="+",
        required=True,
        metavar="BASE",
        help="a folder, a .gguf file, package:DIST/PATH, a Hub id in the store, or a recipe",
    )
    audit.add_argument(
        "--parallel",
        type=Path,
        metavar="FILE",
        help="with --text: the same in English, line by line (a parallel card has it by itself)",
    )
    audit.add_argument(
        "--language", metavar="CODE", help="of a card with several: which one, e.g. hau_Latn"
    )
    audit.add_argument(
        "--phone-tokens-per-second",
        type=float,
        default=10.0,
        metavar="X",
        help="how fast a phone writes, for the words a second (default: 10, an assumption)",
    )
    audit.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap")
    audit.add_argument("-o", "--output", type=Path, metavar="FILE", help="an HTML report, offline")
    audit.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        default=default_store(),
        help="where fetched bases lie (default: $FINETUNE_STORE or .finetune)",
    )
