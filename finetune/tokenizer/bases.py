"""Tokenizers of bases, named as in a recipe; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import BaseResult, read_result
from finetune.errors import RecipeError, first_line
from finetune.messages import Place, Problem, problem, sentence
from finetune.models.base import find_gguf, gguf_tokenizer
from finetune.output.paths import home_filled_in, is_folder, path_problem, resolved
from finetune.output.small_files import UnreadableError
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.sources.model_folder import look_at_gguf, read_mapping, reason_of
from finetune.spec.load import load_recipe
from finetune.spec.sections.base_model import Base
from finetune.tokenizer.vocabulary import Vocabulary, vocabulary_of

_READ = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json"),
    *("merges.txt", "added_tokens.json", "special_tokens_map.json"),
)
"""Files of a base that are read here."""
_NO_LIMIT = 10**9
"""transformers writes a model_max_length beyond this where there is none."""


@dataclass(frozen=True, slots=True)
class OpenedBase:
    """A base's tokenizer, and how many tokens its context holds, if the base states it."""

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
    problems: list[Problem] = []
    for given in dict.fromkeys(names):
        try:
            base = _open(given, store)
        except RecipeError as error:
            problems += (_of_option(given, found) for found in error.problems)
            continue
        opened[given if base.name in opened else base.name] = base
    if problems:
        raise RecipeError(*problems)
    return opened


def _of_option(given: str, found: Problem) -> Problem:
    """Return a problem of a base, at the option that names it."""
    key = f"--base {given}: {found.place}" if found.place else f"--base {given}"
    return found.at(Place(key=key))


def _open(given: str, store: Store) -> OpenedBase:
    base = _named(given)
    if base.kind == "hub":
        artifact = _fetched(base, store)
        refuse_damaged([artifact], names=[f"model/{name}" for name in _READ])
        folder = artifact.path / "model"
        return OpenedBase(
            base.model, read_result(artifact, BaseResult).source, *_from_folder(folder)
        )
    if base.kind == "directory":
        folder = home_filled_in(base.model)
        name = resolved(folder).name
        return OpenedBase(name, f"folder {name}", *_from_folder(folder))
    with TemporaryDirectory() as scratch:
        path, source = find_gguf(base, scratch=Path(scratch))
        look_at_gguf(path, where="it")
        try:
            tokenizer = gguf_tokenizer(path)
        except Exception as error:  # the readers of GGUF raise whatever a damaged file makes them
            raise RecipeError(
                problem(
                    "damaged-tokenizer",
                    "no tokenizer can be read from it: {why}",
                    why=first_line(error),
                )
            ) from error
    return OpenedBase(path.stem, source, *_fast(tokenizer))


def _named(given: str) -> Base:
    if given.endswith((".yaml", ".yml")):
        return load_recipe(home_filled_in(given)).base
    if unfit := path_problem(given):
        raise RecipeError(unfit)
    model, _, revision = (
        given.partition("@") if not given.startswith("package:") else (given, "", "")
    )
    # only where it lies is asked here; a bare name has no licence
    return Base.model_construct(model=model, revision=revision or None)


def _fetched(base: Base, store: Store) -> Artifact:
    """Return the newest artefact of a Hub base (of its commit, if one is named)."""
    there = [
        (manifest.finished, artifact, result.source)
        for artifact, manifest, result in store.results("base", BaseResult)
        if result.source.startswith("Hub ")
    ]
    fitting = [
        (finished, artifact)
        for finished, artifact, source in there
        if source.startswith(f"Hub {base.model}@{base.revision or ''}")
    ]
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    known = sorted({source.removeprefix("Hub ") for *_, source in there})
    hint = sentence("Hub models there: {models}", models=known or [sentence("none")])
    if Path(base.model).is_dir():
        hint = sentence("if the folder is meant, write ./{folder}", folder=base.model)
    raise RecipeError(
        problem(
            "base-not-fetched",
            "not in the store {store}; {hint}. `finetune fetch RECIPE` fetches the base of a "
            "recipe",
            store=store.root,
            hint=hint,
        )
    )


def _from_folder(folder: Path) -> tuple[Vocabulary, int | None]:
    if not is_folder(folder):
        raise RecipeError(problem("no-folder", "there is no such folder"))
    context = _context(folder)
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        _mapping(folder / "tokenizer.json")  # has the better message
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise RecipeError(
                problem(
                    "damaged-tokenizer",
                    "{file} cannot be read: {why}",
                    file=str(Path(folder.name, "tokenizer.json")),
                    why=first_line(error),
                )
            ) from error
        return vocabulary_of(tokenizer), context
    if not any((folder / name).is_file() for name in ("tokenizer.model", "vocab.json")):
        raise RecipeError(
            problem(
                "no-tokenizer",
                "no tokenizer in this folder; it needs a tokenizer.json (or tokenizer.model, or "
                "vocab.json with merges.txt)",
            )
        )
    from finetune.models.load import load_tokenizer

    slow = load_tokenizer(folder, where=folder.name)
    vocabulary, own = _fast(slow)
    return vocabulary, context or own


def _fast(tokenizer: Any) -> tuple[Vocabulary, int | None]:
    if not tokenizer.is_fast:
        raise RecipeError(
            problem(
                "slow-tokenizer",
                "its tokenizer ({kind}) cannot be converted to a tokenizer.json",
                kind=type(tokenizer).__name__,
            )
        )
    return vocabulary_of(tokenizer.backend_tokenizer), _limit(tokenizer.model_max_length)


def _context(folder: Path) -> int | None:
    """Return the context that config.json states, else tokenizer_config.json, else None."""
    config = _mapping(folder / "config.json")
    inner = config.get("text_config")
    stated = config.get("max_position_embeddings")
    if stated is None and isinstance(inner, Mapping):
        stated = inner.get("max_position_embeddings")
    return _limit(stated) or _limit(
        _mapping(folder / "tokenizer_config.json").get("model_max_length")
    )


def _limit(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < _NO_LIMIT else None


def _mapping(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or {} if there is none."""
    if not path.exists():
        return {}
    try:
        return read_mapping(path)
    except (OSError, UnreadableError) as error:
        name = f"{path.parent.name}/{path.name}"
        raise RecipeError(
            problem("damaged-model", "{file} {why}", file=name, why=reason_of(error))
        ) from error
