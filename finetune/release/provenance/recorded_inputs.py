"""Local files of a recipe, as checksums: from the manifests, in which the stages recorded them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.errors import RecipeError
from finetune.output.paths import home_filled_in
from finetune.release.provenance.provenance_index import INPUTS, LocalInput
from finetune.release.recorded import json_of
from finetune.sources.checksums import checksums
from finetune.spec.recipe import Recipe
from finetune.spec.resolved import with_local_paths
from finetune.spec.sections.compared_model import role_of
from finetune.spec.task_file import read_task_file

_PLAIN = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
_NO_WORD = re.compile(r"[^a-z0-9]+")


def made_of(artifact: Artifact | None) -> Mapping[str, Any]:
    """Return what the key of an artefact was made from; {} if it has no manifest."""
    content = json_of(artifact, "manifest.json").get("content", {})
    found = content.get("content", {}) if isinstance(content, dict) else {}
    return found if isinstance(found, dict) else {}


def local_inputs(job: Job, *, start: Mapping[str, Any]) -> tuple[Recipe, list[LocalInput]]:
    """Return the recipe with paths below `./inputs`, and what belongs there.

    `start` is what the key of the first training was made from.
    """
    found: list[LocalInput] = []

    def change(key: str, path: str) -> str:
        word = _NO_WORD.sub("-", key.lower()).strip("-")
        name = Path(path).name
        name = name if _PLAIN.fullmatch(name) else f"file{Path(path).suffix}"
        files, is_folder = _files(job, key, path=path, name=name, start=start)
        found.append(LocalInput(key=key, folder=f"{INPUTS}/{word}", files=files))
        return f"./{INPUTS}/{word}" + ("" if is_folder else f"/{name}")

    return with_local_paths(job.recipe, change), found


def _files(
    job: Job, key: str, *, path: str, name: str, start: Mapping[str, Any]
) -> tuple[dict[str, str], bool]:
    """Return name -> sha256 of the files behind a path, and whether it is a folder."""
    at = int(found[1]) if (found := re.search(r"\[(\d+)\]", key)) else 0
    if key.endswith("start_from"):
        return _sums(start.get("train", {}).get("start_from")), True
    if key.startswith("evaluate.tasks"):
        return _task_files(path, name), False
    if key.startswith(("base", "evaluate.models")):
        return _model_files(job, key, at=at, name=name)
    return _one(name, _stated(job, key, at=at)), False


def _model_files(job: Job, key: str, *, at: int, name: str) -> tuple[dict[str, str], bool]:
    role = "base" if key.startswith("base") else role_of(job.recipe.evaluate.models[at].name)
    content = made_of(job.inputs.get(role))
    if key.endswith(".adapter"):
        return _sums(content.get("adapter", {}).get("files")), True
    if "sha256" in content:
        return _one(name, content["sha256"]), False
    return _sums(content.get("files")), not name.endswith(".gguf")


def _stated(job: Job, key: str, *, at: int) -> str | None:
    """Return the checksum of a file that recipe or manifest state."""
    recipe = job.recipe
    if key.startswith("prepare.evaluation_sets"):
        return recipe.prepare.evaluation_sets[at].sha256
    if key.startswith("prepare.identify"):
        return getattr(recipe.prepare.identify.models[at], "sha256", None)
    if key.startswith("release.judgements"):
        listed = job.content.get("judgements", ())
    else:
        listed = made_of(job.inputs.get("evaluate")).get("prompts", ())
        at += len(recipe.prompt_files) - len(recipe.evaluate.prompts or ())
    return listed[at] if at < len(listed) else None


def _task_files(path: str, name: str) -> dict[str, str]:
    try:
        files = read_task_file(home_filled_in(path)).files
        sums = checksums(files)
    except (RecipeError, OSError):  # gone since the evaluation
        return {}
    root = files[0].parent
    inner = {file: file.relative_to(root).as_posix() for file in files[1:]}
    return {inner.get(file, name): digest for file, digest in sums.items()}


def _sums(found: Any) -> dict[str, str]:
    return dict(found) if isinstance(found, dict) else {}


def _one(name: str, sha256: str | None) -> dict[str, str]:
    return {name: sha256} if sha256 else {}
