"""Files of a data set of Mozilla Data Collective: its archive, held against the card.

The client downloads; unpacking and checksums are ours. Only the files that the card names leave
the archive, and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.errors import DataError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.sources.archives import MAX_RATIO, RATIO_FROM_BYTES, write_member
from finetune.sources.checksums import sha256_of
from finetune.sources.data_collective.client import Details, details_of, downloaded, require_key
from finetune.sources.tar_stream import ArchiveError, opened, shown
from finetune.sources.web import refuse_size

_TAR = (".tar.gz", ".tgz", ".tar")


def fetch_archive(dataset: str, folder: Path) -> tuple[Path, Details]:
    """Download the archive of a data set into a new folder; return it, and what is said of it.

    Raises:
        InputError: no key, no such data set, no access, or it is larger than a download may be.
        StoreError: no network, too little space, or an answer that is not understood.
    """
    at = place_of(dataset)
    require_key(at=at)
    details = details_of(dataset, at=at)
    _refuse_name(details.filename, at=at)
    folder.mkdir(parents=True, exist_ok=True)
    refuse_size(details.size_bytes, folder, at=at)
    path = Path(downloaded(dataset, str(folder), at=at))
    if path.resolve().parent != folder.resolve() or not path.is_file():
        raise _odd_name(path.name, at=at)
    return path, details


def place_of(dataset: str) -> Place:
    """Return the place of problems with a data set."""
    return Place(part=sentence("data set {dataset!r} of Mozilla Data Collective", dataset=dataset))


def fetch_files(dataset: str, sha256: str, files: Mapping[str, str], into: Path) -> None:
    """Put files of a data set below a folder: path in the archive -> sha256.

    `sha256` is that of the archive. Raises as `fetch_archive`, and DataError if the archive or a
    file has another checksum, is missing or damaged.
    """
    scratch, at = into / ".download", place_of(dataset)
    try:
        archive, _ = fetch_archive(dataset, scratch)
        if (actual := sha256_of(archive)) != sha256:
            raise _changed(archive.name, actual, sha256, at=at)
        unpack(archive, files, into, at=at)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def unpack(archive: Path, files: Mapping[str, str], into: Path, *, at: Place) -> None:
    """Copy the wanted files out of an archive, each checked; one that is no tar file is one file.

    Raises DataError.
    """
    missing = dict(files)
    if not archive.name.lower().endswith(_TAR):
        if archive.name in missing:
            _refuse_changed(archive.name, sha256_of(archive), missing.pop(archive.name), at=at)
            shutil.copyfile(archive, into / archive.name)
    else:
        most = max(RATIO_FROM_BYTES, MAX_RATIO * archive.stat().st_size)
        try:
            with opened(archive, max_bytes=most) as members:
                for member in members:
                    name = member.name.removeprefix("./")
                    if name in missing and member.kind == "file":
                        actual = write_member(member, into / name)
                        _refuse_changed(name, actual, missing.pop(name), at=at)
        except ArchiveError as error:
            raise _damaged(error, at=at) from None
    if missing:
        raise _no_file(missing, at=at)


def sums_in(archive: Path, files: Sequence[str], *, at: Place) -> dict[str, str]:
    """Return the checksums of files in an archive, by path. Raises DataError."""
    if not archive.name.lower().endswith(_TAR):
        found = {archive.name: sha256_of(archive)}
    else:
        most, found = max(RATIO_FROM_BYTES, MAX_RATIO * archive.stat().st_size), {}
        try:
            with opened(archive, max_bytes=most) as members:
                for member in members:
                    name = member.name.removeprefix("./")
                    if name in files and member.kind == "file":
                        digest = hashlib.sha256()
                        for block in member.blocks():
                            digest.update(block)
                        found[name] = digest.hexdigest()
        except ArchiveError as error:
            raise _damaged(error, at=at) from None
    if missing := [name for name in files if name not in found]:
        raise _no_file(missing, at=at)
    return found


def _no_file(names: Iterable[str], *, at: Place) -> DataError:
    return DataError(
        problem(
            "mdc-no-file",
            "the archive has no file {files!r}; `finetune cards mdc` lists its files",
            at=at,
            files=list(names),
        )
    )


def names_in(archive: Path, *, at: Place) -> list[str]:
    """Return the files of an archive; of one that is no tar file itself. Raises DataError."""
    if not archive.name.lower().endswith(_TAR):
        return [archive.name]
    most = max(RATIO_FROM_BYTES, MAX_RATIO * archive.stat().st_size)
    try:
        with opened(archive, max_bytes=most) as members:
            return [one.name.removeprefix("./") for one in members if one.kind == "file"]
    except ArchiveError as error:
        raise _damaged(error, at=at) from None


def _damaged(error: ArchiveError, *, at: Place) -> DataError:
    why = str(error)
    return DataError(
        problem(
            "damaged-archive", "its archive cannot be opened ({why}); fetch again", at=at, why=why
        )
    )


def _refuse_name(name: str, *, at: Place) -> None:
    if not name or name != os.path.basename(name) or name.startswith("."):  # noqa: PTH119, as text
        raise _odd_name(name, at=at)


def _odd_name(name: str, *, at: Place) -> StoreError:
    return StoreError(
        problem(
            "mdc-odd-name",
            "the service names its archive {name}, which is no plain name of a file; nothing was "
            "read",
            at=at,
            name=shown(name),
        )
    )


def _refuse_changed(file: str, actual: str, stated: str, *, at: Place) -> None:
    if actual != stated:
        raise _changed(file, actual, stated, at=at)


def _changed(file: str, actual: str, stated: str, *, at: Place) -> DataError:
    return DataError(
        problem(
            "wrong-checksum",
            "{file}: sha256 is {actual}, the card states {stated}; the data set has changed, look "
            "at it before you correct the card",
            at=at,
            file=file,
            actual=actual,
            stated=stated,
        )
    )
