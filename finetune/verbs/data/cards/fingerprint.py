"""`finetune cards fingerprint`: an evaluation set as hashes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.errors import RecipeError
from finetune.messages import Place, counted, problem
from finetune.output.console import Console


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument(
        "file", nargs="+", type=Path, help="text with one sentence per line, .csv, .tsv or .jsonl"
    )
    action.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="of a table: a column with texts; name the columns of all languages",
    )
    action.add_argument("--out", type=Path, required=True, metavar="FILE.fingerprint")


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write the fingerprint of an evaluation set, and show its checksum."""
    from finetune.prepare.overlap.fingerprints import (
        fingerprint_of,
        texts_of_file,
        write_fingerprint,
    )
    from finetune.sources.checksums import checksum
    from finetune.spec.sections.overlap import FINGERPRINT_SUFFIX, TABLES

    if options.out.suffix != FINGERPRINT_SUFFIX:
        raise RecipeError(
            problem(
                "fingerprint-name",
                "{name!r} must end in {suffix}",
                at=Place(key="--out"),
                name=options.out.name,
                suffix=FINGERPRINT_SUFFIX,
            )
        )
    for path in options.file:
        if path.suffix.lower() in TABLES and not options.column:
            raise RecipeError(
                problem(
                    "table-without-columns",
                    "is a table; name its text columns with --column",
                    at=Place(path),
                )
            )
    texts = (text for path in options.file for text in texts_of_file(path, columns=options.column))
    hashes = fingerprint_of(texts)
    if not hashes.texts:
        raise RecipeError(
            problem("no-text-in-files", "no text in these files: {files}", files=options.file)
        )
    write_fingerprint(hashes, options.out)
    sha256 = checksum(options.out)
    text = counted(
        "{path}: hashes of {count} text, which cannot be read back. In a recipe: "
        "prepare.evaluation_sets, with sha256 {sha256}",
        "{path}: hashes of {count} texts, which cannot be read back. In a recipe: "
        "prepare.evaluation_sets, with sha256 {sha256}",
        hashes.texts,
        path=options.out,
        sha256=sha256,
    )
    console.say(
        text.in_language(lang),
        texts=hashes.texts,
        fingerprint=str(options.out),
        sha256=sha256,
    )
    return 0
