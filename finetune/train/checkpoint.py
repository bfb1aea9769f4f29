"""Checkpoints: tensors by parameter name in one safetensors file, numbers in one JSON file.

    step-00000050-validated-00000050/
        state.safetensors   adapter.NAME, exp_avg.NAME, exp_avg_sq.NAME and, once validated,
                            best.NAME: all that training changes, never a frozen weight
        state.json          {"progress", "layout", "versions", "sha256": {file or section: sum}}

A checkpoint is written aside, synced and renamed, so that a kill at any instant leaves the ones
before it. Checksums detect a damaged one; then the previous one is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import BaseModel
from safetensors import SafetensorError
from torch import Tensor

from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.output.durable import flush, write_synced
from finetune.output.small_files import read_json
from finetune.pipeline.disk_errors import full_place
from finetune.train.resuming.versions import versions_now
from finetune.train.state import Layout, Progress

TENSORS, NUMBERS = "state.safetensors", "state.json"
_MAX_NUMBER_BYTES = 16 * 2**20
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state from which a training run resumes."""

    progress: Progress
    layout: Layout
    tensors: Mapping[str, Tensor]
    folder: Path | None = None
    """Its folder."""
    versions: Mapping[str, str] = field(default_factory=versions_now)
    """Of the program and the packages that wrote it; empty if it is of an older finetune."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors called `PREFIX.NAME` by NAME."""
        head = prefix + "."
        return {k.removeprefix(head): t for k, t in self.tensors.items() if k.startswith(head)}


class _Numbers(BaseModel):
    """Content of state.json."""

    progress: dict[str, Any]
    layout: dict[str, Any]
    versions: dict[str, str] | None = None
    sha256: dict[str, str]


@contextmanager
def full_disk_explained(path: Path, *, what: str) -> Iterator[None]:
    """Turn a full disk (or quota) inside the block into a StoreError that names the space to free.

    One that is full elsewhere, as the folder for temporary files, goes through as it is.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in _FULL and "os error 28" not in str(error):
            raise
        full = error if isinstance(error, OSError) else OSError(errno.ENOSPC, str(error))
        beside = path.absolute().parent  # where a folder is written aside
        if not full_place(full, root=path).absolute().is_relative_to(beside):
            raise
        free_mib = shutil.disk_usage(path if path.exists() else path.parent).free / 2**20
        raise StoreError(
            problem(
                "disk-full",
                "could not write {what}: {why} ({free_mib:.0f} MiB free). Free some space there "
                "(`finetune runs --remove STAGE/KEY` removes artefacts), then rerun the same "
                "command to resume from the last checkpoint, which is intact",
                at=Place(path),
                what=what,
                why=_FULL.get(number or 0, "the disk is full"),
                free_mib=free_mib,
            )
        ) from error


def _canonical(section: Any) -> bytes:
    return json.dumps(section, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _checksums(tensors: bytes, sections: Mapping[str, Any]) -> dict[str, str]:
    parts = {name: _canonical(section) for name, section in sections.items()}
    parts[TENSORS] = tensors
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def write_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files, all of it or nothing, in place of one of that name."""
    aside = directory.with_name(directory.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        for name, content in files.items():
            write_synced(aside / name, content)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)  # half a checkpoint would only keep the disk full
        raise
    flush(aside)
    if directory.exists():
        shutil.rmtree(directory)
    aside.rename(directory)
    flush(directory.parent)


def folder_name(progress: Progress) -> str:
    """Return the name of a checkpoint; names sort as training goes."""
    return f"step-{progress.step:08d}-validated-{progress.validated_step:08d}"


def save_checkpoint(
    directory: Path,
    checkpoint: Checkpoint,
    *,
    keep: int | None = None,
    keep_gib: float | None = None,
) -> Path:
    """Write a checkpoint below `directory`; keep at most `keep` and `keep_gib` of the newest.

    The one just written always stays, also if it alone is larger.

    Raises StoreError on a full disk; the checkpoints before it stay.
    """
    target = directory / folder_name(checkpoint.progress)
    with full_disk_explained(directory, what=f"the checkpoint of step {checkpoint.progress.step}"):
        directory.mkdir(exist_ok=True)  # not the folder above: that may have been taken away
        write_folder(target, checkpoint_files(checkpoint))
    for old in _superfluous(directory, target, keep=keep, keep_gib=keep_gib):
        shutil.rmtree(old)
    return target


