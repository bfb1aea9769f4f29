"""Measurement of base, adapter and other models, shard by shard.

The answers to a shard are written into the workspace as soon as they are there. An evaluation that
was stopped or killed resumes at the shards that are missing, and several processes that share the
workspace measure side by side: each takes shards by leases. Two that measure one shard write the
same file, so a lease saves work and decides nothing.

    shards/conditions.json            what was measured, and how
    shards/base/TASK/0-00002.jsonl    answers of the base to the third shard of the first part
    shards/base/TASK.examples/...     the same, asked in the way of a yardstick
    shards/base/speed.json            generated tokens per second
    shards/model.NAME/TASK/...        answers of a model of `evaluate.models`
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finetune import __version__
from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.artefacts.scores import SystemName
from finetune.evaluate.base_and_adapter import batches_of, precision_of, tokens_per_second
from finetune.evaluate.compare import Asked, Outputs
from finetune.evaluate.measuring.loaded_systems import Systems
from finetune.evaluate.measuring.pace import Pace
from finetune.evaluate.measuring.placing import base_placing
from finetune.evaluate.measuring.series import BOTH, FOLDER, Series, series_of
from finetune.evaluate.measuring.shards import merged, write_answers
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.messages import Sentence, sentence
from finetune.models.load import choose_device
from finetune.output.durable import make_folder, write_json
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.lease import leased, leased_if_free
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel

_CONDITIONS = "conditions.json"
_REMOVED = ".removed"
_MOST_BYTES = 1_000_000


Answered = list[list[Outputs]]
"""Task by task, part by part; no parts of a task that was not asked."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Outputs of one system."""

    outputs: Answered
    by_base: list[dict[str, list[Outputs]]]
    """Task by task: yardsticks that ask the base in another way, by name."""
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """Outputs of all that is asked."""

    systems: dict[SystemName, Measured]
    models: dict[str, Answered]
    """Of other models, by name."""


@dataclass(frozen=True, slots=True)
class _Speed:
    tokens_per_second: float | None


def measure(job: Job, parts: Sequence[Part], tasks: Sequence[Asked]) -> Measurement:
    """Measure what is not measured yet; return the outputs of base, adapter and other models."""
    every = _with_baseline(job, series_of(job, parts, tasks))
    _keep(job, every)
    systems = Systems(job)
    _measure_all(job, every, systems=systems)
    both = {name: _measured(job, name, every, tasks, systems=systems) for name in BOTH}
    models = job.recipe.evaluate.models
    return Measurement(both, {one.name: _outputs(every, one, tasks) for one in models})


def measure_base(job: Job, parts: Sequence[Part], tasks: Sequence[Asked]) -> int:
    """Measure the base and leave its shards in the workspace; return the number of items."""
    every = series_of(job, parts, tasks, ("base",))
    _keep(job, every)
    _measure_all(job, every, systems=Systems(job))
    folder = job.workspace / FOLDER
    write_json(folder / _CONDITIONS, {**_conditions(job, every), "folder": ""})
    for left in folder.rglob("*.lease*"):  # of processes that were killed
        left.unlink(missing_ok=True)
    return sum(len(shard) for one in every for shard in one.shards)


def is_begun(job: Job) -> bool:
    """Return whether the process that builds in the workspace is ready for others to take part."""
    recorded = _recorded(job.workspace / FOLDER)
    return recorded is not None and recorded.get("folder") == job.workspace.name


def take_part(
    job: Job,
    parts: Sequence[Part],
    tasks: Sequence[Asked],
    *,
    systems: Sequence[SystemName] = BOTH,
) -> dict[str, Any]:
    """Measure shards of an evaluation that another process leads; return how many.

    None if this process would measure in another way: on another kind of device, for example.
    """
    written = 0
    try:
        every = _with_baseline(job, series_of(job, parts, tasks, systems))
        if _recorded(job.workspace / FOLDER) == _conditions(job, every):
            written = _measure_all(job, every, systems=Systems(job))
        else:
            job.console.say(
                sentence(
                    "not taking part in an evaluation that is measured with another version, "
                    "device or precision"
                )
            )
    except FileNotFoundError:
        if is_begun(job):
            raise  # else the other process has all it needs, and took its folder away
    return {"shards": written}


