"""Files that a person gives for the making again of a release, found by their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from finetune.errors import FinetuneError, InputError
from finetune.messages import Place, problem
from finetune.release.provenance.card_facts import card_sha256
from finetune.sources.checksums import checksums
from finetune.spec.card import DataCard
from finetune.spec.load import load_card

MOST_FILES = 20_000
"""More than the files of a base and of its corpora; a whole disk takes hours."""


@dataclass(frozen=True, slots=True)
class Supplied:
    """The files of the folders that were named."""

    by_sha256: Mapping[str, Path]

    def card(self, name: str, sha256: str) -> Path | None:
        """Return the file of a card that states what the checksum was made of."""
        return next((c.path for c in self.cards(name) if card_sha256(c) == sha256), None)

    def cards(self, name: str) -> Iterator[DataCard]:
        """Yield the cards of a name; other files are skipped."""
        for path in self.by_sha256.values():
            if path.name == f"{name}.md":
                with suppress(FinetuneError):
                    yield load_card(path)


def supplied(folders: Sequence[Path]) -> Supplied:
    """Return the files below folders. Raises InputError for one that is none or has too many."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(problem("no-folder-of-files", "is no folder", at=Place(folder)))
        files = sorted(islice((p for p in folder.rglob("*") if p.is_file()), MOST_FILES + 1))
        if len(files) > MOST_FILES:
            raise InputError(
                problem(
                    "too-many-files-given",
                    "has more than {most} files; name the folder of the inputs alone",
                    at=Place(folder),
                    most=MOST_FILES,
                )
            )
        try:
            sums = checksums(files)
        except OSError as error:
            raise InputError(
                problem(
                    "file-given-unreadable",
                    "cannot be read: {why}",
                    at=Place(str(error.filename or folder)),
                    why=error.strerror or str(error),
                )
            ) from None
        for path, digest in sums.items():
            found.setdefault(digest, path)
    return Supplied(found)
