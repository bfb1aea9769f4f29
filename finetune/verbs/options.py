"""Options that several verbs share, and the check that named files exist."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, available, problem
from finetune.output.digits import whole_number
from finetune.output.paths import as_written, is_absent, is_folder, is_there, typed_path

_FOLDERS = {"recipe": "recipes", "site": "slurm/sites", "overlay": "slurm/sites"}
"""Option that names a file -> where such files usually are."""


def add_output_form(parser: argparse.ArgumentParser, *, default: bool | str = False) -> None:
    """Add --json, --verbose and --lang.

    For a sub-verb (`finetune cards list`) the default is argparse.SUPPRESS, so that it does not
    override an option given before the sub-verb.
    """
    parser.add_argument(
        "--json",
        action="store_true",
        default=default,
        help="print JSON lines (docs/reference/json.md)",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="print more detail"
    )
    parser.add_argument(
        "--lang",
        choices=available(),
        default=default or None,
        help="language of messages (default: $FINETUNE_LANG, or the locale)",
    )


def add_recipe(parser: argparse.ArgumentParser, *, optional: bool) -> None:
    """Add the recipe and --set."""
    parser.add_argument(
        "recipe", type=Path, nargs="?" if optional else None, help="recipe, a YAML file"
    )
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add --set."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one value of the recipe, e.g. train.max_steps=20; repeatable",
    )


def add_accept_versions(parser: argparse.ArgumentParser) -> None:
    """Add --accept-versions, which is a --set."""
    parser.add_argument(
        "--accept-versions",
        action="append_const",
        dest="overrides",
        const="run.accept_versions=true",
        help="resume from a checkpoint that other versions of finetune or its packages wrote",
    )


def add_store(parser: argparse.ArgumentParser, *, holds: str = "artefacts") -> None:
    """Add --store."""
    from finetune.pipeline.store_folder import default_store

    parser.add_argument(
        "--store",
        type=store_folder,
        metavar="DIR",
        default=str(default_store()),  # parsed like a typed value
        help=f"store with the {holds} (default: $FINETUNE_STORE or .finetune)",
    )


def store_folder(text: str) -> Path:
    """Parse the folder of a store, which may not exist yet: the `type` of an option.

    The path becomes absolute, its links stay as written.
    """
    try:
        path = as_written(typed_path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    nearest = next(p for p in (path, *path.parents) if is_there(p))
    if not is_folder(nearest):
        what = (
            "is not a folder" if nearest == path else f"is below {nearest}, which is not a folder"
        )
        raise argparse.ArgumentTypeError(f"{text} {what}; name another folder")
    return path


def add_phase(parser: argparse.ArgumentParser) -> None:
    """Add --phase."""
    parser.add_argument("--phase", metavar="NAME", help="stop after this phase of the recipe")


def add_site(parser: argparse.ArgumentParser) -> None:
    """Add --site and --overlay."""
    parser.add_argument(
        "--site",
        type=Path,
        metavar="FILE",
        help="site file of a cluster, e.g. slurm/sites/dev.yaml",
    )
    parser.add_argument(
        "--overlay",
        type=Path,
        metavar="FILE",
        help="your additions to the site (default: ~/.config/finetune/sites/NAME.yaml)",
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add --nodes, --gpus and --time of the training job."""
    parser.add_argument("--nodes", type=positive, metavar="N", help="nodes of the training job")
    parser.add_argument(
        "--gpus",
        type=positive,
        metavar="N",
        help="GPUs of the training job, on all its nodes together",
    )
    parser.add_argument(
        "--time",
        type=time_limit,
        metavar="LIMIT",
        help="time limit of one attempt of the training job, as in sbatch: 4:00:00, 1-12:00:00",
    )


def add_chain(parser: argparse.ArgumentParser) -> None:
    """Add the job chain."""
    parser.add_argument(
        "chain",
        nargs="?",
        metavar="CHAIN",
        help="id of a chain, its first letters, or its folder (default: the newest)",
    )


def add_cards_folder(parser: argparse.ArgumentParser) -> None:
    """Add --cards."""
    parser.add_argument(
        "--cards",
        type=Path,
        default=Path("data_cards"),
        metavar="DIR",
        help="folder of data cards (default: data_cards)",
    )


def positive(text: str) -> int:
    """Parse a whole number of 1 or more: the `type` of an option."""
    number = whole_number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number of 1 or more")
    return number


def time_limit(text: str) -> str:
    """Parse a time limit as sites write it: the `type` of an option."""
    from finetune.spec.site import TIME_LIMIT  # pydantic is slow to start

    if not re.match(TIME_LIMIT, text):
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no time limit; write hours:minutes:seconds, days-hours:minutes, or "
            "minutes"
        )
    return text


def refuse_absent(options: argparse.Namespace) -> None:
    """Raise RecipeError if the recipe, site or overlay that was named is not there."""
    named = {kind: getattr(options, kind, None) for kind in _FOLDERS}
    if named["site"] is None:
        named["overlay"] = None  # the verb asks for the site first
    absent = [
        _absent(path, folder=Path(_FOLDERS[kind]))
        for kind, path in named.items()
        if isinstance(path, Path) and is_absent(path)
    ]
    if absent:
        raise RecipeError(*absent)


def _absent(path: Path, *, folder: Path) -> Problem:
    near = _nearest(path, folder=folder)
    place = Place(path)
    if near is None:
        return problem("no-such-file", "there is no such file", at=place)
    return problem(
        "no-such-file", "there is no such file. Did you mean {near!r}?", at=place, near=near
    )


def _nearest(path: Path, *, folder: Path) -> Path | None:
    """Return the YAML file beside a path or in `folder` whose name is nearest."""
    files = {
        file.stem: file
        for place in (folder, path.parent)
        if is_folder(place)
        for file in place.glob("*.yaml")
    }
    near = difflib.get_close_matches(path.stem[:64], files, n=1)
    return files[near[0]] if near else None
