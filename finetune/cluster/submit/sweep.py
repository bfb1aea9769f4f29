"""Combinations of settings: languages x seeds x any keys of a recipe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from finetune.errors import RecipeError
from finetune.pipeline import plan
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import Step
from finetune.spec.card import DataCard
from finetune.spec.load import (
    Project,
    cards_folder,
    did_you_mean,
    load_card,
    resolved_use,
)

Settings = tuple[str, ...]
"""What one combination changes in the recipe, as `--set` takes it: `lora.rank=8`."""
MOST_COMBINATIONS = 1000
_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination, checked."""

    index: int
    settings: Settings
    project: Opened
    steps: tuple[Step, ...]


def combinations_of(
    project: Opened, *, languages: str | None, sweeps: Sequence[str], seeds: str | None
) -> list[Combination]:
    """Return every combination that options ask for, each through the gate.

    Raises RecipeError with every problem of every axis and combination.
    """
    axes, problems = axes_of(project, languages=languages, sweeps=sweeps, seeds=seeds)
    found: list[Combination] = []
    try:
        found = checked(project.path, overrides=project.overrides, settings=combine(axes))
    except RecipeError as error:
        problems += error.problems
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return found


def combine(axes: Sequence[Sequence[Settings]]) -> list[Settings]:
    """Return every combination, the first axis changing slowest.

    >>> combine([parse_axis("lora.rank=8,16"), parse_axis("train.seed=0,1")])[1]
    ('lora.rank=8', 'train.seed=1')
    """
    return [tuple(itertools.chain(*choice)) for choice in itertools.product(*axes)]


def parse_axis(text: str) -> list[Settings]:
    """Read `key=value,value,...`; a value with a comma in it stands in brackets or quotes.

    Raises RecipeError if there is no key, no value, or a value twice.

    >>> parse_axis("lora.targets=[q_proj,v_proj],[q_proj]")
    [('lora.targets=[q_proj,v_proj]',), ('lora.targets=[q_proj]',)]
    """
    key, equals, listed = text.partition("=")
    values = [value.strip() for value in _split(listed)]
    if not equals or not key.strip() or "" in values:
        raise RecipeError(
            f"--sweep {text}: write it as key=value,value, e.g. --sweep lora.rank=8,16,64"
        )
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        raise RecipeError(f"--sweep {text}: {', '.join(sorted(twice))} is there twice")
    return [(f"{key.strip()}={value}",) for value in values]


def axes_of(
    project: Project, *, languages: str | None, sweeps: Sequence[str], seeds: str | None
) -> tuple[list[list[Settings]], list[str]]:
    """Return the axes that options ask for, languages first and seeds last, and every problem."""
    makers: list[Callable[[], list[Settings]]] = []
    if languages is not None:
        codes = [code.strip() for code in languages.split(",")]
        makers.append(partial(language_axis, project, codes))
    makers += (partial(parse_axis, text) for text in sweeps)
    if seeds is not None:
        makers.append(partial(seed_axis, project, seeds))
    axes: list[list[Settings]] = []
    problems: list[str] = []
    for make in makers:
        try:
            axes.append(make())
        except RecipeError as error:
            problems += error.problems
    return axes, problems


def language_axis(project: Project, languages: Sequence[str]) -> list[Settings]:
    """Return what has to be set for each language: the target, and the card that has it.

    A card of the recipe that has the language is used; else the only card beside it of that kind
    (with the same source language) that has it. Nothing is guessed: several or none is an error.

    Raises RecipeError with every problem.
    """
    recipe = project.recipe
    if recipe.corpora is None or len(recipe.corpora) != 1:
        raise RecipeError(
            f"{project.path}: --languages is for recipes with one corpus; say which keys change, "
            "e.g. --sweep corpora.0.target=hau_Latn,yor_Latn"
        )
    corpus = recipe.corpora[0]
    card = project.cards[corpus.card]
    use = resolved_use(corpus, card)
    needed = {corpus.source} if use == "translation" and corpus.source else set()
    problems: list[str] = []
    axis: list[Settings] = []
    for language in languages:
        try:
            chosen = _card_with(language, beside=card, project=project, needed=needed)
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
    """Read `0,1,2`: each is the seed of all trainings of the recipe.

    Raises RecipeError for a seed given twice or none at all.
    """
    phases = project.recipe.phases
    keys = (
        ["train.seed"] if phases is None else [f"phases.{i}.train.seed" for i in range(len(phases))]
    )
    seeds = [setting.partition("=")[2] for (setting,) in parse_axis(f"{keys[0]}={text}")]
    return [tuple(f"{key}={seed}" for key in keys) for seed in seeds]


def checked(
    recipe: Path, *, overrides: Sequence[str], settings: Sequence[Settings]
) -> list[Combination]:
    """Open the recipe once for each combination.

    Raises RecipeError that lists every problem of every combination, also two combinations that
    would be the same training.
    """
    if len(settings) > MOST_COMBINATIONS:
        raise RecipeError(
            f"{len(settings)} combinations are more than {MOST_COMBINATIONS}; sweep fewer values"
        )
    found: list[Combination] = []
    problems: list[str] = []
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
                f"{' '.join(combination)}: the same training as {' '.join(trained[key])}; "
                "sweep keys that change the result"
            )
        trained[key] = combination
        found.append(Combination(index, combination, project, steps))
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return found


def short(settings: Settings) -> str:
    """Return settings as a label: keys without their sections, where they stay apart.

    >>> short(("corpora.0.target=hau_Latn", "lora.rank=8", "prepare.seed=1", "train.seed=2"))
    'target=hau_Latn rank=8 prepare.seed=1 train.seed=2'
    """
    keys = [setting.partition("=")[0] for setting in settings]
    last = [key.rpartition(".")[2] for key in keys]
    shown = [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]
    values = (setting.partition("=")[2] for setting in settings)
    return " ".join(f"{key}={value}" for key, value in zip(shown, values, strict=True))


def _as_swept(problem: str, settings: Settings) -> str:
    """Name the option as the person typed it, and the one that would do."""
    for setting in settings:
        problem = problem.replace(f"--set {setting}:", f"--sweep {setting}:")
    if "is not in card" in problem:
        problem += " (--languages also takes the card that has a language)"
    return problem


def _card_with(language: str, *, beside: DataCard, project: Project, needed: set[str]) -> DataCard:
    if language in needed:
        raise RecipeError(f"--languages {language}: it is the recipe's source language")
    if {language, *needed} <= set(beside.corpus.languages):
        return beside
    fitting, known = [], set(beside.corpus.languages)
    for path in sorted(cards_folder(project.path).glob("*.md")):
        card = load_card(path)
        if card.corpus.kind == beside.corpus.kind and needed <= set(card.corpus.languages):
            known |= set(card.corpus.languages)
            fitting += [card] if language in card.corpus.languages else []
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(card.name for card in fitting)
        raise RecipeError(
            f"--languages {language}: several cards have it ({names}); choose with "
            f"--sweep corpora.0.card=... and --sweep corpora.0.target={language}"
        )
    others = known - needed
    raise RecipeError(
        f"--languages {language}: no {beside.corpus.kind} card"
        f"{''.join(f' with {n}' for n in sorted(needed))} has it{did_you_mean(language, others)}"
        f". There are: {', '.join(sorted(others))}"
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
