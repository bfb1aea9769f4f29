"""Content-addressed artefacts: build aside, manifest last, one rename.

    <root>/<stage>/<key>/             complete by construction
    <root>/<stage>/<key>.partial/     being built, or left by a killed build
    <root>/<stage>/<key>.lease        who builds it

One process builds an artefact; the others wait for it (`finetune.pipeline.lease`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import __version__
from finetune.artefacts.job import Artifact
from finetune.errors import StoreError
from finetune.output.durable import flush, write_json
from finetune.pipeline.lease import is_stale, leased, read_lease, still_ours

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = 1
KEY_DIGITS = 16
DEFAULT_STORE = ".finetune"


def default_store() -> Path:
    """Return the folder of the store where none is named: $FINETUNE_STORE, or .finetune here."""
    return Path(os.environ.get("FINETUNE_STORE", DEFAULT_STORE))


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built. `content` is what the key was made from."""

    stage: str
    key: str
    name: str
    content: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Role -> `stage/key`."""
    lineage: str | None = None
    """Same for trainings that differ only in how long they run."""
    resumable: bool = False
    """Whether a partial build is continued (training) or started over."""


def key_of(content: Mapping[str, Any]) -> str:
    """Return the key of canonical content.

    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


class Store:
    """A folder of artefacts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path_of(self, stage: str, key: str) -> Path:
        """Return where an artefact is, or would be."""
        return self.root / stage / key

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return a finished artefact, or None. StoreError if it was damaged or files are gone."""
        path = self.path_of(stage, key)
        if not path.is_dir():
            return None
        manifest = read_manifest(path)
        lost = lost_files(path, manifest)
        if lost:
            raise StoreError(
                f"{path}: {len(lost)} of {len(manifest['files'])} files are gone, e.g. {lost[0]} "
                "(does this site delete what nobody reads?); make it again: "
                f"finetune runs --store {self.root} --remove {stage}/{key}, then the same command"
            )
        return Artifact(stage, key, path, manifest["result"])

    def state(self, stage: str, key: str) -> str:
        """Return `done`, `running`, `partial` or `missing`."""
        path = self.path_of(stage, key)
        if path.is_dir():
            return "done"
        lease = read_lease(path.with_suffix(".lease"))
        if lease is not None and not is_stale(lease, path.with_suffix(".lease")):
            return "running"
        return "partial" if path.with_suffix(".partial").is_dir() else "missing"

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of these, named `stage/key`, are not finished."""
        return [name for name in names if self.state(*name.split("/")) != "done"]

    def artifacts(self) -> list[tuple[Artifact, dict[str, Any]]]:
        """Return every finished artefact with its manifest, oldest first."""
        found = []
        for path in sorted(self.root.glob(f"*/*/{MANIFEST}")):
            if path.parent.suffix or path.parent.parent.name.startswith("."):
                continue
            manifest = read_manifest(path.parent)
            artifact = Artifact(manifest["stage"], manifest["key"], path.parent, manifest["result"])
            found.append((artifact, manifest))
        return sorted(found, key=lambda pair: pair[1]["finished"])

    def longest_of(self, lineage: str, *, below_steps: int) -> Artifact | None:
        """Return the longest finished training of a lineage with fewer steps."""
        of_lineage = [
            a
            for a, manifest in self.artifacts()
            if manifest.get("lineage") == lineage and a.result["steps"] < below_steps
        ]
        return max(of_lineage, key=lambda a: a.result["steps"], default=None)

    def build(
        self,
        request: Request,
        run: Callable[[Path], Mapping[str, Any]],
        *,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Artifact:
        """Return the artefact, building it with `run(workspace)` unless it is there.

        If another process builds it, waits for that one; `waiting` is told so once. A killed
        build leaves only `.partial`, and the next build of a resumable stage goes on from it.
        """
        path = self.path_of(request.stage, request.key)
        partial = path.with_suffix(".partial")
        with _disk_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            with leased(path.with_suffix(".lease"), waiting=waiting) as nonce:
                found = self.find(request.stage, request.key)
                if found:
                    return found
                if partial.exists() and not request.resumable:
                    shutil.rmtree(partial)
                partial.mkdir(exist_ok=True)
                started = time.time()
                result = dict(run(partial))
                write_manifest(partial, request, result=result, started=started)
                still_ours(path.with_suffix(".lease"), nonce)
                partial.rename(path)
                flush(path.parent)
        return Artifact(request.stage, request.key, path, result)

    def is_built_by(self, launch: str, stage: str, key: str) -> bool:
        """Whether a process of this launch (launch.ranks.launch_id) builds an artefact now."""
        path = self.path_of(stage, key)
        lease = read_lease(path.with_suffix(".lease"))
        here = lease is not None and lease.get("launch") == launch
        return here and path.with_suffix(".partial").is_dir()

    def remove(self, stage: str, key: str) -> int:
        """Delete an artefact (or what is left of one); return the bytes freed.

        It is renamed first, so that a kill half-way leaves nothing that looks complete.
        """
        path = self.path_of(stage, key)
        freed = 0
        for victim in (path, path.with_suffix(".partial")):
            if victim.is_dir():
                doomed = victim.with_name(f"{victim.name}.{uuid.uuid4().hex}.removed")
                victim.rename(doomed)
                freed += sum(f.stat().st_size for f in doomed.rglob("*") if f.is_file())
                shutil.rmtree(doomed)
        return freed


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of an artefact folder; StoreError if it is damaged."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: its manifest cannot be read ({error}); make it again: "
            f"finetune runs --store {path.parents[1]} --remove {path.parent.name}/{path.name}, "
            "then the same command"
        ) from None
    return manifest


def lost_files(path: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return the files of an artefact that are gone or have another size than in its manifest."""
    sizes = {name: facts["size_bytes"] for name, facts in manifest.get("files", {}).items()}
    there = [name for name in sizes if (path / name).is_file()]
    return sorted(set(sizes) - {n for n in there if (path / n).stat().st_size == sizes[n]})


def write_manifest(
    partial: Path, request: Request, *, result: Mapping[str, Any], started: float
) -> None:
    """Write the manifest, after every other file of the artefact is on disk."""
    files = {}
    for file in sorted(p for p in partial.rglob("*") if p.is_file() and p.name != MANIFEST):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        name = file.relative_to(partial).as_posix()
        files[name] = {"sha256": digest, "size_bytes": file.stat().st_size}
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "stage": request.stage,
        "key": request.key,
        "name": request.name,
        "lineage": request.lineage,
        "version": __version__,
        "content": request.content,
        "inputs": dict(request.inputs),
        "result": result,
        "files": files,
        "environment": environment(),
        "started": started,
        "finished": time.time(),
    }
    write_json(partial / MANIFEST, manifest)


def environment() -> dict[str, Any]:
    """Return versions that decide results; no host or user name."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": packages,
    }


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(root).free / 2**20 if root.exists() else 0
            raise StoreError(
                f"{root}: the disk is full ({free:.0f} MiB left); free some space "
                "(`finetune runs` shows what is in the store) and run the same command again"
            ) from error
        # no folder, or a file where a folder belongs, above the store or at it
        unmade = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST) and not root.is_dir()
        if unmade or error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"{error.filename or root}: cannot write here ({error.strerror}); "
                "choose another store with --store"
            ) from error
        raise
