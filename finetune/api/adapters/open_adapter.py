"""Opening of an adapter by what a person types: a recipe, a folder, or a name on the Hub.

    source = open_adapter("recipes/hausa-school.yaml", purpose="export", store=store, ...)
    source = open_adapter("./my-adapter", ...)       a release, a PEFT folder, or a training run
    source = open_adapter("org/name@COMMIT", ...)    on the Hub; without COMMIT the newest

`source.base` and `source.adapter` are folders that `models.kinds.kind_of(base).load_base` and
`.load_adapter` open; prompt mode, licence and languages are beside them, and `source.recipe` is the
recipe that a release records (None for an adapter of another program). What is not in the store is
fetched into it, adapter and base alike, so that the next call works without a network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.output.paths import is_file, is_folder
from finetune.pipeline.gate import Purpose
from finetune.pipeline.store import Store

if TYPE_CHECKING:
    from finetune.artefacts.adapter_source import AdapterSource

HUB_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(?:@(?P<revision>[\w][\w./-]{0,99}))?",
    re.ASCII,
)
"""`org/name`, or `org/name@REVISION`: a branch, a tag or a commit."""


def open_adapter(
    source: str | Path,
    *,
    store: Store,
    console: Console,
    purpose: Purpose = "export",
    base: Path | None = None,
    overrides: Sequence[str] = (),
) -> AdapterSource:
    """Return the adapter that a recipe (.yaml), a folder or a name on the Hub means.

    Args:
        source: As it was typed. A folder counts before a name on the Hub.
        store: Where base and trained adapter are, and where fetched ones are kept.
        console: Shows what is fetched, and what is not pinned.
        purpose: The purpose for which a recipe is opened at the gate.
        base: Folder of the base, if it is neither in the store nor on the Hub.
        overrides: `key=value` of --set; of a recipe only.

    Raises:
        RecipeError: no such source, or a folder without adapter, or one that is damaged.
        InputError: no such adapter, base or commit on the Hub, no access, or no safetensors.
        StoreError: not trained, damaged, or it would have to be fetched and there is no network.
        ReleaseError: the adapter is not the one that its release lists.
    """
    text = str(source)
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or is_file(path):
        from finetune.api.adapters.of_recipe import of_recipe

        return of_recipe(path, store=store, purpose=purpose, overrides=overrides)
    if overrides:
        raise RecipeError(
            problem(
                "set-needs-a-recipe",
                "--set needs a recipe; a released adapter is as it was trained",
                at=Place(text),
            )
        )
    if is_folder(path):
        from finetune.api.adapters.of_folder import of_folder

        return of_folder(path, store=store, console=console, base=base)
    named = HUB_NAME.fullmatch(text)
    if named is None:
        raise RecipeError(
            problem(
                "no-such-adapter",
                "is no recipe (.yaml), no folder, and no name on the Hub (org/name, or "
                "org/name@COMMIT)",
                at=Place(text),
            )
        )
    from finetune.api.adapters.hub_adapter import fetched_adapter
    from finetune.api.adapters.of_folder import of_folder

    folder, commit = fetched_adapter(named["repo"], named["revision"], store=store, console=console)
    return of_folder(
        folder, store=store, console=console, base=base, repo=named["repo"], commit=commit
    )
