"""Experiment trackers through their own libraries: W&B, MLflow and Trackio, on this machine.

They get the metrics of TensorBoard, under the same names. Nothing is sent anywhere unless the
library's own environment variables ask for it. A tracker that fails is switched off with a warning,
and training continues.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from finetune.errors import first_line
from finetune.messages import Sentence, sentence
from finetune.output.paths import as_written
from finetune.spec.tables.extras import optional


class Tracker(Protocol):
    """An open run of a tracker."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values of a step."""

    def close(self) -> None:
        """Write what is left."""


@dataclass(frozen=True, slots=True)
class RunName:
    """Names of a run in a tracker, the same whenever it is resumed."""

    project: str
    """Name of the recipe."""
    key: str
    """Key of the artefact."""
    folder: Path
    """Folder of the tracker's files."""


@dataclass(frozen=True, slots=True)
class Row:
    """A tracker by name."""

    module: str
    begin: Callable[[Any, RunName], Tracker]
    """Called with the module; returns the run, new or continued."""
    command: Callable[[RunName], str]
    """Command that shows or sends what was recorded."""


class _Wandb:
    def __init__(self, wandb: Any, run: RunName) -> None:
        self.run = wandb.init(
            project=run.project,
            id=run.key,
            name=f"{run.project}-{run.key[:6]}",
            resume="allow",
            mode=os.environ.get("WANDB_MODE", "offline"),
            dir=str(run.folder),
            settings=wandb.Settings(console="off", silent=True, disable_git=True),
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class _Mlflow:
    def __init__(self, mlflow: Any, run: RunName) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI", _database(run))
        self.client = mlflow.tracking.MlflowClient(tracking_uri=uri)
        experiment = self.client.get_experiment_by_name(run.project)
        number = experiment.experiment_id if experiment else None
        number = number or self.client.create_experiment(run.project)
        same = f"tags.`finetune.key` = '{run.key}'"
        found = self.client.search_runs([number], filter_string=same)
        tags = {"finetune.key": run.key}
        if found:
            self.client.update_run(found[0].info.run_id, status="RUNNING")
        new = found[0] if found else self.client.create_run(number, tags=tags, run_name=run.key)
        self.run_id = new.info.run_id

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run_id, name, value, step=step)

    def close(self) -> None:
        self.client.set_terminated(self.run_id)


def _database(run: RunName) -> str:
    """Return MLflow's address of a database file; its folders of files are no longer written."""
    return f"sqlite:///{as_written(run.folder)}/mlflow.db"


class _Trackio:
    def __init__(self, trackio: Any, run: RunName) -> None:
        self.trackio = trackio
        trackio.init(project=run.project, name=run.key, resume="allow")

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.trackio.log(dict(values), step=step)

    def close(self) -> None:
        self.trackio.finish()


TRACKERS: Mapping[str, Row] = {
    "wandb": Row(
        "wandb",
        _Wandb,
        lambda run: f"wandb sync {shlex.quote(str(run.folder))}/wandb/offline-run-*-{run.key}",
    ),
    "mlflow": Row(
        "mlflow",
        _Mlflow,
        lambda run: f"mlflow ui --backend-store-uri {shlex.quote(_database(run))}",
    ),
    "trackio": Row(
        "trackio",
        _Trackio,
        lambda run: (
            f"TRACKIO_DIR={shlex.quote(str(run.folder))} trackio show "
            f"--project {shlex.quote(run.project)}"
        ),
    ),
}


class Guarded:
    """Owns open trackers; one that fails is switched off."""

    def __init__(self, trackers: dict[str, Tracker], *, say: Callable[[Sentence], Any]) -> None:
        self.trackers = trackers
        self.say = say

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values of a step in all of them."""
        for name in tuple(self.trackers):
            with self._watched(name):
                self.trackers[name].log(values, step)

    def close(self) -> None:
        """Close all of them."""
        for name in tuple(self.trackers):
            with self._watched(name):
                self.trackers[name].close()

    @contextmanager
    def _watched(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a library of others, whose failure must cost no training
            self.trackers.pop(name, None)
            self.say(_failed(name, error))


def opened(names: Sequence[str], run: RunName, *, say: Callable[[Sentence], Any]) -> Guarded:
    """Return the trackers of a recipe, each with its own folder below that of `run`."""
    found: dict[str, Tracker] = {}
    for name in names:
        row, own = TRACKERS[name], RunName(run.project, run.key, run.folder / name)
        try:
            own.folder.mkdir(parents=True, exist_ok=True)
            os.environ.setdefault("TRACKIO_DIR", str(run.folder / "trackio"))
            module = optional(row.module, needed_by=name, extra=name)
            found[name] = row.begin(module, own)
        except Exception as error:  # as above
            say(_failed(name, error))
            continue
        say(sentence("{name}: {command}", name=name, command=row.command(own)))
    return Guarded(found, say=say)


def _failed(name: str, error: Exception) -> Sentence:
    return sentence(
        "warning: {name} failed and is switched off; training continues: {why}",
        name=name,
        why=": ".join((type(error).__name__, first_line(error))),
    )
