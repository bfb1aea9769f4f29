"""Everything a recipe takes from outside the project, how each is pinned, and the lock.

`finetune fetch` writes the lock; every verb after it refuses a thing that changed since.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.errors import DataError, RecipeError
from finetune.sources import fetch
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from finetune.spec.formats import find_format
from finetune.spec.identify import EXTRAS, PACKAGES
from finetune.spec.load import Project


def entries(project: Project) -> dict[str, dict[str, Any]]:
    """Return what the recipe takes from outside: name -> kind, place and pin.

    Raises RecipeError for a file or package that is not there.
    """
    found = {"base": base_entry(project)}
    for name, card in sorted(project.cards.items()):
        found[f"card {name}"] = _card_entry(card)
    return found | identify_entries(project) | evaluation_entries(project)


def base_entry(project: Project) -> dict[str, Any]:
    """Return where the base model comes from, with checksums or commit."""
    base = project.recipe.base
    if base.kind == "hub":
        return {"kind": "hub", "id": base.model, "revision": base.revision}
    if base.kind == "package":
        distribution, _, inner = base.model.removeprefix("package:").partition("/")
        file = fetch.package_file(distribution, inner)
        return {
            "kind": "package",
            "package": f"{distribution}=={version(distribution)}",
            "path": inner,
            "sha256": fetch.checksum(file),
        }
    if base.kind == "gguf":
        return {"kind": "file", "sha256": fetch.checksum(_existing(project, base.model))}
    return {"kind": "directory", "files": folder_checksums(project, base.model)}


def identify_entries(project: Project) -> dict[str, dict[str, Any]]:
    """Return the language-identification models that the recipe names, with version or checksum.

    Raises RecipeError for a package that is not installed, or a file that is missing or has
    another checksum than the recipe says: all problems at once.
    """
    settings = project.recipe.prepare.identify
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for model in settings.models if settings.action != "off" else ():
        try:
            if isinstance(model, str):
                entry = _package_entry(project, PACKAGES[model], extra=EXTRAS.get(model))
                found[f"language model {model}"] = entry
            else:
                _package_entry(project, "fasttext-predict", extra="fasttext")
                found[f"language model {model.name}"] = _pinned_file(
                    project,
                    model.fasttext,
                    sha256=model.sha256,
                    where="prepare.identify.models",
                )
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    return found


def evaluation_entries(project: Project) -> dict[str, dict[str, Any]]:
    """Return the files of evaluation sets, with their checksums.

    Raises RecipeError for every file that is missing or has another checksum than the recipe says.
    """
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for number, one in enumerate(project.recipe.prepare.evaluation_sets):
        where = f"prepare.evaluation_sets[{number}]"
        try:
            entry = _pinned_file(project, one.path, sha256=one.sha256, where=where)
            found[f"evaluation set {one.name} {one.sha256[:12]}"] = entry
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    return found


def _package_entry(project: Project, name: str, *, extra: str | None) -> dict[str, Any]:
    try:
        return {"kind": "package", "package": f"{name}=={version(name)}"}
    except PackageNotFoundError:
        how = f"'finetune-lowres[{extra}]'" if extra else name
        raise RecipeError(
            f"{project.path}: prepare.identify.models: {name} is not installed; "
            f"pip install {how}, or take the model out of the list"
        ) from None


def _pinned_file(project: Project, path: str, *, sha256: str, where: str) -> dict[str, Any]:
    actual = fetch.checksum(_existing(project, path))
    if actual != sha256:
        raise RecipeError(
            f"{project.path}: {where}: {path}: sha256 is {actual}, the recipe says {sha256}; "
            "get the file that was meant, or correct the recipe"
        )
    return {"kind": "file", "sha256": actual}


def folder_checksums(project: Project, folder: str) -> dict[str, str]:
    """Return sha256 of every file of a folder that the recipe names, by relative path."""
    root = _existing(project, folder)
    files = sorted(p for p in root.rglob("*") if p.is_file())
    if not files:
        raise RecipeError(f"{project.path}: {folder!r} has no files")
    return {p.relative_to(root).as_posix(): fetch.checksum(p) for p in files}


def verify_lock(project: Project) -> None:
    """Refuse to go on with something that is not what `finetune fetch` locked.

    Without a lock there is nothing to verify: the pins in recipe and cards hold by themselves.
    """
    locked = fetch.read_lock(project.path)
    if locked is None:
        return
    now = entries(project)
    changed = [name for name in now if name in locked and locked[name] != now[name]]
    if changed:
        again = f"if that is meant, run `finetune fetch {project.path}` again"
        raise RecipeError(
            *(f"{project.path}: {name}: changed since it was locked; {again}" for name in changed)
        )


def check_files(project: Project) -> None:
    """Check that every file of every card is there with its checksum; Hub corpora are fetched."""
    problems: list[str] = []
    for card in project.cards.values():
        try:
            find_format(card.corpus.format)
        except RecipeError as error:
            problems.append(f"{card.path}: corpus.format: {error}")
        if card.corpus.is_fetched or card.is_withdrawn:
            continue
        try:
            resolve_files(card, inputs={})
        except DataError as error:
            problems += error.problems
    for pinned in (identify_entries, evaluation_entries):
        try:
            pinned(project)
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)


def _card_entry(card: DataCard) -> dict[str, Any]:
    source = card.corpus.source
    if source.kind == "hub":
        return {"kind": "hub dataset", "id": source.dataset, "revision": source.revision}
    if source.kind == "url":
        return {"kind": "url", "files": {file.url: file.sha256 for file in source.files}}
    pins = {file.path: file.sha256 for file in source.files}
    if source.kind == "package":
        kind = "package" if source.is_installed else "npm package"
        return {"kind": kind, "package": source.package, "files": pins}
    return {"kind": "files", "files": pins}


def _existing(project: Project, path: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise RecipeError(f"{project.path}: there is no {path!r}")
    return found


@contextmanager
def network(*, allowed: bool) -> Iterator[None]:
    """After `fetch` no stage needs a network: the libraries are told not to try."""
    names = () if allowed else ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        if allowed:
            yield
        else:
            with fetch.network_as_set():  # for clients that were imported before
                yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
