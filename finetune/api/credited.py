"""Credits of a release: of a recipe, of an artefact in the store, or of a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.api.recipes import not_built
from finetune.artefacts.credits.credit_file import CREDITS, MOST_BYTES, read_credits
from finetune.artefacts.credits.shares import CreditRow
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.results import ReleaseResult, read_result
from finetune.errors import RecipeError, ReleaseError, StoreError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.output.paths import is_folder, is_there
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.spec.terms.strictest import StrictestTerms, strictest_terms

_LABEL = re.compile(r"(?:release/)?([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class _WithTerms:
    """Part of `training_data.json`."""

    terms: StrictestTerms | None = None


def credits_of(
    release: str, *, store: Store, overrides: Sequence[str] = (), all_names: bool = False
) -> tuple[CreditRow, ...]:
    """Return the rows of a recipe file, of a release in the store, or of a release folder.

    A release in the store is named by its key (`release/KEY`), or by the name of its recipe: then
    the newest. `all_names` also names contributors whom their card does not permit to name; only a
    recipe has them, because they are in no release. A recipe counts what its training drew, also
    before a release is built.

    Raises RecipeError for a name that is none of these, StoreError if the recipe is not trained.
    """
    path = Path(release)
    if path.suffix in (".yaml", ".yml"):
        return _of_recipe(path, store=store, overrides=overrides, all_names=all_names)
    if all_names or overrides:
        raise RecipeError(
            problem(
                "credits-need-a-recipe",
                "--all-names and --set need a recipe; a release has neither",
                at=Place(release),
            )
        )
    if is_there(path) and is_folder(path):
        return read_credits(path / CREDITS)
    return read_credits(_labelled(release, store).path / CREDITS)


def terms_of_release(
    release: str, *, store: Store, overrides: Sequence[str] = ()
) -> StrictestTerms | None:
    """Return the terms of communities behind a release; it is named as in `credits_of`.

    Those of a recipe are what its cards state now. Raises RecipeError as `credits_of`, ReleaseError
    for a damaged file.
    """
    path = Path(release)
    if path.suffix in (".yaml", ".yml"):
        return strictest_terms(open_project(path, purpose="report", overrides=overrides).cards)
    if not (is_there(path) and is_folder(path)):
        return read_result(_labelled(release, store), ReleaseResult).terms
    data = path / "training_data.json"
    try:
        found = read_json(data, _WithTerms, max_bytes=MOST_BYTES) if data.is_file() else None
    except (OSError, UnreadableError) as error:
        raise ReleaseError(
            problem("unreadable-file", "cannot be read: {why}", at=Place(data), why=str(error))
        ) from None
    return found.terms if found else None


def _labelled(label: str, store: Store) -> Artifact:
    """Return the newest release in the store of this key, or of a recipe of this name."""
    key = _LABEL.fullmatch(label)
    found = [
        artifact
        for artifact, manifest in store.artifacts()
        if artifact.stage == "release"
        and (artifact.key == key[1] if key else manifest.name == label)
    ]
    if not found:
        raise RecipeError(
            problem(
                "no-such-release",
                "is neither a recipe (.yaml), nor a folder, nor a release in {store}; `finetune "
                "runs` lists them",
                at=Place(label),
                store=store.root,
            )
        )
    refuse_damaged(found[-1:], names={CREDITS})
    return found[-1]


def _of_recipe(
    path: Path, *, store: Store, overrides: Sequence[str], all_names: bool
) -> tuple[CreditRow, ...]:
    project = open_project(path, purpose="report", overrides=overrides)
    from finetune.artefacts.credits.drawn_tokens import drawn_tokens
    from finetune.artefacts.credits.shares import credit_rows

    drawn = drawn_tokens(_job(project, store))
    return credit_rows(drawn, project.cards, all_names=all_names)


def _job(project: Opened, store: Store) -> Job:
    """Return the trained adapter and its prepared corpora as the inputs of a stage.

    Raises StoreError if one is not there, or is damaged.
    """
    last = [step for step in steps_of(project) if step.stage.name == "train"][-1]
    wanted = {"train": last} | next(
        {role: step for role, step in user.inputs.items() if role.startswith("prepare")}
        for user in steps_of(project)
        if user.stage.name == "evaluate"
    )
    inputs = {role: store.find(step.stage.name, step.key) for role, step in wanted.items()}
    there = {role: artifact for role, artifact in inputs.items() if artifact is not None}
    if len(there) < len(inputs):
        raise StoreError(not_built(project, store=store, verb="train"))
    refuse_damaged(there.values())
    return Job(
        recipe=project.recipe,
        phase=last.phase,
        cards=project.cards,
        inputs=there,
        workspace=store.root,
        console=Console(),
    )
