"""Combinations of a sweep: languages x seeds x any keys of a recipe."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from finetune.errors import RecipeError, shortened, suggestion
from finetune.messages import Place, Problem, joined, problem, sentence
from finetune.output.digits import whole_number
from finetune.pipeline import plan
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import Step
from finetune.spec.card import DataCard
from finetune.spec.entries import resolved_use
from finetune.spec.language import PATTERN as LANGUAGE_CODE
from finetune.spec.language import language_given
from finetune.spec.load import Project, cards_folder, load_card

Settings = tuple[str, ...]
"""Values of one combination, in the form of `--set`: `lora.rank=8`."""
MOST_COMBINATIONS = 1000
_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True, slots=True)
class Combination:
    """A checked combination."""

    index: int
    settings: Settings
    project: Opened
    steps: tuple[Step, ...]


def combinations_of(
    project: Opened, *, languages: str | None, sweeps: Sequence[str], seeds: str | None
) -> list[Combination]:
    """Return the combinations of the options, each passed through the gate.

    Raises RecipeError with all problems of all axes and combinations.
    """
    axes, problems = axes_of(project, languages=languages, sweeps=sweeps, seeds=seeds)
    combinations: list[Combination] = []
    try:
        combinations = checked(project.path, overrides=project.overrides, settings=combine(axes))
    except RecipeError as error:
        problems += error.problems
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return combinations


def combine(axes: Sequence[Sequence[Settings]]) -> list[Settings]:
    """Return every combination, the first axis changing slowest.

    >>> combine([parse_axis("lora.rank=8,16"), parse_axis("train.seed=0,1")])[1]
    ('lora.rank=8', 'train.seed=1')

    Raises RecipeError for more than MOST_COMBINATIONS.
    """
    count = math.prod(map(len, axes))
    if count > MOST_COMBINATIONS:
        raise RecipeError(
            problem(
                "too-many-combinations",
                "{count} combinations are more than {most}; sweep fewer values",
                at=Place(key="--sweep"),
                count=count,
                most=MOST_COMBINATIONS,
            )
        )
    return [tuple(itertools.chain(*choice)) for choice in itertools.product(*axes)]


def parse_axis(text: str) -> list[Settings]:
    """Parse `key=value,value,...`; a value with a comma is in brackets or quotes.

    Raises RecipeError without a key or values, or with a repeated value.

    >>> parse_axis("lora.target_modules=[q_proj,v_proj],[q_proj]")
    [('lora.target_modules=[q_proj,v_proj]',), ('lora.target_modules=[q_proj]',)]
    """
    key, equals, listed = text.partition("=")
    values = [value.strip() for value in _split(listed)]
    if not equals or not key.strip() or "" in values:
        raise RecipeError(
            problem(
                "not-a-sweep",
                "write it as key=value,value, e.g. --sweep lora.rank=8,16,64",
                at=Place(key=f"--sweep {text}"),
            )
        )
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise RecipeError(
            problem(
                "repeated-values",
                "repeated values: {values}; write each once",
                at=Place(key=f"--sweep {text}"),
                values=twice,
            )
        )
    return [(f"{key.strip()}={value}",) for value in values]


def axes_of(
    project: Project, *, languages: str | None, sweeps: Sequence[str], seeds: str | None
) -> tuple[list[list[Settings]], list[Problem]]:
    """Return the axes of the options, languages first and seeds last, and all problems."""
    makers: list[Callable[[], list[Settings]]] = []
    if languages is not None:
        makers.append(partial(language_axis, project, languages.split(",")))
    makers += (partial(parse_axis, text) for text in sweeps)
    if seeds is not None:
        makers.append(partial(seed_axis, project, seeds))
    axes: list[list[Settings]] = []
    problems: list[Problem] = []
    for make in makers:
        try:
            axes.append(make())
        except RecipeError as error:
            problems += error.problems
    return axes, problems


def language_axis(project: Project, languages: Sequence[str]) -> list[Settings]:
    """Return the settings of each language: the target, and the card that has it.

    The card of the recipe is used if it has the language; else the only card in its folder of the
    same kind (and source language) that has it. Several such cards, or none, are an error.

    Raises RecipeError with all problems.
    """
    recipe = project.recipe
    if recipe.corpora is None or len(recipe.corpora) != 1:
        raise RecipeError(
            problem(
                "languages-of-several-corpora",
                "--languages needs a recipe with one corpus; name the keys instead, e.g. "
                "--sweep corpora.0.target=hau_Latn,yor_Latn",
                at=Place(project.path),
            )
        )
    corpus = recipe.corpora[0]
    card = project.cards[corpus.card]
    use = resolved_use(corpus, card)
    sources = {corpus.source} if use == "translation" and corpus.source else set()
    problems: list[Problem] = []
    axis: list[Settings] = []
    for typed in languages:
        try:
            language = _language(typed.strip(), beside=card, project=project)
            chosen = _card_with(language, beside=card, project=project, sources=sources)
        except RecipeError as error:
            problems += error.problems
            continue
        change = [] if chosen.name == card.name else [f"corpora.0.card={chosen.name}"]
        if chosen.corpus.kind == "parallel":
            change.append(f"corpora.0.target={language}")
        axis.append(tuple(change))
    if problems:
        raise RecipeError(*problems)
    return axis


def seed_axis(project: Project, text: str) -> list[Settings]:
    """Parse `0,1,2`: each is the seed of all phases of the recipe.

    Raises RecipeError for a seed that is not a number or repeated, or an empty list.
    """
    odd = [seed for seed in text.split(",") if whole_number(seed.strip()) is None]
    if odd:
        raise RecipeError(
            problem(
                "not-a-seed",
                "{seed!r} is not a whole number; write seeds as --seeds 0,1,2",
                at=Place(key=f"--seeds {shortened(text, most=80)}"),
                seed=shortened(odd[0], most=40),
            )
        )
    phases = project.recipe.phases
    keys = (
        ["train.seed"] if phases is None else [f"phases.{i}.train.seed" for i in range(len(phases))]
    )
    seeds = [setting.partition("=")[2] for (setting,) in parse_axis(f"{keys[0]}={text}")]
    return [tuple(f"{key}={seed}" for key in keys) for seed in seeds]


def checked(
    recipe: Path, *, overrides: Sequence[str], settings: Sequence[Settings]
) -> list[Combination]:
    """Open the recipe once per combination.

    Raises RecipeError with all problems of all combinations, also for two combinations with the
    same training run.
    """
    combinations: list[Combination] = []
    problems: list[Problem] = []
    trained: dict[str, Settings] = {}
    for index, combination in enumerate(settings):
        try:
            project = open_project(recipe, purpose="submit", overrides=[*overrides, *combination])
            steps = plan.steps_of(project)
        except RecipeError as error:
            problems += (_as_swept(problem, combination) for problem in error.problems)
            continue
        key = next(step.key for step in reversed(steps) if step.stage.name == "train")
        if key in trained:
            problems.append(
                problem(
                    "same-training-run",
                    "the same training run as {other}; sweep keys that change the result",
                    at=Place(key=" ".join(combination)),
                    other=" ".join(trained[key]),
                )
            )
        trained[key] = combination
        combinations.append(Combination(index, combination, project, steps))
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return combinations


def short(settings: Settings) -> str:
    """Return settings as a label: keys without their sections where that is unambiguous.

    >>> short(("corpora.0.target=hau_Latn", "lora.rank=8", "prepare.seed=1", "train.seed=2"))
    'target=hau_Latn rank=8 prepare.seed=1 train.seed=2'
    """
    keys = [setting.partition("=")[0] for setting in settings]
    last = [key.rpartition(".")[2] for key in keys]
    shown = [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]
    values = (setting.partition("=")[2] for setting in settings)
    return " ".join(f"{key}={value}" for key, value in zip(shown, values, strict=True))


def _as_swept(found: Problem, settings: Settings) -> Problem:
    """Name the option that was typed, and add a hint for a language that a card lacks."""
    place = found.place
    for setting in settings:
        if place is not None and place.file == f"--set {setting}":
            place = replace(place, file=f"--sweep {setting}")
    if found.code == "language-not-in-card":
        hint = sentence("--languages also finds the card that has a language")
        return Problem(found.code, joined([found.what, hint], between="; "), place)
    return found.at(place)


def _language(typed: str, *, beside: DataCard, project: Project) -> str:
    """Return the code of a language that was typed; a name means a language of the cards."""
    option = f"--languages {typed}"
    if re.fullmatch(LANGUAGE_CODE, typed):
        return typed
    cards = [load_card(path) for path in sorted(cards_folder(project.path).glob("*.md"))]
    among = {language for card in (beside, *cards) for language in card.corpus.languages}
    return language_given(typed, option=option, among=among)


def _card_with(language: str, *, beside: DataCard, project: Project, sources: set[str]) -> DataCard:
    place = Place(key=f"--languages {language}")
    if language in sources:
        raise RecipeError(
            problem("source-language", "it is the source language of the recipe", at=place)
        )
    if {language, *sources} <= set(beside.corpus.languages):
        return beside
    matching, known = [], set(beside.corpus.languages)
    for path in sorted(cards_folder(project.path).glob("*.md")):
        card = load_card(path)
        if card.corpus.kind == beside.corpus.kind and sources <= set(card.corpus.languages):
            known |= set(card.corpus.languages)
            matching += [card] if language in card.corpus.languages else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise RecipeError(
            problem(
                "language-in-several-cards",
                "several cards have it: {cards}; choose one with --sweep corpora.0.card=... and "
                "--sweep corpora.0.target={language}",
                at=place,
                cards=[card.name for card in matching],
                language=language,
            )
        )
    others = known - sources
    raise RecipeError(
        problem(
            "language-in-no-card",
            "no card of kind {kind} with the same source language has it{hint}. Languages of such "
            "cards: {languages}",
            at=place,
            kind=beside.corpus.kind,
            hint=suggestion(language, others),
            languages=sorted(others),
        )
    )


def _split(text: str) -> list[str]:
    """Split at commas that stand neither in brackets nor in quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        else:
            depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
