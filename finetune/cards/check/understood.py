"""Notes on how the files of a card are read: separator, header, encoding, sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from finetune.cards.check.finding import Finding
from finetune.errors import DataError
from finetune.messages import Place, Problem, problem, sentence
from finetune.readers.guards import listed
from finetune.sources.broken_files import explained_keys
from finetune.sources.files import SourceFile
from finetune.sources.zipped import members_of
from finetune.spec.card import DataCard
from finetune.spec.entry_points import load
from finetune.spec.formats import known_format
from finetune.text.shown import shown_problem

MAX_FILES = 3


def understood(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Finding]:
    """Yield a note for each of the first files whose reader finds out how it is read."""
    yield from _archives(files)
    form = known_format(card.corpus.format)
    if form is None or not form.understood:
        return
    find = explained_keys(load(form.understood))
    for file in files[:MAX_FILES]:
        try:
            facts = find(file, corpus=card.corpus)
        except DataError:
            continue  # reported with the texts
        if facts:
            yield Finding("note", shown_problem(_note(file.place(), facts)))


def _archives(files: Sequence[SourceFile]) -> Iterator[Finding]:
    """Yield a note for each ZIP archive with files that are not read."""
    read: dict[Path, set[str]] = {}
    for file in files:
        if file.member:
            read.setdefault(file.path, set()).add(file.member)
    try:
        others = {
            path: sorted(set(members_of(path, at=Place(path.name))) - members)
            for path, members in read.items()
        }
    except DataError:
        return  # reported with the texts
    for path, names in others.items():
        if names:
            unread = problem(
                "archive-unread",
                "These files of the archive are not read: {names}",
                at=Place(path.name),
                names=listed(names),
            )
            yield Finding("note", unread)


def _note(at: Place, facts: list[tuple[object, object]]) -> Problem:
    parts = [sentence("{what}: {value}", what=what, value=value) for what, value in facts]
    return problem("understood", "Read with {facts}.", at=at, facts=parts)