def _superfluous(
    directory: Path, target: Path, *, keep: int | None, keep_gib: float | None
) -> list[Path]:
    """Return what need not stay beside the checkpoint just written.

    A folder of a later step is one: training went on from before it because it was damaged.
    """
    if keep is None and keep_gib is None:
        return []
    folders = _folders(directory)
    place = folders.index(target)
    allowed = float("inf") if keep_gib is None else keep_gib * 2**30 - _size_bytes(target)
    kept = 1
    removed = folders[:place]
    for folder in folders[place + 1 :]:
        allowed -= _size_bytes(folder)
        if allowed < 0 or (keep is not None and kept >= keep):
            removed.append(folder)
        else:
            kept += 1
    return removed


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def checkpoint_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return the two files of a checkpoint."""
    tensors = safetensors.torch.save(
        {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    )
    sections: dict[str, Any] = {
        "progress": checkpoint.progress.to_json(),
        "layout": asdict(checkpoint.layout),
        "versions": dict(checkpoint.versions),
    }
    numbers = sections | {"sha256": _checksums(tensors, sections)}
    return {TENSORS: tensors, NUMBERS: json.dumps(numbers, indent=1, allow_nan=False).encode()}


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read one checkpoint folder. Raises StoreError when anything in it is missing or damaged."""
    try:
        if not (directory / TENSORS).is_file():  # a pipe would be waited for
            raise _damaged(directory, f"{TENSORS} is missing or no file")
        tensors = (directory / TENSORS).read_bytes()
        stored = read_json(directory / NUMBERS, _Numbers, max_bytes=_MAX_NUMBER_BYTES)
        sections = {"progress": stored.progress, "layout": stored.layout}
        if stored.versions is not None:
            sections["versions"] = stored.versions
        found = _checksums(tensors, sections)
        wrong = [name for name in found if found[name] != stored.sha256.get(name)]
        if wrong:
            raise _damaged(directory, f"the checksum of {wrong[0]} differs")
        return Checkpoint(
            progress=Progress.from_json(stored.progress),
            layout=Layout(**stored.layout),
            tensors=safetensors.torch.load(tensors),
            folder=directory,
            versions=stored.versions or {},
        )
    except OSError as error:
        raise _damaged(directory, error.strerror) from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(directory, str(error)) from error


def _damaged(directory: Path, why: str | None) -> StoreError:
    return StoreError(
        problem("damaged-checkpoint", "damaged checkpoint: {why}", at=Place(directory), why=why)
    )


def of_another_run(names: Sequence[str]) -> StoreError:
    """Return the error for a checkpoint without these parameters, or with other ones."""
    return StoreError(
        problem(
            "checkpoint-of-another-run",
            "the checkpoint is of another training run: parameters differ ({count}), e.g. "
            "{name}. Remove the unfinished artefact (`finetune runs --remove STAGE/KEY`) and "
            "start again",
            count=len(names),
            name=names[0],
        )
    )


def newest_checkpoint(
    directory: Path, *, also: Path | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest sound checkpoint below `directory`, and a line for each damaged one.

    `also` is one more folder to look at first (the state of a finished run).
    """
    problems: list[str] = []
    candidates = _folders(directory)
    if also is not None and also.is_dir():
        candidates.insert(0, also)
    for folder in candidates:
        try:
            return read_checkpoint(folder), problems
        except StoreError as error:
            problems.append(str(error))
    return None, problems


def _folders(directory: Path) -> list[Path]:
    """Checkpoint folders, newest first; what a kill left half-written is none."""
    return sorted(
        (p for p in directory.glob("step-*") if p.suffix != ".tmp" and p.is_dir()), reverse=True
    )