def forget(workspace: Path) -> None:
    """Remove the shards once what they say stands in the result.

    They are renamed first: processes that still look for a shard to measure find none. A kill may
    have left some of an earlier start.
    """
    folder = workspace / FOLDER
    if folder.is_dir():
        folder.rename(folder.with_name(f"{FOLDER}.{uuid.uuid4().hex[:12]}{_REMOVED}"))
    for doomed in workspace.glob(f"{FOLDER}.*{_REMOVED}"):
        shutil.rmtree(doomed)


def _conditions(job: Job, every: Sequence[Series]) -> dict[str, Any]:
    """Return what must be the same for shards of several starts and processes to fit together."""
    device = choose_device(job.recipe.run.device)
    return {
        "folder": job.workspace.name,
        "version": __version__,
        "device": device.type,
        "precision": precision_of(job, device),
        "sharding": base_placing(job).sharding,
        "base": _digest(one for one in every if one.system == "base" and one.asked.task.is_shared),
        "shards": _digest(every),
        **batches_of(device),
    }


def _digest(every: Iterable[Series]) -> str:
    """Return the SHA-256 (hex) of what is asked, and how it is cut."""
    cuts = [
        (one.folder.name, one.number, one.part.phase, [shard.places for shard in one.shards])
        for one in every
    ]
    return hashlib.sha256(json.dumps(cuts).encode()).hexdigest()


def _with_baseline(job: Job, every: list[Series]) -> list[Series]:
    """Take the answers of the base from the baseline, if they were measured as here."""
    if "baseline" not in job.inputs:
        return every
    folder, mine = job.inputs["baseline"].path / FOLDER, _conditions(job, every)
    stored = {**(_recorded(folder) or {}), "folder": mine["folder"], "shards": mine["shards"]}
    moved = [
        replace(one, folder=folder / one.system / one.folder.name)
        if one.system == "base" and one.asked.task.is_shared
        else one
        for one in every
    ]
    of_baseline = [one for one in moved if one.folder.is_relative_to(folder)]
    if stored == mine and not any(_pending(of_baseline)):
        return moved
    if job.leads:
        job.console.say(
            sentence(
                "the base is measured again: its stored answers are those of another version, "
                "device, precision, sharding or batch"
            )
        )
    return every


def _keep(job: Job, every: Sequence[Series]) -> None:
    """Keep the shards of an earlier start if they were measured as this one measures."""
    folder, conditions = job.workspace / FOLDER, _conditions(job, every)
    here = {"folder": job.workspace.name}
    if folder.is_dir() and (_recorded(folder) or {}) | here != conditions:
        job.console.say(
            sentence(
                "what an earlier start measured is not used: version, device, precision or "
                "sharding differ"
            )
        )
        forget(job.workspace)
    mine = [one for one in every if one.folder.is_relative_to(job.workspace)]
    for place in (folder, *(one.folder for one in mine)):
        make_folder(place)
    write_json(folder / _CONDITIONS, conditions)
    done = sum(one.path(n).is_file() for one in mine for n in range(len(one.shards)))
    if done:
        count = sum(len(one.shards) for one in mine)
        job.console.say(
            sentence("resuming: {done} of {count} shards are measured", done=done, count=count),
            done=done,
            count=count,
        )


