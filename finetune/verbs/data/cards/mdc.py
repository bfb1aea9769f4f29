"""`finetune cards mdc`: a card for a data set of Mozilla Data Collective."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import PurePosixPath

from finetune.cards.new import name_from, refuse_name
from finetune.errors import RecipeError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.sources.zipped import uncompressed_name
from finetune.spec.formats import format_of_suffix
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("dataset", help="identifier: the last part of the address of its page")
    action.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PATH",
        help="file in its archive; repeatable. Without it the files are listed",
    )
    action.add_argument("--language", help="e.g. wol_Latn; for translations all, with blanks")
    action.add_argument("--kind", choices=["text", "parallel", "chat"])
    action.add_argument("--format", help="what the files are; default: what their names say")
    action.add_argument(
        "--column", action="append", default=[], metavar="ROLE=COLUMN", help="e.g. text=Sentence"
    )
    action.add_argument("--name", help="name of the card; default: from the first file")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """List the files of a data set, or write its card."""
    from finetune.cards.collective_card import Chosen, files_of_dataset, write_collective_card

    if not options.file:
        details, names = files_of_dataset(options.dataset)
        rows = [(name,) for name in names]
        facts = ({"file": name} for name in names)
        console.table(details.name or options.dataset, ["file"], rows, name="files", facts=facts)
        console.say(
            sentence(
                "Licence: {licence}. Read its conditions on {page}, then name files with --file.",
                licence=details.licence or details.licence_name or sentence("not stated"),
                page=details.page,
            ),
            licence=details.licence,
            page=details.page,
        )
        return 0
    languages = (options.language or "").replace(",", " ").split()
    if not languages:
        raise RecipeError(
            problem(
                "no-language",
                "write the language of the texts, e.g. wol_Latn",
                at=Place(key="--language"),
            )
        )
    name = options.name or name_from(options.file[0])
    refuse_name(name, cards=options.cards)
    card = write_collective_card(
        options.dataset,
        Chosen(
            name=name,
            languages=languages,
            kind=options.kind or ("parallel" if len(languages) > 1 else "text"),
            format=options.format or _format_of(options.file[0]),
            files=options.file,
            columns=dict(pair.partition("=")[::2] for pair in options.column),
        ),
        cards=options.cards,
        lang=lang,
    )
    console.say(
        sentence(
            "Wrote {path}. Read the conditions on {page} and complete the card with them.",
            path=card.path,
            page=card.corpus.access.conditions.rpartition(" ")[2],
        ),
        path=str(card.path),
        card=card.name,
    )
    return 0


def _format_of(name: str) -> str:
    """Return the format that the name of a file states; RecipeError if it states none."""
    found = format_of_suffix(PurePosixPath(uncompressed_name(name)).suffix.lower())
    if found is None:
        raise RecipeError(
            problem(
                "unknown-format",
                "the name of {file!r} does not state what it is; write it with --format",
                at=Place(key="--format"),
                file=name,
            )
        )
    return found.name
