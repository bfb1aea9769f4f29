"""Read recipes and data cards; every problem at once, each with file:line:column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from finetune.errors import RecipeError, did_you_mean
from finetune.spec.card import DataCard
from finetune.spec.entries import mix_problems, vocabulary_problems
from finetune.spec.permission import personal_problems
from finetune.spec.recipe import Corpus, Recipe
from finetune.spec.text import Document, Path_, hidden_controls, parse, read_text, shown
from finetune.spec.withdrawn import read_withdrawn

Model = TypeVar("Model", bound=BaseModel)

HUB_CARD_KEYS = frozenset(
    (
        "annotations_creators",
        "configs",
        "config_names",
        "dataset_info",
        "extra_gated_button_content",
        "extra_gated_description",
        "extra_gated_fields",
        "extra_gated_heading",
        "extra_gated_prompt",
        "language_bcp47",
        "language_creators",
        "language_details",
        "license_details",
        "multilinguality",
        "paperswithcode_id",
        "size_categories",
        "source_datasets",
        "tags",
        "task_categories",
        "task_ids",
        "train-eval-index",
        "viewer",
        "thumbnail",
    )
)


@dataclass(frozen=True, slots=True)
class Project:
    """A recipe with the cards that it names."""

    path: Path
    recipe: Recipe
    cards: Mapping[str, DataCard]
    overrides: tuple[str, ...] = ()
    """What --set changed."""

    def where(self, place: Path_) -> str:
        """Return `file:line:column` of a key of the recipe, or of the nearest one above it."""
        document = parse(read_text(self.path), source=str(self.path))
        for override in self.overrides:
            _override(document, override)
        return document.where(place)


def load_project(path: Path, *, overrides: Sequence[str] = ()) -> Project:
    """Load a recipe and its cards, and check them against each other.

    Raises RecipeError that lists every problem of every file.
    """
    document, recipe = _load_recipe(path, overrides)
    folder = cards_folder(path)
    cards: dict[str, DataCard] = {}
    problems: list[str] = []
    for place, corpus in _corpora(recipe):
        try:
            if corpus.card not in cards:
                cards[corpus.card] = _find_card(corpus.card, folder)
            problems += (
                f"{document.where(place)}: {shown(place)}: {why}"
                for why in corpus_problems(corpus, cards[corpus.card])
            )
        except _NoSuchCard as error:
            problems.append(
                f"{document.where((*place, 'card'))}: {shown((*place, 'card'))}: {error}"
            )
        except RecipeError as error:
            problems += error.problems
    problems += () if problems else _problems_of_entries(document, recipe, cards)
    for card in cards.values():
        problems += personal_problems(card, recipe.prepare.personal_data)
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return Project(path=path, recipe=recipe, cards=cards, overrides=tuple(overrides))


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe alone. `overrides` are `key=value` as given to --set."""
    return _load_recipe(path, overrides)[1]


def load_card(path: Path) -> DataCard:
    """Load a data card; RecipeError with file:line:column of every problem."""
    text = read_text(path)
    lines = text.split("\n")
    if lines[0].strip() != "---":
        raise RecipeError(f"{path}:1:1: a data card begins with a line `---` and its YAML block")
    ends = [i for i, line in enumerate(lines) if i and line.rstrip() == "---"]
    if not ends:
        raise RecipeError(f"{path}:1:1: the YAML block is not closed by a second line `---`")
    # a blank first line stands for the opening `---`, so that line numbers are the file's
    front = "\n" + "\n".join(lines[1 : ends[0]])
    document = parse(front, source=str(path), as_hub_reads=True)
    if not isinstance(document.values, dict):
        raise RecipeError(f"{path}:2:1: the YAML block must be `key: value` lines")
    values = dict(document.values)
    own = set(DataCard.model_fields) - {"name", "path", "body", "hub_metadata", "withdrawn"}
    unknown = [k for k in values if k not in own and k not in HUB_CARD_KEYS]
    problems = [
        f"{document.where((k,))}: {k}: not a key of a Hub dataset card"
        f"{did_you_mean(k, own | HUB_CARD_KEYS)}"
        for k in unknown
    ]
    problems += hidden_controls(document)
    if isinstance(values.get("language"), str):
        values["language"] = [values["language"]]
    fields = {k: v for k, v in values.items() if k in own}
    fields |= {
        "name": path.stem,
        "path": path,
        "body": "\n".join(lines[ends[0] + 1 :]).strip() + "\n",
        "hub_metadata": {k: v for k, v in values.items() if k in HUB_CARD_KEYS},
        "withdrawn": read_withdrawn(path),
    }
    try:
        card = validate(DataCard, fields, document)
    except RecipeError as error:
        raise RecipeError(*problems, *error.problems) from None
    if problems:
        raise RecipeError(*problems)
    return card