def _recorded(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = read_json(
            folder / _CONDITIONS, dict[str, Any], max_bytes=_MOST_BYTES
        )
    except (OSError, UnreadableError):
        return None
    return found


def _pending(every: Sequence[Series]) -> Iterator[tuple[Series, int]]:
    for one in every:
        for number in range(len(one.shards)):
            if one.read(number) is None:
                yield one, number


def _measure_all(job: Job, every: Sequence[Series], *, systems: Systems) -> int:
    """Measure the shards that no other process has taken; return how many.

    The process that leads then waits for those that others took, and measures what is left of
    these if they ended before they were done.
    """
    pending, written = list(_pending(every)), 0
    if not pending:
        return 0
    total = sum(len(shard) for one in every for shard in one.shards)
    left = sum(len(one.shards[number]) for one, number in pending)
    title = sentence("evaluation: {what}", what=_named(every)).in_language(job.console.language)
    with job.console.progress(title, total=total, unit="items", start=total - left) as bar:
        pace = Pace(lambda: _counts(every), bar)
        for one, number in pending:
            with leased_if_free(_lease(one, number)) as hold:
                if hold is not None:
                    written += _measure_one(job, one, number, systems=systems, pace=pace)
        for one, number in list(_pending(every)) if job.leads else ():
            with leased(_lease(one, number), waiting=job.console.say):
                written += _measure_one(job, one, number, systems=systems, pace=pace)
    return written


def _named(every: Sequence[Series]) -> Sentence:
    """Return what is measured, for people."""
    if any(not isinstance(one.system, str) for one in every):
        return sentence("base, adapter and other models")
    both = any(one.system == "adapter" for one in every)
    return sentence("base and adapter") if both else sentence("base")


def _counts(every: Sequence[Series]) -> tuple[Counter[Hashable], Counter[Hashable]]:
    """Count the items that are measured, by whatever process, and those that are not."""
    done: Counter[Hashable] = Counter()
    left: Counter[Hashable] = Counter()
    for one in every:
        for number, shard in enumerate(one.shards):
            (done if one.path(number).is_file() else left)[one.kind] += len(shard)
    return done, left


def _lease(one: Series, number: int) -> Path:
    return one.path(number).with_suffix(".lease")


def _measure_one(job: Job, one: Series, number: int, *, systems: Systems, pace: Pace) -> bool:
    """Measure a shard unless another process did meanwhile; return whether it was measured."""
    shard, is_missing = one.shards[number], one.read(number) is None
    if is_missing:
        systems.make_ready(one.system)
        with pace.measuring(one.kind, len(shard)):
            answers = one.answer(job, systems, shard)
            write_answers(one.path(number), one.asked.task, shard, answers)
    pace.show()
    return is_missing


def _measured(
    job: Job, name: SystemName, every: Sequence[Series], tasks: Sequence[Asked], *, systems: Systems
) -> Measured:
    by_base = [
        {
            manner: _outputs(every, name, [one], manner)[0]
            for manner in (one.task.by_base if name == "base" else ())
        }
        for one in tasks
    ]
    speed = _speed(job, name, tasks, systems=systems)
    return Measured(_outputs(every, name, tasks), by_base, speed)


def _outputs(
    every: Sequence[Series],
    system: SystemName | ComparedModel | ComparedAdapter,
    tasks: Sequence[Asked],
    manner: str | None = None,
) -> Answered:
    wanted = (system, manner)
    mine = [one for one in every if (one.system, one.manner) == wanted]
    return [
        [merged(one.groups, list(one.answered())) for one in mine if one.asked is asked]
        for asked in tasks
    ]


def _speed(job: Job, name: SystemName, tasks: Sequence[Asked], *, systems: Systems) -> float | None:
    """Return how fast a system generates, measured once; None without new tokens to compare."""
    if "vocabulary" not in job.inputs:
        return None
    path = job.workspace / FOLDER / name / "speed.json"
    try:
        return read_json(path, _Speed, max_bytes=_MOST_BYTES).tokens_per_second
    except (OSError, UnreadableError):
        speed = tokens_per_second(systems.get(name), _prompted(tasks))
        make_folder(path.parent)  # not there if the base was measured before
        write_json(path, asdict(_Speed(speed)))
        return speed


def _prompted(tasks: Sequence[Asked]) -> list[Item]:
    """Return the items that are answered by generating."""
    generating = [one for one in tasks if one.task.gives is Generation]
    return [i for one in generating for part in one.groups for group in part for i in group.items]
