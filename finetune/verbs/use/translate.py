"""`finetune translate`: a file in the language of an adapter, its format kept to the byte."""

from __future__ import annotations

import codecs
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from finetune.api.adapters.open_adapter import open_adapter
from finetune.errors import DataError, RecipeError
from finetune.messages import Place, counted, problem, sentence
from finetune.output.console import Console
from finetune.output.paths import is_there
from finetune.pipeline.store import Store
from finetune.translate.formats.format_table import FORMATS
from finetune.verbs.options import positive
from finetune.verbs.problems import already_exists

if TYPE_CHECKING:
    from finetune.artefacts.adapter_source import AdapterSource
    from finetune.translate.text_bytes import Opened
    from finetune.translate.translate_file import Translated


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("file", type=Path, help=f"a file to translate: {', '.join(FORMATS)}")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a new file"
    )
    parser.add_argument(
        "--from", dest="source", metavar="LANGUAGE", help="source, e.g. eng_Latn, if several"
    )
    parser.add_argument(
        "--to", dest="target", metavar="LANGUAGE", help="target, e.g. wol_Latn, if several"
    )
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of its name")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of a table to translate; repeatable",
    )
    parser.add_argument(
        "--paragraphs",
        action="store_true",
        help="of a text, translate lines between blank lines as one (default: each line)",
    )
    parser.add_argument(
        "--encoding", type=_encoding, metavar="NAME", help="of the file (default: UTF-8)"
    )
    parser.add_argument(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="most new tokens per segment (default: evaluate.max_new_tokens of the recipe)",
    )
    parser.add_argument(
        "--no-marks", action="store_true", help="no marks of trust: no validation texts are read"
    )


def run(options: Namespace, console: Console) -> int:
    """Translate a file with the adapter of a recipe, a folder or the Hub."""
    if is_there(options.output):
        raise RecipeError(already_exists(options.output, option="--output"))
    data, opened = _read(options)
    store = Store(options.store)
    source = open_adapter(
        str(options.recipe),
        store=store,
        console=console,
        purpose="translate",
        overrides=options.overrides,
    )
    from finetune.sources.checksums import checksum
    from finetune.translate.directions import chosen_direction, directions_of

    at = Place(options.recipe)
    if source.recipe is None:
        raise RecipeError(
            problem(
                "no-recipe-recorded",
                "no recipe is recorded with this adapter, so the prompt that it was trained with "
                "is not known; use a recipe, or a release of finetune",
                at=at,
            )
        )
    way = chosen_direction(
        directions_of(source.recipe), source=options.source, target=options.target, at=at
    )
    from finetune.translate.loaded_translator import Loading
    from finetune.translate.translate_file import Wanted, translate_file

    made = translate_file(
        Wanted(
            source=options.file,
            data=data,
            opened=opened,
            output=options.output,
            way=way,
            loading=Loading(
                source.base,
                source.adapter,
                template=_template(source),
                system_prompt=source.system_prompt,
                quantization=source.quantization,
                threads=source.recipe.run.threads,
                max_new_tokens=options.max_tokens or source.recipe.evaluate.max_new_tokens,
            ),
            adapter_key=checksum(source.adapter / "adapter_model.safetensors"),
            prepared=None if options.no_marks else source.prepared,
            records=store.root / "calibration",
        ),
        console=console,
    )
    _say(made, options.output, console=console)
    return 0


def _read(options: Namespace) -> tuple[bytes, Opened]:
    """Return the bytes of the file, and its texts; both before any model is loaded."""
    from finetune.translate.formats.cut import Cut
    from finetune.translate.formats.format_table import format_of
    from finetune.translate.text_bytes import opened

    path = options.file
    form = format_of(path, name=options.format)
    cut = Cut(path, tuple(options.column), paragraphs=options.paragraphs)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            problem(
                "not-readable",
                "cannot be read: {why}",
                at=Place(path),
                why=error.strerror or str(error),
            )
        ) from error
    found = opened(data, form, cut, encoding=options.encoding)
    if not found.segments():
        raise DataError(problem("nothing-to-translate", "has no text to translate", at=Place(path)))
    return data, found


def _template(source: AdapterSource) -> Literal["model", "chatml", "plain"]:
    known: dict[str, Literal["model", "chatml", "plain"]] = {"chatml": "chatml", "plain": "plain"}
    return known.get(source.chat_template or "", "model")


def _say(made: Translated, output: Path, *, console: Console) -> None:
    from finetune.translate.review_table import STATES
    from finetune.translate.trust_marks import said

    counts = made.counts
    kept = [row for row in made.rows if row.made.text is None]
    console.say(
        counted("{path}: {count} segment", "{path}: {count} segments", len(made.rows), path=output),
        path=str(output),
        segments=len(made.rows),
        states=counts,
        words_per_second=made.words_per_second and round(made.words_per_second, 2),
        auc=made.calibration and round(made.calibration.auc, 3),
        p_value=made.calibration and round(made.calibration.p_value, 4),
        coverage=made.calibration and made.calibration.coverage,
        levels=len(made.calibration.levels) if made.calibration else 0,
    )
    for state, count in counts.items():
        if state != "translated":
            console.say(sentence("{count} of them: {state}", count=count, state=STATES[state]))
    if made.words_per_second is not None:
        console.say(sentence("words per second: {speed:.1f}", speed=made.words_per_second))
    console.say(said(made.calibration))
    console.say(
        sentence(
            "for a reviewer: {page} and {table}",
            page=f"{output}.review.html",
            table=f"{output}.review.tsv",
        )
    )
    if len(kept) == len(made.rows):
        console.say(sentence("nothing was translated: every source was kept"))


def _encoding(text: str) -> str:
    """Parse the name of an encoding."""
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise ArgumentTypeError(f"{text[:40]!r} is no encoding") from None
