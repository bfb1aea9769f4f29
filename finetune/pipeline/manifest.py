"""The manifest of an artefact: stage, key, inputs, result, and files with checksums.

`manifest.json` is written last, so that a folder with one is whole. It holds a checksum of itself
(`digest`: sha256 of its own text with zeros in place of the digest), so that no bit of it changes
unseen; those of before (schema 1) have none and are still read.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from finetune import __version__
from finetune.artefacts.remake import how_to_remake
from finetune.errors import StoreError
from finetune.launch.machine_kind import machine_kind
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.durable import replace_text
from finetune.output.small_files import UnreadableError, parse_json, read_bytes
from finetune.pipeline.disk_errors import explained, in_the_way

if TYPE_CHECKING:
    from finetune.pipeline.store import Request

MANIFEST = "manifest.json"
SCHEMA = 2
"""Of what is written; 1 had no digest."""
KEY_DIGITS = 16
MAX_BYTES = 16 * 2**20
_LAST_SECOND = 1e11  # of the year 5138: what is later is no time of a build
_NO_DIGEST = b"0" * 64
_DIGEST = re.compile(rb'^ "digest": "([0-9a-f]{64})",$', re.MULTILINE)


def _inside(name: str) -> str:
    parts = name.split("/")
    if name == MANIFEST or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError("is no name of a file inside the artefact")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class FileFacts(_Part):
    """Entry of a manifest for a file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]


_Time = Annotated[float, Field(ge=0, le=_LAST_SECOND, allow_inf_nan=False)]
_Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,40}$")]
_Name = Annotated[str, Field(pattern=r"^[\w-]+$")]


class Manifest(_Part):
    """Content of `manifest.json`."""

    number: Annotated[int, Field(alias="schema", ge=1)]
    stage: _Name
    key: _Name
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
    """The recipe's (`spec.recipe.Name`)."""
    lineage: str | None
    version: _Version
    """Of finetune, that wrote it."""
    content: dict[str, Any]
    """Input of the key's hash."""
    inputs: dict[str, Annotated[str, Field(pattern=r"^[\w-]+/[\w-]+$")]]
    """Role -> `stage/key`."""
    result: dict[str, Any]
    """Result of the stage."""
    files: dict[Annotated[str, AfterValidator(_inside)], FileFacts]
    """Name inside the artefact -> size and checksum."""
    environment: dict[str, Any]
    started: _Time
    """Seconds since the epoch."""
    finished: _Time
    digest: str | None = None

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def made_of(self) -> Mapping[str, Any]:
        """The stage's own part of what the key was made from: settings, pins of files."""
        found = self.content.get("content")
        return found if isinstance(found, dict) else {}


class _Head(BaseModel):
    """Header that is read first: whether this version can read the rest."""

    number: Annotated[int, Field(alias="schema")]
    version: _Version


def key_of(content: Mapping[str, Any]) -> str:
    """Return the key of canonical content.

    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of the artefact folder `path` (`.../STAGE/KEY`).

    Raises StoreError with the way out if it is missing, damaged, of a newer version, or that of
    another artefact.
    """
    try:
        found = parse_manifest(read_bytes(path / MANIFEST, max_bytes=MAX_BYTES))
    except NewerError as error:
        raise StoreError(
            problem(
                "newer-manifest",
                "{why}; use that version of finetune here, or give this one a store of its own "
                "with --store",
                at=Place(path),
                why=error.why,
            )
        ) from None
    except (OSError, UnreadableError) as error:
        refused = None
        if isinstance(error, PermissionError):
            refused = explained(error, root=path.parents[1])
        raise StoreError(in_the_way(path) or refused or _unreadable(path, error)) from None
    if (found.stage, found.key) != (path.parent.name, path.name):
        raise StoreError(
            problem(
                "manifest-of-other-artefact",
                "its manifest is that of {stage}/{key}: it was moved or copied here; {remedy}",
                at=Place(path),
                stage=found.stage,
                key=found.key,
                remedy=how_to_remake(path),
            )
        )
    return found


def _unreadable(path: Path, error: OSError | UnreadableError) -> Problem:
    why = error.why if isinstance(error, UnreadableError) else error.strerror or str(error)
    return problem(
        "unreadable-manifest",
        "its manifest cannot be read ({why}); {remedy}",
        at=Place(path),
        why=why,
        remedy=how_to_remake(path),
    )


class NewerError(ValueError):
    """A manifest of a later version than this one."""

    def __init__(self, why: Sentence) -> None:
        super().__init__(why)
        self.why = why


def parse_manifest(content: bytes) -> Manifest:
    """Return the manifest that a file holds.

    Raises NewerError if a later version wrote it, UnreadableError if it is no manifest or its
    digest is another.
    """
    head = parse_json(content, _Head)
    if head.number > SCHEMA:
        raise NewerError(
            sentence(
                "was written by finetune {version} (manifest schema {schema}); this is finetune "
                "{own}, which reads schemas up to {most}",
                version=head.version,
                schema=head.number,
                own=__version__,
                most=SCHEMA,
            )
        )
    found = parse_json(content, Manifest)
    if found.number == 1 and found.digest is None:
        return found
    if found.digest is None or _digest_of(content) != found.digest:
        why = sentence("its digest is another one: it was changed after it was written")
        raise UnreadableError(why)
    return found


def _digest_of(content: bytes) -> str | None:
    """Return the sha256 of a manifest with zeros as digest; None if it has none where we write it.

    A line with one space before the name is one of the outermost mapping, and there is one.
    """
    blank, count = _DIGEST.subn(b' "digest": "' + _NO_DIGEST + b'",', content)
    return hashlib.sha256(blank).hexdigest() if count == 1 else None


def lost_files(path: Path, manifest: Manifest) -> list[str]:
    """Return the files of an artefact that are missing or differ in size from its manifest."""
    return sorted(n for n, facts in manifest.files.items() if size_of(path / n) != facts.size_bytes)


def size_of(path: Path) -> int | None:
    """Return the size of a regular file in bytes; None if there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


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
        "schema": SCHEMA,
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
        "digest": _NO_DIGEST.decode(),
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
    itself = _digest_of(text.encode())
    replace_text(
        partial / MANIFEST,
        text.replace(f'\n "digest": "{_NO_DIGEST.decode()}"', f'\n "digest": "{itself}"'),
    )


def environment() -> dict[str, Any]:
    """Return versions that decide results; no host or user name."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {"python": platform.python_version(), "packages": packages} | machine_kind()
