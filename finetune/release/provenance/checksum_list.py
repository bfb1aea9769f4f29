"""`SHA256SUMS` of a release, as `sha256sum -c` reads it in the folder of the release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from finetune.errors import InputError
from finetune.messages import Place, Problem, problem
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.release.provenance.provenance_index import FOLDER, INDEX, RECIPE, SUMS
from finetune.sources.archives import refused_name
from finetune.sources.checksums import sha256_of
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.sources.tar_stream import shown

LIST = f"{FOLDER}/{SUMS}"
NEEDED = (f"{FOLDER}/{INDEX}", f"{FOLDER}/{RECIPE}", "training_data.json", ADAPTER_WEIGHTS)
MAX_BYTES = 32 * 2**20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_sums(files: Mapping[str, Path], folder: Path) -> Path:
    """Write the checksums of the files of a release (name -> path); return the list."""
    lines = [f"{sha256_of(path)}  {name}\n" for name, path in sorted(files.items()) if name != LIST]
    (folder / LIST).write_text("".join(lines), "utf-8")
    return folder / LIST


def read_sums(path: Path) -> dict[str, str]:
    """Return name -> sha256 of a list from outside, whose names stay below a folder.

    Raises InputError with the first line that is none.
    """
    try:
        lines = read_bytes(path, max_bytes=MAX_BYTES).decode("utf-8").splitlines()
    except (OSError, UnreadableError, UnicodeDecodeError) as error:
        raise InputError(
            problem(
                "no-checksum-list",
                "cannot be read ({why}); only releases since version 7 of the stage have a folder "
                "`provenance`",
                at=Place(path),
                why=getattr(error, "strerror", None) or str(error),
            )
        ) from None
    sums: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        name = match[2] if match else ""
        if match is None or refused_name(name) or name in sums or name == LIST:
            raise InputError(
                problem(
                    "odd-checksum-line",
                    "{line} is no checksum and name of a file of the release",
                    at=Place(path, number),
                    line=shown(line),
                )
            )
        sums[name] = match[1]
    return sums


def refuse_changed(folder: Path) -> dict[str, str]:
    """Return name -> sha256 of the files of a release.

    Raises InputError with every file that is missing or other than the list states, and with every
    file of `provenance` that the list does not name.
    """
    sums = read_sums(folder / LIST)
    found = {name: _wrong(folder / name, sha256) for name, sha256 in sums.items()}
    unlisted = problem("file-not-listed", "is not in {list}", list=LIST)
    found |= {name: unlisted for name in NEEDED if name not in sums}
    for path in sorted((folder / FOLDER).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in sums and name != LIST:
            found[name] = unlisted
    problems = [one.at(Place(folder / name)) for name, one in found.items() if one is not None]
    if problems:
        raise InputError(*problems)
    return sums


def _wrong(path: Path, sha256: str) -> Problem | None:
    try:
        actual = sha256_of(path)
    except OSError:
        return problem("file-lost", "is in {list}, and not there", list=LIST)
    if actual == sha256:
        return None
    return problem(
        "file-changed",
        "sha256 is {actual}, and {list} has {stated}: it was changed since the release was built",
        actual=actual,
        list=LIST,
        stated=sha256,
    )
