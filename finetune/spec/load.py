"""Reading of recipes and data cards: every problem at once, each with file, line and column."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from finetune.errors import RecipeError, suggestion
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.output.paths import (
    home_filled_in,
    is_absent,
    is_file,
    is_folder,
    path_problem,
    resolved,
)
from finetune.spec.card import DataCard
from finetune.spec.entries import (
    corpus_problems,
    forgetting_problems,
    mixture_problems,
    vocabulary_problems,
)
from finetune.spec.permission import personal_problems
from finetune.spec.recipe import Corpus, Recipe
from finetune.spec.tables import renamed
from finetune.spec.tables.renamed import with_new_key, with_new_names
from finetune.spec.values.model_errors import problems_of
from finetune.spec.values.secret_places import card_text_problems, refuse_unfit_text
from finetune.spec.withdrawn import read_withdrawn
from finetune.spec.yaml_file import Document, Path_, override, parse, read_text

Model = TypeVar("Model", bound=BaseModel)

MOST_HINTS = 10
"""Unknown keys for which the nearest known one is looked for."""
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
    """Changes by --set."""

    def typed(self, verb: str, *more: str) -> str:
        """Return a command with this recipe as it was typed, `--set` included, for a shell."""
        sets = [word for given in self.overrides for word in ("--set", given)]
        return shlex.join(["finetune", verb, str(self.path), *sets, *more])

    def at(self, path: Path_) -> Place:
        """Return the place of a key of the recipe; line and column of the nearest one above it."""
        return _document(self.path, read_text(self.path), self.overrides).at(path)


def load_project(path: Path, *, overrides: Sequence[str] = ()) -> Project:
    """Load a recipe and its cards, and check them against each other.

    Raises RecipeError that lists every problem of every file.
    """
    document, recipe = _load_recipe(path, overrides)
    folder = cards_folder(path)
    cards: dict[str, DataCard] = {}
    problems: list[Problem] = []
    for place, corpus in _corpora(recipe):
        try:
            if corpus.card not in cards:
                cards[corpus.card] = _find_card(corpus.card, folder)
            problems += (
                document.located(found, place)
                for found in corpus_problems(corpus, cards[corpus.card])
            )
        except _NoSuchCard as error:
            problems.append(document.located(error.found, (*place, "card")))
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


def load_card(path: Path, *, with_list: bool = True) -> DataCard:
    """Load a data card; RecipeError with file:line:column of every problem.

    Without `with_list` its withdrawal list is not read and nothing of the card is withdrawn: for
    the repair of that list.
    """
    return card_of(read_text(path), path, with_list=with_list)


def card_of(text: str, path: Path, *, with_list: bool = True) -> DataCard:
    """Return the card of a text, as if it were the file `path`; RecipeError as load_card."""
    lines = text.split("\n")
    if lines[0].strip() != "---":
        raise RecipeError(
            problem(
                "no-front-matter",
                "a data card begins with a line `---` and its YAML block",
                at=Place(path, 1, 1),
            )
        )
    ends = [i for i, line in enumerate(lines) if i and line.rstrip() == "---"]
    if not ends:
        raise RecipeError(
            problem(
                "front-matter-not-closed",
                "the YAML block is not closed by a second line `---`",
                at=Place(path, 1, 1),
            )
        )
    # a blank first line stands for the opening `---`, so that line numbers are the file's
    front = "\n" + "\n".join(lines[1 : ends[0]])
    document = parse(front, source=str(path), as_hub_reads=True)
    if not isinstance(document.values, dict):
        raise RecipeError(no_keys(Place(path, 2, 1), what=sentence("the YAML block of a card")))
    values = dict(document.values)
    own = set(DataCard.model_fields) - {"name", "path", "body", "hub_metadata", "withdrawn"}
    unknown = [k for k in values if k not in own and k not in HUB_CARD_KEYS]
    problems = [
        _no_hub_key(document.at((key,)), known=own | HUB_CARD_KEYS, hinted=number < MOST_HINTS)
        for number, key in enumerate(unknown)
    ]
    problems += card_text_problems(document, text)
    if isinstance(values.get("language"), str):
        values["language"] = [values["language"]]
    fields = {k: v for k, v in values.items() if k in own}
    fields |= {
        "name": path.stem,
        "path": path,
        "body": "\n".join(lines[ends[0] + 1 :]).strip() + "\n",
        "hub_metadata": {k: v for k, v in values.items() if k in HUB_CARD_KEYS},
    }
    try:
        card = validate(DataCard, fields, document)
        if with_list:
            withdrawn = read_withdrawn(path, sealed=card.corpus.withdrawals)
            card = card.model_copy(update={"withdrawn": withdrawn})
    except RecipeError as error:
        raise RecipeError(*problems, *error.problems) from None
    if problems:
        raise RecipeError(*problems)
    return card


def cards_folder(recipe_path: Path) -> Path:
    """Return the `data_cards` folder of a recipe: the nearest one at or above its folder."""
    start = resolved(recipe_path).parent
    for folder in (start, *start.parents):
        if is_folder(folder / "data_cards"):
            return folder / "data_cards"
    return start / "data_cards"


def card_path(name: str, folder: Path) -> Path:
    """Return the file of a card, named by it or by the card; RecipeError if there is none."""
    unfit = path_problem(name)
    if unfit:
        raise RecipeError(unfit)
    given = home_filled_in(name)
    path = given if given.suffix == ".md" or is_file(given) else folder / f"{name}.md"
    if not is_file(path):
        hint = _other_cards(given.stem, folder)
        raise RecipeError(
            problem("no-such-card", "there is no such data card{hint}", at=Place(path), hint=hint)
        )
    return path


def all_cards(folder: Path) -> list[Path]:
    """Return the files of all cards, by name; RecipeError if there is none."""
    paths = sorted(folder.glob("*.md"))
    if not paths:
        raise RecipeError(
            problem(
                "no-cards",
                "no data cards there; name their folder with --cards, or make one with "
                "`finetune cards new`",
                at=Place(folder),
            )
        )
    return paths


class _NoSuchCard(Exception):
    """A recipe names a card that is not in the folder."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found)
        self.found = found


