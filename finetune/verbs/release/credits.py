"""`finetune credits`: whose texts training drew, in shares."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from finetune.messages import joined, sentence
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.terms.term_sentences import TERMS_HEADING, said_of_terms


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "release",
        metavar="RELEASE",
        help="recipe, folder of a release, or release in the store (release/KEY, name of a recipe)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one value of the recipe; repeatable",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print a CSV table")
    form.add_argument("--paragraph", action="store_true", help="print a paragraph for a card")
    parser.add_argument(
        "--all-names",
        action="store_true",
        help="also name contributors whom no release names, to pay them; do not pass it on",
    )


def run(options: Namespace, console: Console) -> int:
    """Show shares by card, licence and contributor."""
    from finetune.api.credited import credits_of, terms_of_release
    from finetune.artefacts.credits.credit_file import as_csv, not_named, said_of_credits

    rows = credits_of(
        options.release,
        store=Store(options.store),
        overrides=options.overrides,
        all_names=options.all_names,
    )
    if options.csv:
        console.answer(as_csv(rows), end="")
        return 0
    if not options.paragraph:
        columns = [
            sentence("by"),
            sentence("name"),
            sentence("licence"),
            sentence("supervised tokens"),
            sentence("share"),
        ]
        table = [
            (
                _kind(row.by, console=console),
                row.name or not_named(row).in_language(console.language),
                row.licence,
                f"{row.supervised_tokens:,}",
                sentence("{share:.2%}", share=row.share).in_language(console.language),
            )
            for row in rows
        ]
        facts = (
            {
                "by": row.by,
                "name": row.name or None,
                "card": row.card or None,
                "licence": row.licence,
                "people": row.people,
                "supervised_tokens": row.supervised_tokens,
                "share": row.share,
            }
            for row in rows
        )
        headings = [heading.in_language(console.language) for heading in columns]
        console.table("", headings, table, name="credits", facts=facts)
    console.say(said_of_credits(rows))
    terms = terms_of_release(
        options.release, store=Store(options.store), overrides=options.overrides
    )
    if terms:
        said = [TERMS_HEADING, *said_of_terms(terms)]
        console.say(joined(said, between="\n- "), terms=asdict(terms))
    return 0


def _kind(by: str, *, console: Console) -> str:
    words = {
        "card": sentence("card"),
        "licence": sentence("licence"),
        "contributor": sentence("contributor"),
    }
    return words[by].in_language(console.language)
