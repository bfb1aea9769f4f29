"""Pins of a recipe's external inputs, and the lock.

`finetune fetch` writes the lock; later commands reject inputs that changed since.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from finetune.errors import DataError, MissingPackageError, RecipeError
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.paths import home_filled_in, is_there
from finetune.sources.benchmark import pins
from finetune.sources.checksums import checksum, checksums
from finetune.sources.files import remember_checksums, resolve_files
from finetune.sources.lock_file import read_lock
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, look_at, reason_of
from finetune.sources.packages import package_file
from finetune.spec.card import DataCard
from finetune.spec.formats import find_format
from finetune.spec.load import Project
from finetune.spec.prompt_set import read_prompts
from finetune.spec.sections.base_model import Base, is_hub_id
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel
from finetune.spec.sections.identify import PACKAGES
from finetune.spec.tables.extras import missing

ADAPTER_FILES = (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files of an adapter that are read; the first two it must have."""
MOST_FILES = 1000
"""More files than the folder of any model has."""


def entries(project: Project, *, only_installed: bool = False) -> dict[str, dict[str, Any]]:
    """Return the external inputs of the recipe: name -> kind, place and pin.

    `only_installed` skips the language-identification packages that are not installed here.
    Raises InputError for a file or package that is not there.
    """
    found = {"base": model_entry(project, project.recipe.base)}
    for model in project.recipe.evaluate.models:
        if isinstance(model, Base):
            found[f"model {model.name}"] = model_entry(project, model)
        if model.adapter is not None:
            found[f"adapter {model.name}"] = adapter_entry(project, model)
    for name, card in sorted(project.cards.items()):
        found[f"card {name}"] = _card_entry(card)
    identifiers = identify_entries(project, only_installed=only_installed)
    return found | identifiers | evaluation_entries(project) | pins.locked(project)


def model_entry(project: Project, base: Base) -> dict[str, Any]:
    """Return where the base, or a model that is compared, comes from: checksums or commit."""
    if base.kind == "hub":
        return {"kind": "hub", "id": base.model, "revision": base.revision}
    if base.kind == "package":
        first, *others = [_file_of_package(*each) for each in base.package_files]
        return {"kind": "package"} | first | ({"parts": others} if others else {})
    if base.kind == "gguf":
        return {"kind": "file", "sha256": checksum(_existing(project, base.model))}
    return {"kind": "directory", "files": folder_checksums(project, base.model)}


def adapter_entry(project: Project, model: ComparedModel | ComparedAdapter) -> dict[str, Any]:
    """Return where the adapter of a compared model comes from: checksums or commit."""
    place = str(model.adapter)
    if is_hub_id(place):
        return {"kind": "hub", "id": place, "revision": model.adapter_revision}
    folder = adapter_folder(_existing(project, place, key="evaluate.models"))
    files = [folder / name for name in ADAPTER_FILES if (folder / name).is_file()]
    return {"kind": "directory", "files": {p.name: s for p, s in checksums(files).items()}}


def adapter_folder(place: Path) -> Path:
    """Return the folder of an adapter: the place itself, or `adapter/` of a training run."""
    inner = place / "adapter"
    return inner if (inner / ADAPTER_FILES[0]).is_file() else place


def _file_of_package(distribution: str, path: str) -> dict[str, Any]:
    return {
        "package": f"{distribution}=={_version(distribution)}",
        "path": path,
        "sha256": checksum(package_file(distribution, path)),
    }


