"""Content-addressed artefacts: build aside, manifest last, one rename.

    <root>/<stage>/<key>/                  complete by construction
    <root>/<stage>/<key>.NONCE.partial/    being built, or left by a killed build
    <root>/<stage>/<key>.lease             who builds it

One process builds an artefact; the others wait for it (`finetune.pipeline.build`, `.lease`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from finetune.artefacts.job import Artifact
from finetune.artefacts.remake import how_to_remake
from finetune.errors import StoreError
from finetune.launch.ranks import ranks_of
from finetune.messages import Place, Problem, problem
from finetune.output.terminal import aside
from finetune.pipeline import build as builds
from finetune.pipeline.disk_errors import disk_errors, explained, in_the_way
from finetune.pipeline.lease import look, way_out
from finetune.pipeline.manifest import (
    MANIFEST,
    Manifest,
    lost_files,
    read_manifest,
    write_manifest,
)

STAGE_FOLDERS = (
    *("base", "corpus", "benchmark", "prepare", "vocabulary", "train"),
    *("baseline", "evaluate", "release"),
)
"""Folders of artefacts in a store; the names of the stages (`finetune.pipeline.plan`)."""
_Result = TypeVar("_Result")
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Request:
    """An artefact to build. `content` is the input of the key's hash."""

    stage: str
    key: str
    name: str
    content: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Role -> `stage/key`."""
    lineage: str | None = None
    """Same for training runs that differ only in their length."""
    resumable: bool = False
    """True if a partial build is continued (training) or started over."""


class Store:
    """A folder of artefacts."""

    def __init__(self, root: Path, *, warn: Callable[[str], None] | None = None) -> None:
        """`warn` gets a line for each artefact that cannot be read; default: standard error."""
        self.root = root
        self.warn = warn or _warn
        self._told: set[Path] = set()

    def path_of(self, stage: str, key: str) -> Path:
        """Return where an artefact is, or would be."""
        return self.root / stage / key

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return a finished artefact, or None.

        Its files are there in their sizes; what is in them is compared when they are used
        (finetune.pipeline.verify). Raises StoreError with the way out if it is damaged, files are
        missing, it may not be read, or there is something else in its place.
        """
        path = self.path_of(stage, key)
        with disk_errors(self.root):
            if not path.is_dir():
                for place in (path.parent, path):
                    if said := in_the_way(place):
                        raise StoreError(said)
                return None
            manifest = read_manifest(path)
            lost = lost_files(path, manifest)
        if lost:
            raise StoreError(
                problem(
                    "lost-files",
                    "files are missing or truncated ({lost} of {count}), for example {example} "
                    "(does this site delete unread files?); {remedy}",
                    at=Place(path),
                    lost=len(lost),
                    count=len(manifest.files),
                    example=lost[0],
                    remedy=how_to_remake(path),
                )
            )
        return Artifact(stage, key, path, manifest.result)

    def state(self, stage: str, key: str) -> builds.State:
        """Return the state of an artefact; see `build.state_of`."""
        return builds.state_of(self.path_of(stage, key))

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of these, named `stage/key`, are not finished."""
        return [name for name in names if not self.path_of(*name.split("/")).is_dir()]

    def artifacts(self) -> list[tuple[Artifact, Manifest]]:
        """Return every finished artefact with its manifest, oldest first.

        An unreadable one is skipped and reported once, so that the others can be listed.
        """
        found = []
        for path in self.folders():
            try:
                manifest = read_manifest(path)
            except StoreError as error:
                self._pass_over(path, error)
                continue
            found.append((Artifact(manifest.stage, manifest.key, path, manifest.result), manifest))
        return sorted(found, key=lambda pair: pair[1].finished)

    def results(self, stage: str, kind: type[_Result]) -> list[tuple[Artifact, Manifest, _Result]]:
        """Return the finished artefacts of a stage with their typed results, oldest first.

        One whose result is not of this kind is skipped like an unreadable one.
        """
        from finetune.artefacts.results import read_result

        readable = []
        for artifact, manifest in self.artifacts():
            if artifact.stage != stage:
                continue
            try:
                readable.append((artifact, manifest, read_result(artifact, kind)))
            except StoreError as error:
                self._pass_over(artifact.path, error)
        return readable

    def folders(self) -> Iterator[Path]:
        """Yield what is, or should be, the folder of an artefact; others are not looked at."""
        with disk_errors(self.root):
            stages = sorted(self.root.iterdir()) if os.path.lexists(self.root) else []
        for stage in stages:
            known = stage.name in STAGE_FOLDERS
            if stage.name.startswith(".") or not (known or os.path.isdir(stage)):  # noqa: PTH112
                continue
            try:
                entries = sorted(stage.iterdir())
            except OSError as error:
                if known:
                    why = in_the_way(stage) or explained(error, root=self.root)
                    refused = problem(
                        "cannot-be-read",
                        "cannot be read: {why}",
                        at=Place(stage),
                        why=error.strerror,
                    )
                    self._pass_over(stage, StoreError(why or refused))
                continue
            for path in entries:
                if path.suffix or path.name.startswith("."):
                    continue
                is_key = _KEY.fullmatch(path.name) or os.path.isdir(path)  # noqa: PTH112, no error
                if (known and is_key) or os.path.lexists(path / MANIFEST):
                    yield path

    def _pass_over(self, path: Path, error: StoreError) -> None:
        if path not in self._told:
            self._told.add(path)
            self.warn(f"warning, passed over: {error}")

    def longest_of(self, lineage: str, *, below_steps: int) -> Artifact | None:
        """Return the longest finished training of a lineage with fewer steps."""
        of_lineage = [
            (steps, artifact)
            for artifact, manifest in self.artifacts()
            if manifest.lineage == lineage
            and isinstance(steps := artifact.result.get("steps"), int)
            and steps < below_steps
        ]
        return max(of_lineage, key=lambda pair: pair[0])[1] if of_lineage else None

    def build(
        self,
        request: Request,
        run: Callable[[Path], Mapping[str, Any]],
        *,
        waiting: Callable[[str], None] = lambda _: None,
        meanwhile: Callable[[Path], None] | None = None,
    ) -> Artifact:
        """Return the artefact, building it with `run(workspace)` unless it is there.

        If another process builds it, waits for it, notifies `waiting` and calls `meanwhile` with
        the folder in which it builds, again and again. A killed
        build leaves only a `.partial`, from which the next build of a resumable stage resumes.
        """
        path = self.path_of(request.stage, request.key)

        def work(partial: Path) -> Artifact:
            started = time.time()
            result = dict(run(partial))
            write_manifest(partial, request, result=result, started=started)
            return Artifact(request.stage, request.key, path, result)

        with disk_errors(self.root):
            return builds.build_aside(
                path,
                work,
                find=lambda: self.find(request.stage, request.key),
                resumable=request.resumable,
                waiting=waiting,
                meanwhile=meanwhile,
            )

    def folder_of_launch(self, launch: str, stage: str, key: str) -> Path | None:
        """Return where a process of this launch (launch.ranks.launch_id) builds an artefact now."""
        return builds.folder_of_launch(launch, self.path_of(stage, key))

    def partial_of(self, stage: str, key: str) -> Path | None:
        """Return the folder in which an artefact is being built, or that a build left."""
        return builds.partial_of(self.path_of(stage, key))

    def holder_of(self, stage: str, key: str) -> tuple[str, str]:
        """Return who holds the lease of an artefact and what ends that, in words."""
        holder = look(builds.lease_of(self.path_of(stage, key)))
        return ("no process", "") if holder is None else (str(holder), str(way_out(holder)))

    def unfinished(self) -> list[tuple[str, str]]:
        """Return (`stage/key`, state) of what is begun and not finished."""
        folders = sorted(p for p in self.root.glob("*") if p.is_dir() and p.name[0] != ".")
        return [
            (f"{folder.name}/{key}", state)
            for folder in folders
            for key, state in builds.unfinished_in(folder)
        ]

    def has(self, stage: str, key: str) -> bool:
        """Return whether anything of an artefact is there: finished, partial, or a lease."""
        return builds.is_anything(self.path_of(stage, key))

    def tidy(self, stage: str, key: str) -> None:
        """Delete what kills left beside a finished artefact."""
        builds.tidy(self.path_of(stage, key))

    def remove(self, stage: str, key: str) -> int:
        """Delete an artefact, what is left of one, and its lease; return the bytes freed.

        Raises StoreError while it is being built.
        """
        return builds.remove(self.path_of(stage, key))


def _warn(line: str) -> None:
    if ranks_of().is_main:  # one process of a launch speaks for all
        aside(line)


def _unreadable(path: Path, error: OSError) -> Problem:
    return problem("cannot-be-read", "cannot be read: {why}", at=Place(path), why=error.strerror)
