"""Adapters beside that of a recipe, on the same base in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.api.adapters.open_adapter import open_adapter
from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.job import Artifact
from finetune.errors import RecipeError, ReleaseError
from finetune.messages import Place, Problem, problem
from finetune.output.console import Console
from finetune.pipeline.gate import Opened
from finetune.pipeline.store import Store
from finetune.sources.weight_index import weights_sha256

NAME = re.compile(r"[A-Za-z0-9][\w-]{0,39}", re.ASCII)
TAKEN = ("base", "adapter")
"""Names of the recipe's own systems."""


def adapters_beside(
    named: Sequence[str], *, project: Opened, base: Artifact, store: Store, console: Console
) -> dict[str, AdapterSource]:
    """Return the adapters of `NAME=ADAPTER` words, by name, each on the base of a recipe.

    ADAPTER is a recipe, a folder or a name on the Hub. Raises RecipeError for a name that cannot be
    used or is used twice, and for an adapter of another base: by the sha256 of its weights or the
    base's key in the store; where neither is recorded by Hub id and commit.
    """
    found: dict[str, AdapterSource] = {}
    for word in named:
        name, separator, place = word.partition("=")
        if not separator or not NAME.fullmatch(name) or name in (*TAKEN, *found):
            raise RecipeError(
                problem(
                    "no-name-of-adapter",
                    "write NAME=ADAPTER, with a name of its own in letters, digits, - and _ (not "
                    "{taken})",
                    at=Place(key=f"--adapter {word[:60]}"),
                    taken=TAKEN,
                )
            )
        found[name] = _opened(name, place, project=project, base=base, store=store, console=console)
    return found


def _opened(
    name: str, place: str, *, project: Opened, base: Artifact, store: Store, console: Console
) -> AdapterSource:
    is_recipe = Path(place).suffix in (".yaml", ".yml")
    given = None if is_recipe else base.path
    try:
        source = open_adapter(place, store=store, console=console, purpose="chat", base=given)
    except ReleaseError as error:
        if "not-the-base-of-the-adapter" not in error.codes:
            raise
        raise RecipeError(_other_base(name, "another base", project)) from error
    if not _is_on(source, base, project):
        raise RecipeError(_other_base(name, source.base_id or "an unnamed base", project))
    return source


def _is_on(source: AdapterSource, base: Artifact, project: Opened) -> bool:
    """Return whether an adapter belongs to a base, by the surest fact that is recorded of it."""
    folder = base.path / "model"
    if source.base.resolve() != folder.resolve():
        return weights_sha256(source.base) == weights_sha256(folder)
    recorded = _object(source.adapter / "training_data.json").get("base")
    if isinstance(recorded, dict) and recorded.get("weights_sha256"):
        return True  # compared when it was opened
    made_of = _object(source.adapter.parent / "manifest.json").get("inputs")
    if isinstance(made_of, dict) and "base" in made_of:
        return bool(made_of["base"] == f"base/{base.key}")
    mine = project.recipe.base
    same_commit = source.base_revision in (None, mine.revision)
    return source.base_id == mine.released_id and same_commit


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _other_base(name: str, theirs: str, project: Opened) -> Problem:
    return problem(
        "adapter-on-other-base",
        "belongs to {theirs}, the base of this recipe is {mine} (compared by the weights, else by "
        "name and commit); only adapters of the same base can stand beside each other",
        at=Place(key=f"--adapter {name}"),
        theirs=theirs,
        mine=project.recipe.base.released_id,
    )
