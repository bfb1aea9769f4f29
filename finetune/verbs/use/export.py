"""`finetune export`: an adapter in another format, as a new folder."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from finetune.api.adapters.open_adapter import open_adapter
from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.export_job import ExportJob
from finetune.errors import RecipeError, StoreError, did_you_mean
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.output.paths import is_there
from finetune.pipeline.store import Store
from finetune.spec.entry_points import blamed
from finetune.spec.tables.export_format import (
    EXPORTS,
    GROUP,
    UNCHECKED,
    Export,
    Exported,
    export_format,
)
from finetune.verbs.options import add_overrides
from finetune.verbs.problems import already_exists

_OURS, _WORKSPACE = "finetune-export", "export"
"""Marker file and working folder of an export that is being written."""
_UNCHECKED = ".unchecked"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "source",
        help="recipe, folder of an adapter, or its name on the Hub: org/name, org/name@COMMIT",
    )
    add_overrides(parser)
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help=f"{', '.join(EXPORTS)}, or one from an installed package",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder"
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="DIR",
        help="folder of the base, if it is neither in the store nor on the Hub",
    )
    parser.add_argument(
        "--dtype", metavar="TYPE", help="number format of the weights, e.g. bf16 for merged"
    )
    parser.add_argument(
        "--quantize", metavar="TYPE", help="number format of a GGUF file, e.g. q8_0 or q4_k_m"
    )


def run(options: Namespace, console: Console) -> int:
    """Write an adapter in one of the registered formats; 3 if nothing here could check it."""
    export = export_format(options.format)
    _refuse_choice("--dtype", options.dtype, export.dtypes, export=export)
    _refuse_choice("--quantize", options.quantize, export.quantizations, export=export)
    _refuse_there(options.output)
    source = open_adapter(
        options.source,
        store=Store(options.store),
        console=console,
        base=options.base,
        overrides=options.overrides,
    )
    target, written = write_export(
        source,
        export,
        target=options.output,
        console=console,
        dtype=options.dtype,
        quantize=options.quantize,
    )
    console.say(
        f"{target}: {written.summary}",
        path=str(target),
        checked=written.unchecked is None,
        **written.facts,
    )
    for remark in written.remarks:
        console.say(remark)
    if source.recipe is not None and not source.shipped:
        console.say(
            sentence(
                "no release of this recipe is in the store, so the folder has a notice and no "
                "model card; `finetune release` builds one"
            )
        )
    if written.unchecked is None:
        return 0
    console.say(
        sentence(
            "it could not be checked here, and is not to be published: {why}", why=written.unchecked
        )
    )
    return UNCHECKED


def write_export(
    source: AdapterSource,
    export: Export,
    *,
    target: Path,
    console: Console,
    dtype: str | None = None,
    quantize: str | None = None,
) -> tuple[Path, Exported]:
    """Write an export as the folder `target`, renamed into place when complete; return its place.

    With what travels: model card, notices, licences, provenance. An export that could not be
    checked is kept as `TARGET.unchecked`. Modes of all files follow the umask.

    Raises StoreError if the target exists, and the errors of the export; nothing is left behind
    then.
    """
    from finetune.models.save import follow_umask
    from finetune.release.exports.travelling import write_travelling

    aside = target.with_name(target.name + ".partial")
    if _was_left(aside):
        shutil.rmtree(aside)
    _refuse_there(target)
    workspace = aside / _WORKSPACE
    workspace.mkdir(parents=True)
    (aside / _OURS).touch()
    job = ExportJob(
        source=source, workspace=workspace, console=console, dtype=dtype, quantize=quantize
    )
    try:
        with blamed(export.name, group=GROUP, known=EXPORTS):
            written = export.write(job)
        write_travelling(job, export, written)
        for path in sorted(workspace.rglob("*")):
            if path.is_file():
                follow_umask(path)
        place = target if written.unchecked is None else _unchecked(target)
        workspace.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place, written


def _unchecked(target: Path) -> Path:
    return target.with_name(target.name + _UNCHECKED)


def _refuse_there(target: Path) -> None:
    """Raise StoreError if something is where an export would be written."""
    for folder in (target, _unchecked(target), target.with_name(target.name + ".partial")):
        if is_there(folder) and not _was_left(folder):
            raise StoreError(already_exists(folder))


def _refuse_choice(
    option: str, chosen: str | None, choices: Sequence[str], *, export: Export
) -> None:
    """Raise RecipeError for a choice that a format does not have."""
    if chosen is None or chosen in choices:
        return
    if not choices:
        raise RecipeError(
            problem(
                "option-not-of-format",
                "the format {format} does not take it",
                at=Place(option),
                format=export.name,
            )
        )
    raise RecipeError(
        problem(
            "unknown-choice",
            "{word!r} is none of: {known}{hint}",
            at=Place(option),
            word=chosen[:60],
            known=list(choices),
            hint=did_you_mean(chosen, choices),
        )
    )


def _was_left(aside: Path) -> bool:
    """Return whether a folder holds only the files of an interrupted export."""
    if aside.is_symlink() or not aside.is_dir() or aside.suffix != ".partial":
        return False
    return {path.name for path in aside.iterdir()} <= {_OURS, _WORKSPACE}
