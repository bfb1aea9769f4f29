"""`finetune cards fingerprint`: an evaluation set as hashes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cards import words
from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.output.console import Console


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
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


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Write the fingerprint of an evaluation set, and say its checksum."""
    from finetune.prepare.overlap.fingerprints import (
        fingerprint_of,
        texts_of_file,
        write_fingerprint,
    )
    from finetune.sources.fetch import checksum
    from finetune.spec.overlap import FINGERPRINT_SUFFIX, TABLES

    if options.out.suffix != FINGERPRINT_SUFFIX:
        raise RecipeError(f"--out {options.out}: the name must end in {FINGERPRINT_SUFFIX}")
    for path in options.file:
        if path.suffix.lower() in TABLES and not options.column:
            raise RecipeError(f"{path}: is a table; name its columns with texts with --column")
    texts = (text for path in options.file for text in texts_of_file(path, columns=options.column))
    found = fingerprint_of(texts)
    if not found.texts:
        raise RecipeError(f"{', '.join(map(str, options.file))}: no text in there")
    write_fingerprint(found, options.out)
    sha256 = checksum(options.out)
    said = words.say("fingerprinted", lang, count=found.texts, path=options.out, sha256=sha256)
    console.say(said, texts=found.texts, fingerprint=str(options.out), sha256=sha256)
    return 0
