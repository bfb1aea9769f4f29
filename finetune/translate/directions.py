"""Directions that a recipe trains, and the prompt of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.fields import filled
from finetune.spec.language import language_name
from finetune.spec.recipe import Corpus, Recipe


@dataclass(frozen=True, slots=True)
class Direction:
    """Source and target language with the prompt that the adapter was trained with."""

    source: str
    target: str
    prompt: str
    """Template with {text}, {source_name} and {target_name}."""

    @property
    def name(self) -> str:
        """Return `eng_Latn>hau_Latn`, as items of a test split have it."""
        return f"{self.source}>{self.target}"

    def question(self, text: str) -> str:
        """Return what the model is asked."""
        names = {
            "source_name": language_name(self.source),
            "target_name": language_name(self.target),
        }
        return filled(self.prompt, {"text": text, **names})


def directions_of(recipe: Recipe) -> list[Direction]:
    """Return the directions of a recipe; of several prompts for one the last phase's first."""
    found: dict[tuple[str, str], Direction] = {}
    for phase in recipe.training_phases:
        for corpus in reversed(phase.corpora):
            one = _direction(corpus)
            if one is not None:
                found[one.source, one.target] = one
    return list(found.values())


def _direction(corpus: Corpus) -> Direction | None:
    if corpus.evaluate_only or corpus.use not in ("auto", "translation"):
        return None
    if corpus.source is None or corpus.target is None:  # a text or a conversation
        return None
    return Direction(corpus.source, corpus.target, corpus.prompt)


def chosen_direction(
    known: Iterable[Direction], *, source: str | None, target: str | None, at: Place
) -> Direction:
    """Return the one direction that fits `source` and `target`, where they are given.

    Raises RecipeError for a recipe that trains no translation, and if none or several fit.
    """
    every = list(known)
    if not every:
        raise RecipeError(
            problem(
                "no-translation",
                "trains no translation; a corpus with `use: translation` does",
                at=at,
            )
        )
    fits: list[Callable[[Direction], bool]] = [
        lambda one: source in (None, one.source),
        lambda one: target in (None, one.target),
    ]
    found = [one for one in every if all(fit(one) for fit in fits)]
    if len(found) == 1:
        return found[0]
    names = [one.name for one in every]
    if not found:
        raise RecipeError(
            problem(
                "untrained-direction",
                "does not translate {asked}; it is trained on {names}",
                at=at,
                asked=f"{source or '...'}>{target or '...'}",
                names=names,
            )
        )
    raise RecipeError(
        problem(
            "several-directions",
            "translates {names}; choose one with `--from LANGUAGE` and `--to LANGUAGE`",
            at=at,
            names=names,
        )
    )