def _corpora(recipe: Recipe) -> Iterable[tuple[Path_, Corpus]]:
    if recipe.phases is None:
        yield from ((("corpora", i), c) for i, c in enumerate(recipe.corpora or ()))
        return
    for p, phase in enumerate(recipe.phases):
        yield from ((("phases", p, "corpora", i), c) for i, c in enumerate(phase.corpora))


def _problems_of_entries(
    document: Document, recipe: Recipe, cards: Mapping[str, DataCard]
) -> Iterable[Problem]:
    corpora = [c for _, c in _corpora(recipe)]
    for path, found in vocabulary_problems(recipe.vocabulary, corpora, cards):
        yield document.located(found, path)
    for path, found in forgetting_problems(recipe.evaluate.forgetting, corpora, cards):
        yield document.located(found, path)
    for number, phase in enumerate(recipe.training_phases):
        inside: Path_ = ("phases", number) if recipe.phases is not None else ()
        for path, found in mixture_problems(phase.mixture, phase.corpora, cards):
            yield document.located(found, (*inside, *path))


def _find_card(name: str, folder: Path) -> DataCard:
    path = folder / f"{name}.md"
    if not is_file(path) and not is_absent(path):
        raise RecipeError(
            problem(
                "cannot-be-read",
                "cannot be read; do you have permission to read {folder}/?",
                at=Place(_relative(path)),
                folder=folder.name,
            )
        )
    if not is_file(path):
        raise _NoSuchCard(
            problem(
                "no-such-card",
                "no data card {name!r} in {folder}/{hint}",
                name=name,
                folder=folder.name,
                hint=_other_cards(name, folder),
            )
        )
    return load_card(_relative(path))


def _other_cards(name: str, folder: Path) -> Sentence:
    known = sorted(path.stem for path in folder.glob("*.md"))
    return (
        suggestion(name, known, listed=20)
        if known
        else sentence("; {folder} has none", folder=folder)
    )


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _load_recipe(path: Path, overrides: Sequence[str]) -> tuple[Document, Recipe]:
    text = read_text(path)
    document = _document(path, text, overrides)
    refuse_unfit_text(document, text, overrides=overrides)
    return document, validate(Recipe, document.values, document)


def _document(path: Path, text: str, overrides: Sequence[str]) -> Document:
    document = parse(text, source=str(path))
    if not isinstance(document.values, dict):
        raise RecipeError(no_keys(Place(path, 1, 1), what=sentence("a recipe")))
    document = with_new_names(document, renamed.RECIPE)
    for given in overrides:
        override(document, with_new_key(given, renamed.RECIPE))
        document = with_new_names(document, renamed.RECIPE)
    return document


def no_keys(at: Place, *, what: Sentence) -> Problem:
    """Return the problem of a file that is no mapping."""
    return problem("no-keys", "{what} consists of `key: value` lines", at=at, what=what)


def _no_hub_key(at: Place, *, known: Collection[str], hinted: bool) -> Problem:
    hint = suggestion(at.key, known) if hinted else phrase("")
    return problem("no-hub-key", "not a key of a Hub dataset card{hint}", at=at, hint=hint)


def validate(model: type[Model], values: Any, document: Document) -> Model:
    """Return the values as a model; a string takes the scalar as it was written (7e12345).

    Raises RecipeError with file:line:column of every problem.
    """
    try:
        section = model.model_validate(values)
    except ValidationError as error:
        repaired = False
        for item in error.errors(include_url=False):
            place = _real_path(item["loc"], values)
            raw = document.places[place].raw if place in document.places else None
            if (
                item["type"] in ("string_type", "literal_error")
                and raw is not None
                and not isinstance(_at(values, place), str)
                and _at(values, place) is not None
            ):
                _at(values, place[:-1])[place[-1]] = raw
                repaired = True
        if repaired:
            return validate(model, values, document)
        path_of = partial(_real_path, values=values)
        raise RecipeError(*problems_of(error, model, document, path_of=path_of)) from None
    if odd := [*_no_machine_number(section, ())]:
        raise RecipeError(*(document.located(found, path) for path, found in odd))
    return section


def _no_machine_number(value: Any, path: Path_) -> Iterable[tuple[Path_, Problem]]:
    """Yield (path, problem) for numbers that no stage can compute with."""
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, float) and not math.isfinite(value):
        yield (
            path,
            problem("not-finite", "{value} is not finite; write a finite number", value=value),
        )
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield path, problem("number-too-long", "does not fit into 64 bits; write a smaller number")
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _no_machine_number(part, (*path, number))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _no_machine_number(part, (*path, str(key)))


def _real_path(loc: Sequence[str | int], values: Any) -> Path_:
    """Drop what pydantic adds to a location (union branches), keeping what is in the file."""
    path: list[str | int] = []
    for number, part in enumerate(loc, start=1):
        here = _at(values, tuple(path))
        known = (isinstance(here, dict) and isinstance(part, str)) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if known and (isinstance(part, int) or part in here or number == len(loc)):
            path.append(part)
    return tuple(path)


def _at(values: Any, path: Path_) -> Any:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values
