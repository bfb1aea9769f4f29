"""lm-evaluation-harness around a model that is loaded: items, answers, conditions of a task.

Its data come from the store as `finetune fetch` put them there, so that nothing is downloaded, and
its templates are rendered in a sandbox: those of a file of the user are no code.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artefacts.items import Question
from finetune.artefacts.job import Artifact, Job
from finetune.errors import DataError, RecipeError, first_line
from finetune.evaluate.outputs import Answer
from finetune.messages import Place, problem, sentence
from finetune.sources.benchmark.pins import refuse_without_harness, role_of
from finetune.spec.tables.public_tasks import PACKAGE, VERSION, PublicTask

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

_ROWS = {"cpu": 8, "cuda": 32}
"""Requests of a batch: fixed, since the size of a batch changes the last bits of a score."""
_PASSAGES = ("flores_passage", "passage", "context", "premise")
"""Columns whose text several items share: those of one text depend on each other."""
_SEED, _OTHER_SEED = 0, 1234
"""Those of the harness's own command."""


def questions_of(job: Job, found: PublicTask) -> list[Question]:
    """Return the items of a task: of more than `evaluate.max_documents` those first by hash."""
    with _harness(job):
        docs = list(_opened(job, found).eval_docs)
    questions = [Question(_hash(doc), _document(doc), number) for number, doc in enumerate(docs)]
    if not questions:
        raise DataError(
            problem("no-questions", "{task}: its test split has no items", task=found.name)
        )
    first = sorted(questions, key=lambda one: (one.hash, one.number))
    chosen = first[: job.recipe.evaluate.max_documents]
    return sorted(chosen, key=lambda one: one.number)


def answers_of(
    job: Job, system: System, found: PublicTask, questions: Sequence[Question]
) -> list[Answer]:
    """Return the value that the harness gives to each answer of a system."""
    label = sentence("{task}, {system}", task=found.name, system=system.name)
    progress = job.console.progress(str(label), total=len(questions), unit="items")
    with progress as bar, _harness(job), system.switch():
        samples = _samples(job, system.kind.unwrapped(system.model), system, found, questions)
        bar.update(len(questions))
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    mine = [sample for sample in samples if sample["filter"] == filters[0]]
    values = [_number(sample.get(str(found.metric))) for sample in mine]
    if len(mine) != len(questions) or None in values:
        raise RecipeError(
            problem(
                "no-value-per-item",
                "{task}: the harness gives no {metric} for each item, so nothing can be compared",
                at=Place(key="evaluate.tasks"),
                task=found.name,
                metric=found.metric,
            )
        )
    return [Answer(value) for value in values if value is not None]


def conditions_of(job: Job, found: PublicTask) -> str:
    """Return what decides the scores besides models and texts."""
    from finetune.models.load import choose_device

    with _harness(job):
        config = _opened(job, found).config
    data = _data(job, found).result
    facts = {
        "task": f"{found.name},{(config.metadata or {}).get('version', '-')}",
        "metric": found.metric,
        "fewshot": config.num_fewshot,
        "items": job.recipe.evaluate.max_documents,
        "data": f"{found.dataset}@{data['revision'][:8]}",
        "template": "none",
        "batch": _ROWS[choose_device(job.recipe.run.device).type],
        PACKAGE: VERSION,
    }
    return "|".join(f"{key}:{value}" for key, value in facts.items())


def _samples(
    job: Job, model: Any, system: System, found: PublicTask, questions: Sequence[Question]
) -> list[dict[str, Any]]:
    """Return what the harness records of each item, in their order, for each of its filters."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(
        pretrained=model,
        tokenizer=copy.deepcopy(system.tokenizer),  # it is given a token for padding
        backend="causal",
        batch_size=_ROWS[system.device.type],
    )
    task = _opened(job, found)
    numbers = [question.number for question in questions]
    few = len(numbers) < len(task.eval_docs)
    result = evaluate(
        lm=lm,
        task_dict={"tasks": {found.name: task}},
        samples={found.name: numbers} if few else None,
        bootstrap_iters=0,
    )
    samples: list[dict[str, Any]] = result["samples"][found.name]
    return samples


def _opened(job: Job, found: PublicTask) -> Any:
    """Return the task of the harness, with its data from the store."""
    from lm_eval import tasks
    from lm_eval.tasks._yaml_loader import load_yaml

    folder = Path(str(tasks.__file__)).parent
    config = load_yaml(folder / found.file, resolve_func=bool(found.family))
    for structural in ("group", "tag", "dataset_kwargs"):
        config.pop(structural, None)
    splits = _splits(_data(job, found).path)
    random.seed(_SEED)
    np.random.seed(_OTHER_SEED)
    config["custom_dataset"] = lambda **_: splits
    try:
        task = tasks.TaskManager(include_defaults=False).load(config)["tasks"][found.name]
    except Exception as error:  # of a template, of a column or split that is not there
        raise RecipeError(
            problem(
                "task-failed",
                "{task}: the task does not fit its data ({error}: {why}); correct its file, or "
                "choose another task",
                at=Place(key="evaluate.tasks"),
                task=found.name,
                error=type(error).__name__,
                why=first_line(error),
            )
        ) from error
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=_OTHER_SEED)
    return task


def _data(job: Job, found: PublicTask) -> Artifact:
    return job.inputs[role_of(found)]


def _splits(folder: Path) -> dict[str, Any]:
    """Return the splits of a fetched data set, in memory."""
    from datasets import Dataset
    from pyarrow import parquet

    return {
        path.stem: Dataset(parquet.read_table(path)) for path in sorted(folder.glob("*.parquet"))
    }


def _hash(doc: Any) -> str:
    """Return the SHA-256 (hex) of an item, as the harness has it in its own records."""
    text = json.dumps(doc, indent=2, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _document(doc: Any) -> str:
    """Return the hash of the text that an item is about, else that of the item."""
    about = next((doc[name] for name in _PASSAGES if isinstance(doc.get(name), str)), None)
    return hashlib.sha256(about.encode()).hexdigest() if about else _hash(doc)


def _number(value: Any) -> float | None:
    """Return a value as a number; None for another thing, such as the pair of a corpus metric."""
    if isinstance(value, int | float | np.number) and math.isfinite(value):
        return float(value)
    return None


@contextmanager
def _harness(job: Job) -> Iterator[None]:
    """Render templates in a sandbox, keep the harness silent, and refuse another version of it."""
    refuse_without_harness(job.recipe)
    from jinja2 import BaseLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    logger, env = logging.getLogger("lm_eval"), utils.env
    level = logger.level
    sandbox = ImmutableSandboxedEnvironment(
        loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True
    )
    sandbox.filters.update(env.filters)
    try:
        logger.setLevel(logging.CRITICAL)
        utils.env = sandbox
        with redirect_stderr(StringIO()):  # its bars of progress
            yield
    finally:
        utils.env = env
        logger.setLevel(level)
