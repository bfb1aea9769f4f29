"""The table of evaluation tasks: items, generation, metrics.

A row is a name and where its descriptor is. A package outside adds one with an entry point:

    [project.entry-points."finetune.tasks"]
    quiz = "my_package.quiz:TASK"

An installed task is asked only where a recipe names it in `evaluate.tasks`. There it may also name
a task of lm-evaluation-harness, or the YAML file of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from finetune.errors import RecipeError, suggestion
from finetune.messages import Place, problem
from finetune.output.paths import home_filled_in
from finetune.spec.entry_points import described, load, names, origin
from finetune.spec.tables.metric import Metric, metric, metric_origin, refuse_shared_fields
from finetune.spec.tables.public_tasks import HARNESS, PACKAGE, VERSION, near, public_task
from finetune.spec.task_file import harness_task, is_task_file, read_task_file

TASKS: Mapping[str, str] = {
    "held_out_text": "finetune.evaluate.tasks.held_out_text:TASK",
    "translation": "finetune.evaluate.tasks.translation:TASK",
    "hard_inputs": "finetune.evaluate.tasks.hard_inputs:TASK",
    "short_answers": "finetune.evaluate.tasks.short_answers:TASK",
    "prompts": "finetune.evaluate.tasks.asked_prompts:TASK",
    "wrong_source": "finetune.evaluate.tasks.wrong_source:TASK",
    "forgetting": "finetune.evaluate.tasks.forgetting:TASK",
    "kl": "finetune.evaluate.tasks.kl:TASK",
}
ALWAYS = ("held_out_text", "translation", "hard_inputs", "short_answers", "prompts")
"""Asked of every adapter, whatever the recipe adds."""
UNNAMED = ALWAYS[:2]
"""Tasks that scores and comparisons record no name for."""
HARD_INPUTS = ALWAYS[2]
"""The task whose outputs are counted and not scored."""
PROMPTS = ALWAYS[4]
"""The task whose outputs are written down for speakers."""
CONTROLS = ("wrong_source", "forgetting", "kl")
"""The same; nothing is claimed from them. Their scores record their names."""
GROUP = "finetune.tasks"
_HARNESS = "finetune.evaluate.tasks.public:row_of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that make one score of each metric."""

    language: str
    direction: str | None = None
    """`eng_Latn>hau_Latn` for a translation."""
    items: Sequence[Any]
    """Of any type, since only `Task.answer` reads them; of a task that gives `Generation`,
    `finetune.artefacts.items.Item`, which the report shows beside what was generated."""
    is_scored: bool = True
    """Else its items are answered and shown."""
    unit: str = "item"
    """Kind of the items, for people: `segment`, `document`."""
    given: str | None = None
    """Condition of a likelihood of them: `source`, `prompt`; None: the text before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of items, how both systems answer them, and what is computed from the answers."""

    name: str
    label: str
    """For people: `held-out text`."""
    hub_task: str
    """Task type in the metadata of the Hub."""
    gives: type[Any]
    """Output of a system per item; metrics that take it fit this task. A dataclass of numbers,
    texts, and sequences of these."""
    metrics: tuple[str, ...]
    """Computed whatever the recipe adds."""
    groups: Callable[[Any, Any], Sequence[Group]]
    """(Job, Part of finetune.evaluate.parts) -> the items, a group for each score. A
    scored group has at least one item; see `Group.items` for their type."""
    answer: Callable[[Any, Any, Any, Sequence[Group]], list[list[Any]]]
    """(Job, System of finetune.evaluate.base_and_adapter, Part, groups) -> for each group an output
    of type `gives` for each item. Called with some of the items of some of the groups, again and
    again (finetune.evaluate.measuring.shards); all of them are in `Part.asked`."""
    units: Callable[[Any, Any, Sequence[Group]], Sequence[Sequence[int]]] | None = None
    """(Job, Part, groups) -> for each group a number for each item: those with one number are
    answered in one call, in the order of numbers. None: one by one, long prompts first."""
    is_shared: bool = True
    """False if what the base answers depends on the adapter: then each adapter measures it."""
    can_be_split: bool = True
    """False if `answer` needs all items in one call."""
    yardsticks: Mapping[str, Callable[[Any, Any, Sequence[Group]], list[list[Any] | None]]] = field(
        default_factory=dict
    )
    """By name of the yardstick: (Job, Part, groups) -> for each group an output for each item, or
    None where it has none."""
    by_base: Mapping[str, Callable[[Any, Any, Any, Sequence[Group]], list[list[Any] | None]]] = (
        field(default_factory=dict)
    )
    """The same for yardsticks that ask the base in another way: (Job, System, Part, groups), called
    as `answer` is. A group has outputs in every call or in none."""
    conditions: Callable[[Any], str]
    """Job -> the settings that decide its scores, as `key:value|key:value`."""
    dataset: str | None = None
    """Name of the data set of its items, for the card, if they are not of the recipe's corpora."""

    def fitting(self, names: Sequence[str]) -> tuple[Metric, ...]:
        """Return the task's own metrics, and those of these names that fit it.

        None where the task has no metric of its own: its outputs are counted and not scored.
        """
        if not self.metrics:
            return ()
        more = [metric(name) for name in names if name not in self.metrics]
        return (*map(metric, self.metrics), *(m for m in more if m.takes is self.gives))


