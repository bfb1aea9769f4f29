"""`finetune cards update`: checksums, size and first texts of changed files, in the card."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.cards.brought_files import no_such_file
from finetune.cards.hub_values import size_category
from finetune.cards.look import ALL_UNITS, Look, look
from finetune.cards.prose import counts_in, renewed_counts
from finetune.cards.rewrite import SIZE, rewrite
from finetune.errors import RecipeError
from finetune.messages import Place, Sentence, phrase, problem
from finetune.output.paths import is_file
from finetune.sources.checksums import checksums
from finetune.spec.card import DataCard
from finetune.spec.sections.source import LocalSource
from finetune.text.shown import quotable

SAMPLES = 3
"""First texts of a card that shows some."""
_SIZE_LINE = re.compile(
    r"^(?P<key>size_categories:)(?:[ \t]*\[[^\]\n]*\]|[ \t]*\r?\n[ \t]*-[^\r\n]*)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Changed:
    """A file whose content is not the one that the card names."""

    path: str
    """As in the card."""
    old: str
    new: str
    """Checksums, sha256 in hexadecimal digits."""


def update_command(path: Path) -> Sentence:
    """Return the command that updates the card at `path`, as a fact of a sentence."""
    return phrase(shlex.join(["finetune", "cards", "update", str(path)]))


def changed_files(card: DataCard) -> list[Changed]:
    """Return the files whose checksums differ from the card.

    Raises RecipeError if the card names no files beside it, or one of them is not there.
    """
    source = card.corpus.source
    if not isinstance(source, LocalSource):
        raise RecipeError(
            problem(
                "no-own-files",
                "the texts are not files beside the card, so their checksums are not yours to "
                "change",
                at=Place(card.path, key="corpus.source"),
            )
        )
    paths = {file: card.path.parent / file.path for file in source.files}
    missing = [no_such_file(path) for path in paths.values() if not is_file(path)]
    if missing:
        raise RecipeError(*missing)
    sums = checksums(paths.values())
    return [
        Changed(file.path, file.sha256, sums[path])
        for file, path in paths.items()
        if sums[path] != file.sha256
    ]


@dataclass(frozen=True, slots=True)
class Renewed:
    """A card brought up to date with its files."""

    files: Sequence[Changed]
    """Files with another checksum than the card states."""
    size: bool
    """True if the size category changed."""
    counts: bool
    """True if the counts or the first texts in the prose changed."""

    @property
    def is_current(self) -> bool:
        """Return whether nothing changed."""
        return not (self.files or self.size or self.counts)


def renew(card: DataCard, *, dry_run: bool) -> Renewed:
    """Write checksums, size category, counts and first texts of changed files into a card.

    Everything else stays byte for byte; no counts or texts are added where the card has none. Where
    no file changed, only first texts with personal data are renewed. Raises RecipeError, with the
    lines to write by hand, where that is not possible; DataError for files that cannot be read.
    """
    files = changed_files(card)
    sums = {one.path: one.new for one in files}
    source = card.corpus.source
    assert isinstance(source, LocalSource)  # noqa: S101, changed_files refused others
    new = [f.model_copy(update={"sha256": sums.get(f.path, f.sha256)}) for f in source.files]
    corpus = {"source": source.model_copy(update={"files": new})}
    current = card.model_copy(update={"corpus": card.corpus.model_copy(update=corpus)})
    old = counts_in(card.body)
    if not files and (old is None or quotable(old[0]) == old[0]):
        return Renewed(files, size=False, counts=False)
    seen = look(current, units=ALL_UNITS, samples=SAMPLES if old and old[2] else 0)
    before = old[0] if old else ""
    after = renewed_counts(current, seen, before, lang=old[1]) if old else ""
    category = _category(card, seen)
    renewed = Renewed(files, bool(category), after != before)
    if dry_run or renewed.is_current:
        return renewed

    def edited(text: str) -> str:
        if before:
            text = text.replace(before, after, 1)
        if category:
            text = _SIZE_LINE.sub(rf"\g<key> [{category}]", text, count=1)
        return _replaced(text, files)

    if not rewrite(card.path, edited, corpus=corpus, size=True, prose=True):
        raise RecipeError(
            problem(
                "checksums-by-hand",
                "the checksums cannot be written here; write them yourself: {lines}",
                at=Place(card.path, key="corpus.source.files"),
                lines=[f"{one.path}: {one.new}" for one in files],
            )
        )
    return renewed


def _category(card: DataCard, seen: Look) -> str:
    """Return the size category to write; nothing if it is right, or stated in another way."""
    stated = card.hub_metadata.get(SIZE)
    found = size_category(seen.records)
    is_one = isinstance(stated, list) and len(stated) == 1
    return found if seen.whole and is_one and stated != [found] else ""


def _replaced(text: str, changed: Sequence[Changed]) -> str:
    head, end, prose = text.partition("\n---")
    for one in changed:
        head = head.replace(one.old, one.new)
    return head + end + prose