def cards_folder(recipe_path: Path) -> Path:
    """Return the `data_cards` folder of a recipe: the nearest one at or above its folder."""
    start = recipe_path.resolve().parent
    for folder in (start, *start.parents):
        if (folder / "data_cards").is_dir():
            return folder / "data_cards"
    return start / "data_cards"


def card_path(name: str, folder: Path) -> Path:
    """Return the file of a card, named by it or by the card; RecipeError if there is none."""
    given = Path(name)
    found = given if given.suffix == ".md" or given.is_file() else folder / f"{name}.md"
    if not found.is_file():
        known = sorted(p.stem for p in folder.glob("*.md"))
        there = f"; in {folder} there are: {', '.join(known)}" if known else f"; {folder} has none"
        hint = did_you_mean(given.stem, known) or there
        raise RecipeError(f"{found}: there is no such data card{hint}")
    return found


def all_cards(folder: Path) -> list[Path]:
    """Return the files of all cards, by name; RecipeError if there is none."""
    found = sorted(folder.glob("*.md"))
    if not found:
        raise RecipeError(
            f"{folder}: no data cards there; say where they are with --cards, or make one with "
            "`finetune cards new`"
        )
    return found


def corpus_problems(corpus: Corpus, card: DataCard) -> list[str]:
    """Say what of a corpus entry does not fit its card."""
    block = card.corpus
    use = resolved_use(corpus, card)
    problems = []
    fits = {"text": {"text", "parallel"}, "translation": {"parallel"}, "chat": {"chat"}}[use]
    if block.kind not in fits:
        problems.append(f"use: {use} does not fit card {card.name!r}, which is {block.kind}")
    wanted = {"translation": ("source", "target"), "text": ("target",)}.get(use, ())
    if block.kind == "parallel":
        for field in wanted:
            value = getattr(corpus, field)
            if value is None:
                problems.append(
                    f"{field}: needed; card {card.name!r} has {', '.join(block.languages)}"
                )
            elif value not in block.languages:
                problems.append(
                    f"{field}: {value!r} is not in card {card.name!r}"
                    f"{did_you_mean(value, block.languages)}"
                )
    if use == "translation" and corpus.source == corpus.target and corpus.source:
        problems.append("target: the same language as source")
    try:
        corpus.prompt.format(text="", source_name="", target_name="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        problems.append(
            f"prompt: {error!s}: only {{text}}, {{source_name}} and {{target_name}} are filled in"
        )
    if use == "translation" and "{text}" not in corpus.prompt:
        problems.append("prompt: must contain {text}")
    return problems


def resolved_use(corpus: Corpus, card: DataCard) -> str:
    """Return `use` with `auto` replaced by what the card's kind asks for."""
    if corpus.use != "auto":
        return corpus.use
    return {"text": "text", "parallel": "translation", "chat": "chat"}[card.corpus.kind]


class _NoSuchCard(Exception):
    """A recipe names a card that is not in the folder."""


def _corpora(recipe: Recipe) -> Iterable[tuple[Path_, Corpus]]:
    if recipe.phases is None:
        yield from ((("corpora", i), c) for i, c in enumerate(recipe.corpora or ()))
        return
    for p, phase in enumerate(recipe.phases):
        yield from ((("phases", p, "corpora", i), c) for i, c in enumerate(phase.corpora))


def _problems_of_entries(
    document: Document, recipe: Recipe, cards: Mapping[str, DataCard]
) -> Iterable[str]:
    corpora = [c for _, c in _corpora(recipe)]
    for place, why in vocabulary_problems(recipe.vocabulary, corpora, cards):
        yield f"{document.where(place)}: {shown(place)}: {why}"
    for number, phase in enumerate(recipe.stages_of_training):
        inside: Path_ = ("phases", number) if recipe.phases is not None else ()
        for path, why in mix_problems(phase.mix, phase.corpora, cards):
            place = (*inside, *path)
            yield f"{document.where(place)}: {shown(place)}: {why}"


