"""Languages that a recipe trains, beside those of its public tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune.spec.card import DataCard
from finetune.spec.load import Project
from finetune.spec.recipe import Recipe
from finetune.spec.tables.public_tasks import PublicTask, public_task, tasks_in


def trained_languages(recipe: Recipe, cards: Mapping[str, DataCard]) -> list[str]:
    """Return the languages that a recipe trains: targets, and languages of texts; no replay.

    Nothing is trained on a card that is withdrawn or a test alone; a release does not have it.
    """
    found: list[str] = []
    for phase in recipe.training_phases:
        for corpus in phase.corpora:
            card = cards.get(corpus.card)
            if card is None or card.is_withdrawn or corpus.evaluate_only:
                continue
            if not corpus.replay:
                found += [corpus.target] if corpus.target else card.corpus.languages
    return list(dict.fromkeys(found))


def strangers(project: Project) -> Iterator[tuple[PublicTask, list[str]]]:
    """Yield the tasks in languages that a recipe does not train, with names for those it does."""
    trained = trained_languages(project.recipe, project.cards)
    instead = [task.name for code in trained for task in tasks_in(code) if task.metric]
    for name in project.recipe.evaluate.tasks:
        task = public_task(name)
        if task is not None and not set(task.languages) & set(trained):
            family = [other for other in instead if other.startswith(task.family)]
            yield task, (family or instead)[:3]
