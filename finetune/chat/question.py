"""The instruction that a recipe puts around a text, as its evaluation asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.fields import filled
from finetune.spec.entries import resolved_use
from finetune.spec.language import language_name
from finetune.spec.load import Project
from finetune.spec.recipe import Corpus
from finetune.text.normalize import normalize


@dataclass(frozen=True, slots=True)
class Question:
    """The prompt of a direction of translation."""

    source: str
    target: str
    prompt: str

    @property
    def direction(self) -> str:
        """Name of the direction, as in tables of scores."""
        return f"{self.source}>{self.target}"

    def around(self, text: str) -> str:
        """Return the instruction with a text, normalised as `finetune prepare` does it."""
        names = {"source_name": self.source, "target_name": self.target}
        named = {key: language_name(code) for key, code in names.items()}
        return filled(self.prompt, {"text": normalize(text, language=self.source).text, **named})


def questions_of(project: Project) -> list[Question]:
    """Return the directions that a recipe trains, those of its last phase first."""
    return list(dict.fromkeys(_questions(project)))


def chosen_question(
    project: Project, *, source: str | None = None, target: str | None = None
) -> Question | None:
    """Return the instruction that a text is asked with; None: it is a turn of a conversation.

    Without languages the first direction, unless the recipe trains conversations as well. Raises
    RecipeError for a direction that it does not train.
    """
    directions = questions_of(project)
    if source is None and target is None:
        return None if not directions or _has_conversations(project) else directions[0]
    fitting = [
        one for one in directions if source in (None, one.source) and target in (None, one.target)
    ]
    if not fitting:
        raise RecipeError(
            problem(
                "no-such-direction",
                "the recipe trains no translation from {source} into {target}; its directions: "
                "{known}",
                at=Place(key="--to" if target else "--from"),
                source=source or "*",
                target=target or "*",
                known=[one.direction for one in directions] or "-",
            )
        )
    return fitting[0]


def _questions(project: Project) -> Iterator[Question]:
    for corpus, use in _trained(project):
        if use == "translation":
            yield Question(str(corpus.source), str(corpus.target), corpus.prompt)


def _has_conversations(project: Project) -> bool:
    return any(use == "chat" for _, use in _trained(project))


def _trained(project: Project) -> Iterator[tuple[Corpus, str]]:
    """Yield the corpora that the adapter is made for, no replay data, with their use."""
    for phase in reversed(project.recipe.training_phases):
        for corpus in phase.corpora:
            if not corpus.replay and not corpus.evaluate_only:
                yield corpus, resolved_use(corpus, project.cards[corpus.card])
