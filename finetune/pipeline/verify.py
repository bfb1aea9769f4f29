"""Verification of artefacts: every byte against the checksums of the manifest.

An artefact is verified when it becomes the input of a stage, is talked to or exported: once by each
user and machine, remembered while its files look unchanged (finetune.sources.checksums). A release
is read anew whenever it leaves, and `finetune runs --verify` reads everything anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.artefacts.remake import how_to_remake
from finetune.errors import StoreError
from finetune.messages import Place, Problem, joined, phrase, problem, sentence
from finetune.pipeline.disk_errors import disk_errors
from finetune.pipeline.manifest import (
    MANIFEST,
    Manifest,
    key_of,
    read_manifest,
    size_of,
)
from finetune.sources.checksums import checksums, sha256_of

SHOWN_FILES = 5
_OTHER = "its bytes are not those that were written (sha256)"


@dataclass(frozen=True, slots=True)
class Damage:
    """Faults of an artefact: file name -> fault."""

    path: Path
    files: Mapping[str, str]

    @property
    def problem(self) -> Problem:
        """Each damaged file by name, and the command that makes the artefact again."""
        shown = [phrase(f"{name}: {why}") for name, why in list(self.files.items())[:SHOWN_FILES]]
        if more := len(self.files) - len(shown):
            shown.append(sentence("and {count} more", count=more))
        return problem(
            "damaged-artefact",
            "damaged: {files}; {remedy}",
            at=Place(self.path),
            files=joined(shown, between="; "),
            remedy=how_to_remake(self.path),
        )

    @property
    def sentence(self) -> str:
        """The problem in English."""
        return str(self.problem)


def refuse_damaged(
    artifacts: Iterable[Artifact],
    *,
    names: Collection[str] | None = None,
    anew: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Compare the files of these artefacts with their manifests, before they are used.

    `names` are the files to compare (names that an artefact lacks are skipped); default: all,
    and then no other file may be there. With `anew` nothing that is remembered counts. `progress`
    gets the bytes that were compared.

    Raises:
        StoreError: each damaged file with the command that makes its artefact again.
    """
    found = [damage_of(a.path, names=names, anew=anew, progress=progress) for a in artifacts]
    problems = [damage.problem for damage in found if damage is not None]
    if problems:
        raise StoreError(*problems)


def damage_of(
    path: Path,
    *,
    names: Collection[str] | None = None,
    anew: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Damage | None:
    """Return what is wrong with the artefact folder `path`, or None if it is whole.

    `names` and `anew` as in `refuse_damaged`; `progress` gets the bytes that were compared.
    Raises StoreError if its manifest cannot be used or a file may not be read.
    """
    manifest = read_manifest(path)
    with disk_errors(path.parents[1]):
        wrong = dict(_wrong_files(path, manifest, names=names, anew=anew, progress=progress))
        if names is None:
            wrong |= {name: "is not in the manifest" for name in _unlisted(path, manifest)}
    if names is None and key_of(manifest.content) != manifest.key:
        wrong[MANIFEST] = "its content does not give its key"
    return Damage(path, wrong) if wrong else None


def _wrong_files(
    path: Path,
    manifest: Manifest,
    *,
    names: Collection[str] | None,
    anew: bool,
    progress: Callable[[int], None],
) -> Iterator[tuple[str, str]]:
    there = {}
    for name, facts in sorted(manifest.files.items()):
        if names is not None and name not in names:
            continue
        size = size_of(path / name)
        if size is None:
            yield name, "is gone"
        elif size != facts.size_bytes:
            yield name, f"has {size} bytes and not {facts.size_bytes}"
        else:
            there[path / name] = name
    if anew:
        digests = {file: _read_sum(file, progress) for file in there}
    else:
        try:
            digests = dict(checksums(there, progress=progress))
        except OSError:  # one cannot be read: which, and what of the others
            digests = {file: _read_sum(file, progress) for file in there}
    for file, name in there.items():
        if digests[file] != manifest.files[name].sha256:
            yield name, _OTHER if digests[file] else "cannot be read from the disk"


def _read_sum(file: Path, progress: Callable[[int], None]) -> str:
    """Return the sha256 of a file, nothing where the disk fails."""
    try:
        return sha256_of(file, progress=progress)
    except PermissionError:
        raise
    except OSError:
        return ""  # a bad block: reported as damage by the caller


def _unlisted(path: Path, manifest: Manifest) -> list[str]:
    """Return what lies in an artefact beside its files; hidden files of desktops do not count."""
    found = []
    for folder, folders, files in os.walk(path):
        inner = Path(folder)
        links = [name for name in folders if (inner / name).is_symlink()]
        for name in (*files, *links):
            place = (inner / name).relative_to(path).as_posix()
            if place not in manifest.files and place != MANIFEST and not name.startswith("."):
                found.append(place)
    return sorted(found)
