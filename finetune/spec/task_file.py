"""Tasks of lm-evaluation-harness in a YAML file of the user.

Such a file is data here: what runs code (`!function`, `class`, `unsafe_code`) is refused. It states
the language of its items, which the harness does not ask for:

    task: quiz_wol
    dataset_path: my-org/quiz
    dataset_name: wol
    test_split: test
    output_type: multiple_choice
    doc_to_text: "{{question}}\n"
    doc_to_choice: "{{choices}}"
    doc_to_target: answer
    metric_list: [{metric: acc}]
    metadata: {language: wol_Latn, version: 1.0}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.paths import as_written, home_filled_in
from finetune.spec.language import is_language
from finetune.spec.tables.public_tasks import HARNESS, PublicTask, public_task
from finetune.spec.yaml_file import Document, parse, read_text

SUFFIXES = (".yaml", ".yml")
METRICS = {"multiple_choice": ("acc_norm", "acc"), "generate_until": ("exact_match", "acc")}
"""Kind of output -> metrics with a value per item; the first that a task has is its score."""
_RUNS_CODE = ("class", "unsafe_code", "custom_dataset", "use_prompt", "dataset_kwargs")
_DATASET = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_MOST_FILES = 8


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task of a file."""

    task: PublicTask
    digest: str
    """SHA-256 of the file and of those that it includes."""
    files: tuple[Path, ...]
    """The file, and those that it includes."""


def is_task_file(name: str) -> bool:
    """Return whether an entry of `evaluate.tasks` is a path.

    >>> is_task_file("quiz/wolof.yaml"), is_task_file("belebele_wol_Latn")
    (True, False)
    """
    return name.endswith(SUFFIXES)


def harness_task(name: str) -> PublicTask | None:
    """Return the task of lm-evaluation-harness that an entry of `evaluate.tasks` means.

    None for a name that is none of its table. Raises RecipeError for an unfit file.
    """
    return read_task_file(home_filled_in(name)).task if is_task_file(name) else public_task(name)


def read_task_file(path: Path) -> TaskFile:
    """Return the task of a file; RecipeError for what it lacks, and for all that runs code."""
    try:
        return _read(path)
    except RecipeError as error:  # the recipe is the place of what is wrong with its entries
        raise RecipeError(
            *(
                problem(found.code, "{where}: {what}", where=str(found.place), what=found.what)
                for found in error.problems
            )
        ) from None


def _read(path: Path) -> TaskFile:
    values: dict[str, Any] = {}
    digest, (document, *included) = hashlib.sha256(), _documents(path)
    for one in (*reversed(included), document):
        digest.update(read_text(Path(one.source)).encode())
        values |= one.values
    if problems := [_unfit(document.at((key,)), what) for key, what in _lacks(values)]:
        raise RecipeError(*problems)
    kind, subset = str(values["output_type"]), values.get("dataset_name")
    task = PublicTask(
        name=str(values["task"]),
        languages=(str(values["metadata"]["language"]),),
        family="",
        file=str(as_written(path)),
        dataset=str(values["dataset_path"]),
        config=None if subset is None else str(subset),
        kind=kind,
        metric=_metric(kind, values.get("metric_list")),
    )
    files = tuple(Path(one.source) for one in (document, *included))
    return TaskFile(task, digest.hexdigest(), files)


def _documents(path: Path) -> list[Document]:
    """Return a file and those that it includes: the values of an earlier one count."""
    waiting, found = [path], []
    while waiting:
        one = waiting.pop(0)
        document = parse(read_text(one), source=str(one))
        if not isinstance(document.values, dict):
            raise RecipeError(_unfit(Place(one, 1, 1), sentence("it has no `key: value` lines")))
        found.append(document)
        named = document.values.pop("include", [])
        for inner in reversed(named if isinstance(named, list) else [named]):
            if len(found) == _MOST_FILES or not _is_below(inner):
                what = sentence(
                    "include {value!r}: it may include files of its own folder, at most {most}",
                    value=str(inner)[:80],
                    most=_MOST_FILES - 1,
                )
                raise RecipeError(_unfit(Place(one), what))
            waiting.append(one.parent / inner)
    return found


def _is_below(inner: Any) -> bool:
    if not isinstance(inner, str):
        return False
    path = Path(inner)
    return not path.is_absolute() and ".." not in path.parts


def _lacks(values: Mapping[str, Any]) -> Iterator[tuple[str, Sentence]]:
    """Yield (key, what is wrong with it) of a task."""
    name, dataset, kind = (values.get(k) for k in ("task", "dataset_path", "output_type"))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}", name):
        yield "task", sentence("write a name of letters, digits and `_`")
    elif public_task(name):
        yield (
            "task",
            sentence(
                "{name!r} is a task of {harness}; give it another name", name=name, harness=HARNESS
            ),
        )
    if not isinstance(dataset, str) or not _DATASET.fullmatch(dataset):
        yield "dataset_path", sentence("write the id of a dataset of the Hub, `org/name`")
    if kind not in METRICS:
        yield "output_type", sentence("write one of {kinds}", kinds=list(METRICS))
    elif _metric(kind, values.get("metric_list")) is None:
        yield (
            "metric_list",
            sentence(
                "it needs one of {metrics}; a metric of all answers together, such as bleu, chrf "
                "or f1, has no value for each answer, so base and adapter cannot be tested on it",
                metrics=METRICS[kind],
            ),
        )
    metadata = values.get("metadata")
    language = metadata.get("language") if isinstance(metadata, dict) else None
    if not isinstance(language, str) or not is_language(language):
        yield "metadata", sentence("write the language of its items: {example}", example=_EXAMPLE)
    for key in _RUNS_CODE:
        if values.get(key):
            yield key, sentence("no code and no other source of data is taken from a task file")


_EXAMPLE = "`metadata: {language: wol_Latn}`"


def _metric(kind: str, listed: Any) -> str | None:
    entries = listed if isinstance(listed, list) else []
    names = {entry.get("metric") for entry in entries if isinstance(entry, dict)}
    return next((name for name in METRICS[kind] if name in names), None)


def _unfit(at: Place, what: Sentence) -> Problem:
    return problem("unfit-task-file", "{what}", at=at, what=what)