def task(name: str) -> Task:
    """Return the row of a name, or of the YAML file of a task.

    Raises RecipeError if neither we, nor a package, nor lm-evaluation-harness have one.
    """
    found = None if name in TASKS else harness_task(name)
    if found is None:
        return installed_task(name)
    if found.metric is None:
        raise RecipeError(
            problem(
                "task-of-a-corpus",
                "{name!r} is scored over a whole corpus, without a value per item that base and "
                "adapter could be compared by; choose another task",
                name=name,
            )
        )
    made: Task = load(_HARNESS)(found)
    return made


@cache
def installed_task(name: str) -> Task:
    """Return the row of a name of ours, or of an installed package."""
    there = names(GROUP, known=TASKS)
    if name not in there:
        raise RecipeError(
            problem(
                "unknown-task",
                "{name!r} is none of the tasks: {there}, those of {harness}, or a YAML file; or "
                "the package that adds it is not installed{hint}",
                name=name,
                there=there,
                harness=HARNESS,
                hint=suggestion(name, [*there, *near(name)]),
            )
        )
    return described(name, Task, group=GROUP, known=TASKS)


def task_origin(name: str) -> str:
    """Return the name, with package and version if it is not one of ours.

    Of a YAML file: the name of its task, and the checksum of the file and what it includes.
    """
    if is_task_file(name):
        read = read_task_file(home_filled_in(name))
        return f"{read.task.name} of {read.digest} and {PACKAGE} {VERSION}"
    if name not in TASKS and public_task(name):
        return f"{name} of {PACKAGE} {VERSION}"
    return origin(name, group=GROUP, known=TASKS)


def added_origins(tasks: Sequence[str], metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return what a recipe adds, for a key: names, with package and version if they are not ours.

    Nothing where it adds nothing, so that the key is the one of a recipe without these fields.
    """
    added = {
        "tasks": [task_origin(name) for name in tasks],
        "metrics": [metric_origin(name) for name in metrics],
    }
    return {key: named for key, named in added.items() if named}


def task_of(name: str | None, *, direction: str | None) -> Task:
    """Return the task of a recorded score or comparison.

    Those of `UNNAMED` record no name: with a direction it is a translation. One that is no longer
    known, of a YAML file or of a package, has its name alone.
    """
    wanted = name or (UNNAMED[1] if direction else UNNAMED[0])
    try:
        return task(wanted)
    except RecipeError:
        return replace(task(UNNAMED[0]), name=wanted, label=wanted, dataset=wanted)


def asked(tasks: Sequence[str], metrics: Sequence[str]) -> list[tuple[Task, tuple[Metric, ...]]]:
    """Return each task with its metrics, for the tasks and metrics that a recipe adds.

    Raises RecipeError for a name that does not exist or is there twice, a metric that fits none of
    the tasks, and two metrics whose names would be one in a table of results.
    """
    _refuse_twice("metrics", metrics)
    _refuse_twice("tasks", tasks)
    found = [
        (one, one.fitting(metrics))
        for one in map(task, dict.fromkeys((*ALWAYS, *CONTROLS, *tasks)))
    ]
    _refuse_twice("tasks", [one.name for one, _ in found])
    used = {one.name for _, fitting in found for one in fitting}
    for name in metrics:
        if name not in used:
            raise RecipeError(
                problem(
                    "metric-without-task",
                    "metric {metric!r} needs a {takes} of each item, and no task gives one "
                    "({tasks}); name one that does in evaluate.tasks",
                    metric=name,
                    takes=metric(name).takes.__name__,
                    tasks=[f"{one.name}: {one.gives.__name__}" for one, _ in found],
                )
            )
    refuse_shared_fields(one for _, fitting in found for one in fitting)
    return found


def _refuse_twice(key: str, given: Sequence[str]) -> None:
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise RecipeError(
            problem(
                "named-twice",
                "{name!r} is there twice; name each once",
                at=Place(key=key),
                name=twice[0],
            )
        )


def metrics_asked(tasks: Sequence[str], metrics: Sequence[str]) -> list[Metric]:
    """Return the metrics of `asked`, each once, in order."""
    return list({m.name: m for _, fitting in asked(tasks, metrics) for m in fitting}.values())


def refuse_effects(
    effects: Mapping[str, float], *, tasks: Sequence[str], metrics: Sequence[str]
) -> None:
    """Raise RecipeError for a minimum effect of a metric that is not computed, or not judged."""
    if not effects:
        return
    known = [row.name for row in metrics_asked(tasks, metrics) if row.is_judged]
    for name in effects:
        if name not in known:
            raise RecipeError(
                problem(
                    "effect-without-metric",
                    "{name!r} is no metric from which this recipe claims anything; those are "
                    "{known}",
                    at=Place(key="minimum_effect"),
                    name=name,
                    known=known,
                )
            )
