"""Checkpoints: tensors by parameter name in one safetensors file, numbers in one JSON file.

    step-00000050-validated-00000050/
        state.safetensors   adapter.NAME, exp_avg.NAME, exp_avg_sq.NAME and, once validated,
                            best.NAME: all that training changes, never a frozen weight
        state.json          {"progress", "layout", "sha256": {file or section: checksum}}

A checkpoint is written aside, synced and renamed, so that a kill at any instant leaves the ones
before it. Checksums tell a damaged one, and the one before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from finetune.errors import StoreError
from finetune.output.durable import flush, write_synced
from finetune.train.state import Layout, Progress

TENSORS, NUMBERS = "state.safetensors", "state.json"
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a training needs to go on."""

    progress: Progress
    layout: Layout
    tensors: Mapping[str, Tensor]
    folder: Path | None = None
    """Where it was read."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors called `PREFIX.NAME` by NAME."""
        head = prefix + "."
        return {k.removeprefix(head): t for k, t in self.tensors.items() if k.startswith(head)}


@contextmanager
def full_disk_explained(path: Path, *, what: str) -> Iterator[None]:
    """Turn a full disk (or quota) inside the block into a StoreError that says what to free."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in _FULL and "os error 28" not in str(error):
            raise
        free_mib = shutil.disk_usage(path if path.exists() else path.parent).free / 2**20
        raise StoreError(
            f"{path}: could not write {what}: {_FULL.get(number or 0, 'the disk is full')} "
            f"({free_mib:.0f} MiB free). Free some space there (`finetune runs` lists artefacts "
            "and removes those you name), then repeat the same command: it continues from the "
            "last checkpoint, which is intact"
        ) from error


def _canonical(section: Any) -> bytes:
    return json.dumps(section, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files, all of it or nothing, in place of one of that name."""
    aside = directory.with_name(directory.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
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
        directory.mkdir(parents=True, exist_ok=True)
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
    progress, layout = checkpoint.progress.to_json(), asdict(checkpoint.layout)
    numbers = {
        "progress": progress,
        "layout": layout,
        "sha256": {
            TENSORS: hashlib.sha256(tensors).hexdigest(),
            "progress": hashlib.sha256(_canonical(progress)).hexdigest(),
            "layout": hashlib.sha256(_canonical(layout)).hexdigest(),
        },
    }
    return {TENSORS: tensors, NUMBERS: json.dumps(numbers, indent=1, allow_nan=False).encode()}


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read one checkpoint folder. Raises StoreError when anything in it is missing or damaged."""
    try:
        tensors = (directory / TENSORS).read_bytes()
        stored = json.loads((directory / NUMBERS).read_bytes())
        expected = stored["sha256"]
        found = {
            TENSORS: hashlib.sha256(tensors).hexdigest(),
            "progress": hashlib.sha256(_canonical(stored["progress"])).hexdigest(),
            "layout": hashlib.sha256(_canonical(stored["layout"])).hexdigest(),
        }
        wrong = [name for name in found if found[name] != expected[name]]
        if wrong:
            raise StoreError(f"{directory}: damaged checkpoint: checksum of {wrong[0]} differs")
        return Checkpoint(
            progress=Progress.from_json(stored["progress"]),
            layout=Layout(**stored["layout"]),
            tensors=safetensors.torch.load(tensors),
            folder=directory,
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StoreError(f"{directory}: damaged checkpoint: {error!r}") from error


def newest_checkpoint(
    directory: Path, *, also: Path | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest sound checkpoint below `directory`, and a line for each damaged one.

    `also` is one more folder to look at first (the state of a training that had finished).
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
