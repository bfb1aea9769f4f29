"""Adapters in a folder: a release as published, a PEFT folder, or a training run of a store."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune.api.adapters.base_folder import WantedBase, base_of
from finetune.api.adapters.travelling_files import shipped_files
from finetune.artefacts.adapter_source import AdapterSource
from finetune.errors import FinetuneError, RecipeError, ReleaseError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.output.small_files import UnreadableError, read_bytes, read_json
from finetune.pipeline.store import Store
from finetune.sources.checksums import checksum
from finetune.sources.lock import ADAPTER_FILES, adapter_folder
from finetune.sources.model_folder import ADAPTER_CONFIG
from finetune.spec.recipe import Recipe

_RECIPE, _SUMS, _DATA = "provenance/recipe.json", "provenance/SHA256SUMS", "training_data.json"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LICENCE = re.compile(r"^license:\s*[\"']?([a-z0-9][a-z0-9.+-]{0,63})[\"']?\s*$", re.MULTILINE)
_TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Facts that the files beside an adapter state."""

    recipe: Recipe | None = None
    base: WantedBase = field(default_factory=lambda: WantedBase(""))
    languages: tuple[str, ...] = ()
    licence: str | None = None


def of_folder(
    folder: Path,
    *,
    store: Store,
    console: Console,
    base: Path | None = None,
    repo: str | None = None,
    commit: str | None = None,
) -> AdapterSource:
    """Return the adapter in a folder, with its base from `base`, the store or the Hub.

    `repo` and `commit` are those of an adapter that was fetched from the Hub.

    Raises:
        RecipeError: no adapter is there, it is damaged, or it names no base that can be found.
        ReleaseError: the adapter, or its base, is not the one that the release lists.
        InputError, StoreError: the base cannot be had.
    """
    from finetune.models.adapter_files import look_at_adapter, refuse_other_shapes  # with torch
    from finetune.sources.model_folder import look_at

    adapter = adapter_folder(folder)
    if not (adapter / ADAPTER_CONFIG).is_file():
        raise RecipeError(
            problem(
                "no-adapter-in-folder",
                "has no {file}, so it is no adapter of PEFT; name the folder of a release, a PEFT "
                "adapter, or a recipe",
                at=Place(folder),
                file=ADAPTER_CONFIG,
            )
        )
    config, tensors = look_at_adapter(adapter)
    _refuse_others(adapter)
    found = _recorded(adapter, config)
    opened = base_of(found.base, store=store, console=console, given=base)
    refuse_other_shapes(
        tensors, look_at(opened.folder, where=str(opened.folder)).tensors, where=adapter
    )
    recipe = found.recipe
    released = recipe.released.repo if recipe is not None and recipe.is_released else None
    template = adapter / _TEMPLATE
    return AdapterSource(
        name=repo or released or folder.resolve().name,
        base=opened.folder,
        adapter=adapter,
        base_id=found.base.repo,
        base_revision=found.base.revision or opened.revision,
        base_licence=recipe.base.licence if recipe is not None else opened.licence,
        licence=found.licence,
        languages=found.languages,
        quantization=recipe.base.quantization if recipe is not None else "none",
        chat_template=_layout(recipe),
        system_prompt=recipe.prepare.system_prompt if recipe is not None else "base",
        template=template if template.is_file() else None,
        whole_words=_splits_words(adapter),
        recipe=recipe,
        commit=commit,
        shipped=shipped_files(adapter),
    )


def _layout(recipe: Recipe | None) -> str | None:
    if recipe is None:
        return None
    return "plain" if recipe.prepare.layout == "plain" else recipe.prepare.chat_template


def _splits_words(adapter: Path) -> bool:
    """Return whether the manifest of an extended tokenizer says that it splits words itself."""
    shelf = adapter / "provenance" / "manifests"
    results = (_object(path).get("result") for path in sorted(shelf.glob("vocabulary-*.json")))
    return any(isinstance(one, dict) and one.get("whole_words") is True for one in results)


def _refuse_others(adapter: Path) -> None:
    """Raise ReleaseError if files of the adapter are not those that its release lists."""
    path = adapter / _SUMS
    if not path.is_file():
        return
    lines = read_bytes(path).decode("utf-8", errors="replace").splitlines()
    sums = {found[2]: found[1] for line in lines if (found := _SUM.fullmatch(line))}
    problems = []
    for name in (*ADAPTER_FILES, _TEMPLATE):
        if (adapter / name).is_file() and checksum(adapter / name) != sums.get(name):
            problems.append(
                problem(
                    "adapter-not-as-released",
                    "is not the file that {list} states (sha256); copy or fetch the release again",
                    at=Place(adapter / name),
                    list=_SUMS,
                )
            )
    if problems:
        raise ReleaseError(*problems)


def _recorded(adapter: Path, config: dict[str, Any]) -> _Recorded:
    """Return what the files of a release state; what cannot be read is not stated."""
    recipe = _recipe(adapter / _RECIPE)
    data = _object(adapter / _DATA)
    base = data.get("base")
    stated: dict[str, Any] = base if isinstance(base, dict) else {}
    named = str(stated.get("repo") or config.get("base_model_name_or_path") or "")
    revision = stated.get("revision") or config.get("revision")
    sums = stated.get("weights_sha256")
    languages = data.get("languages")
    return _Recorded(
        recipe=recipe,
        base=WantedBase(
            repo=named,
            revision=revision if _fits(_COMMIT, revision) else None,
            weights_sha256={k: v for k, v in sums.items() if _fits(_DIGEST, v)}
            if isinstance(sums, dict)
            else {},
            section=recipe.base if recipe is not None else None,
            at=str(adapter / ADAPTER_CONFIG),
        ),
        languages=tuple(x for x in languages if isinstance(x, str))
        if isinstance(languages, list)
        else (),
        licence=_licence(adapter / "README.md"),
    )


def _fits(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _recipe(path: Path) -> Recipe | None:
    """Return the recipe that a release records; None if this version does not read it."""
    try:
        return Recipe.model_validate(read_json(path, dict[str, Any]))
    except (OSError, UnreadableError, ValidationError, FinetuneError):
        return None


def _object(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, dict[str, Any], max_bytes=32 * 2**20)
    except (OSError, UnreadableError):
        return {}


def _licence(card: Path) -> str | None:
    """Return the licence in the front matter of a model card."""
    try:
        text = read_bytes(card).decode("utf-8", errors="replace")
    except (OSError, UnreadableError):
        return None
    front = re.match(r"\s*---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    found = _LICENCE.search(front[1]) if front else None
    return found[1] if found else None
