"""Find the tokenizer of a base, named as in a recipe; nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.errors import RecipeError, first_line
from finetune.models.base import find_gguf, gguf_tokenizer
from finetune.pipeline.store import Store
from finetune.spec.load import load_recipe
from finetune.spec.recipe import Base
from finetune.tokenizer.vocabulary import Vocabulary, vocabulary_of

_NO_LIMIT = 10**9
"""transformers writes a model_max_length beyond this where there is none."""


@dataclass(frozen=True, slots=True)
class OpenedBase:
    """A base's tokenizer, and how many tokens its context holds, if the base says so."""

    name: str
    source: str
    vocabulary: Vocabulary
    context_tokens: int | None


def open_bases(names: Sequence[str], *, store: Store) -> dict[str, OpenedBase]:
    """Return the bases by a short name, in the order given.

    A name is what `base.model` of a recipe takes (a folder, a .gguf file, `package:DIST/PATH`, a
    Hub id that is in the store, also as `org/name@COMMIT`) or a recipe, whose base is meant.

    Raises RecipeError with every base that cannot be found or opened.
    """
    opened: dict[str, OpenedBase] = {}
    problems: list[str] = []
    for given in dict.fromkeys(names):
        try:
            one = _open(given, store)
        except RecipeError as error:
            problems += (f"--base {given}: {problem}" for problem in error.problems)
            continue
        opened[given if one.name in opened else one.name] = one
    if problems:
        raise RecipeError(*problems)
    return opened


def _open(given: str, store: Store) -> OpenedBase:
    base = _named(given)
    if base.kind == "hub":
        artifact = _fetched(base, store)
        folder = artifact.path / "model"
        return OpenedBase(base.model, str(artifact.result["source"]), *_from_folder(folder))
    if base.kind == "directory":
        folder = Path(base.model).expanduser()
        return OpenedBase(
            folder.resolve().name, f"folder {folder.resolve().name}", *_from_folder(folder)
        )
    path, source = find_gguf(base)
    try:
        tokenizer = gguf_tokenizer(path)
    except Exception as error:  # the readers of GGUF raise whatever a damaged file makes them
        raise RecipeError(f"no tokenizer can be read from it: {first_line(error)}") from error
    return OpenedBase(path.stem, source, *_fast(tokenizer))


def _named(given: str) -> Base:
    if given.endswith((".yaml", ".yml")):
        return load_recipe(Path(given)).base
    model, _, revision = (
        given.partition("@") if not given.startswith("package:") else (given, "", "")
    )
    # only where it lies is asked here; a bare name has no licence
    return Base.model_construct(model=model, revision=revision or None)


def _fetched(base: Base, store: Store) -> Artifact:
    """Return the newest artefact of a Hub base (of its commit, if one is named)."""
    there = [
        (manifest["finished"], artifact)
        for artifact, manifest in store.artifacts()
        if artifact.stage == "base" and str(artifact.result.get("source", "")).startswith("Hub ")
    ]
    fitting = [
        (finished, artifact)
        for finished, artifact in there
        if str(artifact.result["source"]).startswith(f"Hub {base.model}@{base.revision or ''}")
    ]
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    known = sorted({str(a.result["source"]).removeprefix("Hub ") for _, a in there})
    hint = f"; Hub models there: {', '.join(known)}" if known else ""
    if Path(base.model).is_dir():
        hint += f"; if the folder is meant, write ./{base.model}"
    raise RecipeError(
        f"not in the store {store.root}{hint}. `finetune fetch RECIPE` gets the base of a recipe"
    )


def _from_folder(folder: Path) -> tuple[Vocabulary, int | None]:
    if not folder.is_dir():
        raise RecipeError("there is no such folder")
    context = _context(folder)
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise RecipeError(
                f"{folder.name}/tokenizer.json cannot be read: {first_line(error)}"
            ) from error
        return vocabulary_of(tokenizer), context
    if not any((folder / name).is_file() for name in ("tokenizer.model", "vocab.json")):
        raise RecipeError(
            "no tokenizer in this folder; it needs a tokenizer.json (or tokenizer.model, or "
            "vocab.json with merges.txt)"
        )
    from transformers import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # converters raise whatever a damaged file makes them
        raise RecipeError(f"its tokenizer cannot be read: {first_line(error)}") from error
    vocabulary, own = _fast(slow)
    return vocabulary, context or own


def _fast(tokenizer: Any) -> tuple[Vocabulary, int | None]:
    if not tokenizer.is_fast:
        raise RecipeError(
            f"its tokenizer ({type(tokenizer).__name__}) cannot be turned into a tokenizer.json"
        )
    return vocabulary_of(tokenizer.backend_tokenizer), _limit(tokenizer.model_max_length)


def _context(folder: Path) -> int | None:
    """Return the context that config.json states, else tokenizer_config.json, else None."""
    config = _json(folder / "config.json")
    inner = config.get("text_config")
    stated = config.get("max_position_embeddings")
    if stated is None and isinstance(inner, Mapping):
        stated = inner.get("max_position_embeddings")
    return _limit(stated) or _limit(_json(folder / "tokenizer_config.json").get("model_max_length"))


def _limit(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < _NO_LIMIT else None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RecipeError(f"{path.parent.name}/{path.name} is no JSON: {error}") from None
    return content if isinstance(content, dict) else {}