def identify_entries(
    project: Project, *, only_installed: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the language-identification models that the recipe names, with version or checksum.

    Raises RecipeError for a file that is missing or differs from the recipe's checksum, and
    for a package that is not installed, unless those are skipped: all problems at once.
    """
    settings = project.recipe.prepare.identify
    found: dict[str, dict[str, Any]] = {}
    problems: list[Any] = []
    for model in settings.models if settings.action != "off" else ():
        try:
            if isinstance(model, str):
                entry = _package_entry(project, PACKAGES[model])
                found[f"language model {model}"] = entry
            else:
                _package_entry(project, "fasttext-predict")
                found[f"language model {model.name}"] = _pinned_file(
                    project,
                    model.fasttext,
                    sha256=model.sha256,
                    key="prepare.identify.models",
                )
        except MissingPackageError as error:
            problems += () if only_installed else error.problems
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    return found


def absent_packages(project: Project) -> list[str]:
    """Return the packages of language-identification models that are not installed here."""
    settings = project.recipe.prepare.identify
    models = settings.models if settings.action != "off" else ()
    named = [PACKAGES[m] if isinstance(m, str) else "fasttext-predict" for m in models]
    return [name for name in dict.fromkeys(named) if _version(name) is None]


def evaluation_entries(project: Project) -> dict[str, dict[str, Any]]:
    """Return the files of evaluation sets, with their checksums.

    Raises RecipeError for every file that is missing or differs from the recipe's checksum.
    """
    entries: dict[str, dict[str, Any]] = {}
    problems: list[Any] = []
    for number, texts in enumerate(project.recipe.prepare.evaluation_sets):
        key = f"prepare.evaluation_sets[{number}]"
        try:
            entry = _pinned_file(project, texts.path, sha256=texts.sha256, key=key)
            entries[f"evaluation set {texts.name} {texts.sha256[:12]}"] = entry
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    return entries


def judgement_checksums(project: Project) -> list[str]:
    """Return the checksums of the judgements that a release shows.

    Raises RecipeError for a file that is missing.
    """
    return [
        checksum(_existing(project, path, key=f"release.judgements[{number}]"))
        for number, path in enumerate(project.recipe.judgements)
    ]


def prompts_content(project: Project) -> dict[str, list[str]]:
    """Return the checksums of the sets of prompts, for a key; nothing where there are none.

    Raises RecipeError for a file that is missing, or that is no set.
    """
    key = "evaluate.prompts"
    files = [_existing(project, path, key=key) for path in project.recipe.prompt_files]
    for file in files:
        read_prompts(file)
    return {"prompts": [checksum(file) for file in files]} if files else {}


def _package_entry(project: Project, name: str) -> dict[str, Any]:
    release = _version(name)
    if release is None:
        where = f"{project.path}: prepare.identify.models"
        raise missing(
            name, needed_by=where, instead=sentence(", or remove the model from the list")
        )
    return {"kind": "package", "package": f"{name}=={release}"}


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _pinned_file(project: Project, path: str, *, sha256: str, key: str) -> dict[str, Any]:
    actual = checksum(_existing(project, path, key=key))
    if actual != sha256:
        raise RecipeError(
            problem(
                "wrong-checksum",
                "{path}: sha256 is {actual}, the recipe states {stated}; get the file that was "
                "meant, or correct the recipe",
                at=Place(project.path, key=key),
                path=path,
                actual=actual,
                stated=sha256,
            )
        )
    return {"kind": "file", "sha256": actual}


def folder_checksums(project: Project, folder: str) -> dict[str, str]:
    """Return sha256 of every file of a folder that the recipe names, by relative path."""
    root = _existing(project, folder)
    at = Place(project.path)
    try:
        files = sorted(islice((p for p in root.rglob("*") if p.is_file()), MOST_FILES + 1))
        if 0 < len(files) <= MOST_FILES:
            return {p.relative_to(root).as_posix(): s for p, s in checksums(files).items()}
    except OSError as error:
        path = str(error.filename or folder)
        raise RecipeError(
            problem("cannot-be-read", "{path} {why}", at=at, path=path, why=reason_of(error))
        ) from error
    if files:  # a home, or a whole disk: reading all of it takes hours
        raise RecipeError(
            problem(
                "large-folder",
                "{path!r} has more than {limit} files; name the folder of the model alone",
                at=at,
                path=folder,
                limit=MOST_FILES,
            )
        )
    raise RecipeError(
        problem(
            "empty-folder",
            "{path!r} has no files, or its files cannot be listed",
            at=at,
            path=folder,
        )
    )


def verify_lock(project: Project, *, only_installed: bool = False) -> None:
    """Refuse inputs that differ from what `finetune fetch` locked.

    Without a lock there is nothing to verify: the pins in recipe and cards hold by themselves.
    """
    locked = read_lock(project.path)
    if locked is None:
        return
    now = entries(project, only_installed=only_installed)
    changed = [name for name in now if name in locked and locked[name] != now[name]]
    if changed:
        raise RecipeError(
            *(
                problem(
                    "changed-since-lock",
                    "{name}: changed since it was locked; if that is meant, run: {command}",
                    at=Place(project.path),
                    name=name,
                    command=project.typed("fetch"),
                )
                for name in changed
            )
        )


def check_files(project: Project, *, only_installed: bool = False) -> None:
    """Check that every file of every card is there with its checksum; Hub corpora are fetched.

    `only_installed`: as in `entries`. Raises DataError with all problems.
    """
    problems: list[Problem] = []
    remember_checksums(project.cards.values())
    for card in project.cards.values():
        try:
            find_format(card.corpus.format)
        except RecipeError as error:
            at = Place(card.path, key="corpus.format")
            problems += [found.at(at) for found in error.problems]
        if card.corpus.is_fetched or card.is_withdrawn:
            continue
        try:
            resolve_files(card, inputs={})
        except DataError as error:
            problems += error.problems
    problems += _model_problems(project)
    for pinned in (
        partial(identify_entries, only_installed=only_installed),
        evaluation_entries,
        judgement_checksums,
        prompts_content,
    ):
        try:
            pinned(project)
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)


def _model_problems(project: Project) -> list[Problem]:
    problems: list[Problem] = []
    for key, model in _models(project):
        try:
            if isinstance(model, Base) and model.kind == "directory":
                at = Place(project.path, key=f"{key}.model")
                look_at(_existing(project, model.model, key=at.key), where=model.model, at=at)
            if isinstance(model, ComparedModel | ComparedAdapter):
                _refuse_no_adapter(project, model, key=f"{key}.adapter")
        except RecipeError as error:
            problems += error.problems
    return problems


def _models(project: Project) -> Iterator[tuple[str, Base | ComparedAdapter]]:
    """Yield key and section of the base, and of the models that are compared."""
    yield "base", project.recipe.base
    for number, model in enumerate(project.recipe.evaluate.models):
        yield f"evaluate.models[{number}]", model


def _refuse_no_adapter(
    project: Project, model: ComparedModel | ComparedAdapter, *, key: str
) -> None:
    if model.adapter is None or is_hub_id(model.adapter):
        return
    folder = adapter_folder(_existing(project, model.adapter, key=key))
    lost = [name for name in ADAPTER_FILES[:2] if not (folder / name).is_file()]
    if lost:
        raise RecipeError(
            problem(
                "no-adapter",
                "no adapter in {folder!r}: {names} is missing; name the folder of an adapter, or "
                "of a training run in a store (train/KEY)",
                at=Place(project.path, key=key),
                folder=model.adapter,
                names=lost,
            )
        )


def _card_entry(card: DataCard) -> dict[str, Any]:
    source = card.corpus.source
    if source.kind == "hub":
        return {"kind": "hub dataset", "id": source.dataset, "revision": source.revision}
    if source.kind == "url":
        return {"kind": "url", "files": {file.url: file.sha256 for file in source.files}}
    pins = {file.path: file.sha256 for file in source.files}
    if source.kind == "mdc":
        return {"kind": "mdc", "id": source.dataset, "sha256": source.sha256, "files": pins}
    if source.kind == "package":
        kind = "package" if source.is_installed else "npm package"
        return {"kind": kind, "package": source.package, "files": pins}
    return {"kind": "files", "files": pins}


def _existing(project: Project, path: str, *, key: str = "") -> Path:
    existing = home_filled_in(path)
    if not is_there(existing):
        raise RecipeError(
            problem(
                "no-file",
                "there is no {path!r}, or no permission to see it",
                at=Place(project.path, key=key),
                path=path,
            )
        )
    return existing


@contextmanager
def network(*, allowed: bool) -> Iterator[None]:
    """Switch libraries to offline mode: after `fetch` no stage needs a network."""
    names = () if allowed else ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        if allowed:
            yield
        else:
            from finetune.sources.hub_fetch import network_as_set

            with network_as_set():  # for clients that were imported before
                yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