def _find_card(name: str, folder: Path) -> DataCard:
    path = folder / f"{name}.md"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.md"))
        hint = did_you_mean(name, known) or f". There are: {', '.join(known[:20])}"
        raise _NoSuchCard(f"no data card {name!r} in {folder.name}/{hint}")
    return load_card(_relative(path))


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _load_recipe(path: Path, overrides: Sequence[str]) -> tuple[Document, Recipe]:
    document = parse(read_text(path), source=str(path))
    if not isinstance(document.values, dict):
        raise RecipeError(f"{path}:1:1: a recipe is `key: value` lines")
    for override in overrides:
        _override(document, override)
    return document, validate(Recipe, document.values, document)


def _override(document: Document, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: write it as key=value, e.g. train.max_steps=20")
    source = f"--set {override}"
    given = parse(text, source=source) if text.strip() else parse("''", source=source)
    path: list[str | int] = [
        int(part) if part.isdigit() else part
        for part in key.strip().replace("[", ".").replace("]", "").split(".")
    ]
    target = document.values
    for part in path[:-1]:
        if isinstance(target, dict) and isinstance(part, str):
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            target = target[part]
        else:
            raise RecipeError(f"--set {override}: there is no {key!r} in the recipe")
    last = path[-1]
    if not isinstance(target, dict) and not (
        isinstance(target, list) and isinstance(last, int) and last < len(target)
    ):
        raise RecipeError(f"--set {override}: there is no {key!r} in the recipe")
    target[last] = given.values  # type: ignore[index]  # checked just above
    for known in [p for p in document.places if p[: len(path)] == tuple(path)]:
        del document.places[known]
    for place, written in given.places.items():
        document.places[(*path, *place)] = replace(written, source=source)


def validate(model: type[Model], values: Any, document: Document) -> Model:
    """Return the values as a model; a string takes the scalar as it was written (7e12345).

    Raises RecipeError with file:line:column of every problem.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        repaired = False
        for problem in error.errors():
            place = _real_path(problem["loc"], values)
            raw = document.places[place].raw if place in document.places else None
            if (
                problem["type"] in ("string_type", "literal_error")
                and raw is not None
                and not isinstance(_at(values, place), str)
                and _at(values, place) is not None
            ):
                _at(values, place[:-1])[place[-1]] = raw
                repaired = True
        if repaired:
            return validate(model, values, document)
        raise RecipeError(*_explained(error, model, values, document)) from None


def _real_path(loc: Sequence[str | int], values: Any) -> Path_:
    """Drop what pydantic adds to a location (union branches), keeping what is in the file."""
    path: list[str | int] = []
    for part in loc:
        here = _at(values, tuple(path))
        known = (isinstance(here, dict) and isinstance(part, str)) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if known and (isinstance(part, int) or part in here or part == loc[-1]):
            path.append(part)
    return tuple(path)


def _at(values: Any, path: Path_) -> Any:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _explained(
    error: ValidationError, model: type[BaseModel], values: Any, document: Document
) -> list[str]:
    problems = []
    for problem in error.errors():
        path = _real_path(problem["loc"], values)
        kind, message = problem["type"], str(problem["msg"])
        if kind == "extra_forbidden":
            known = _fields_at(model, path[:-1])
            message = (
                f"unknown key{did_you_mean(str(path[-1]), known) or '. Known: ' + ', '.join(known)}"
            )
        elif kind == "missing":
            message = "missing; this key is needed"
        elif kind == "value_error":
            message = message.removeprefix("Value error, ")
        else:
            value = problem.get("input")
            message = f"{message[0].lower()}{message[1:]}; got {_short(value)}"
        name = f" {shown(path)}:" if path else ""
        problems.append(f"{document.where(path)}:{name} {message}")
    return list(dict.fromkeys(problems))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields_at(model: type[BaseModel], path: Path_) -> list[str]:
    """Return the field names of the section at a path."""
    annotation: Any = model
    for part in path:
        options = _models_in(annotation)
        if isinstance(part, int):
            continue
        found = [m.model_fields[part].annotation for m in options if part in m.model_fields]
        if not found:
            return []
        annotation = found[0]
    return sorted({name for m in _models_in(annotation) for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, list) or get_args(annotation):
        return [m for a in get_args(annotation) for m in _models_in(a)]
    return []
