"""Test documents of each phase as each system tokenizes them, and the selection that is scored.

Legend: S selected records (indices into the documents of a split).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.items import Item, read_items
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import ComparedDocuments, PrepareResult, read_result
from finetune.evaluate.kept import Kept
from finetune.spec.tables.task import Group

if TYPE_CHECKING:
    from finetune.models.kinds import Kind

Records = dict[str, NDArray[np.int64]]
"""The records that are scored, by language."""


@dataclass(frozen=True, slots=True)
class Part:
    """The test texts of one phase, in the tokens of either system."""

    phase: str | None
    """None in a recipe without phases."""
    items: list[Item]
    """Of the adapter's split."""
    splits: dict[str, PreparedItems]
    """By system: `base`, `adapter`; the same one unless the vocabulary was extended."""
    chosen: dict[str, Records]
    """By system; the same documents, in the same order."""
    wanted: int
    """Documents that would be scored if the other system had all of them."""
    asked: tuple[Item, ...] = ()
    """All items of the task that is being answered, of which its groups may hold a few."""
    kept: Kept = field(default_factory=Kept, compare=False)
    """Shared by all parts of an evaluation."""


def parts_of(job: Job) -> tuple[Part, ...]:
    """Open the test texts of every phase, and choose the documents that are scored.

    With an extended vocabulary, only documents that both tokenizers leave in the corpus: a
    conversation may be longer than a row in one of them.
    """
    from finetune.models.kinds import kind_of  # with torch, which a table of scores needs not

    kind, plain = kind_of(job.inputs["base"].path / "model"), dict(job.plain)
    found, kept = [], Kept()
    for phase, prepared in job.prepared:
        split, items = _opened(prepared, kind=kind)
        most = job.recipe.evaluate.max_documents
        chosen = choose_documents(split, max_documents=most, items=items)
        splits, both = {"base": split, "adapter": split}, {"base": chosen, "adapter": chosen}
        if phase in plain:
            other, other_items = _opened(plain[phase], kind=kind)
            splits["base"] = other
            both["adapter"], both["base"] = _common(
                (split, items, chosen),
                (other, other_items, choose_documents(other, max_documents=len(other_items))),
            )
        wanted = sum(len(np.unique(split.documents_D["document"][r])) for r in chosen.values())
        found.append(Part(phase, items, splits, both, wanted, kept=kept))
    return tuple(found)


def _opened(prepared: Artifact, *, kind: Kind) -> tuple[PreparedItems, list[Item]]:
    directory = prepared.path / "test"
    result = read_result(prepared, PrepareResult)
    split = kind.open_split(directory, languages=result.languages, cards=result.cards)
    return split, read_items(directory, split)


_View = tuple[PreparedItems, list[Item], Records]


def _common(one: _View, two: _View) -> tuple[Records, Records]:
    """Return the records of the documents that are in both. Documents are in the same order."""
    found: tuple[Records, Records] = ({}, {})
    for language in one[2]:
        views = [(items, records.get(language, ())) for _, items, records in (one, two)]
        there = [{items[int(r)] for r in records} for items, records in views]
        both = there[0] & there[1]
        for kept, (items, records) in zip(found, views, strict=True):
            kept[language] = np.array([r for r in records if items[int(r)] in both], dtype=np.int64)
    return found


def choose_documents(
    split: PreparedItems, *, max_documents: int, items: Sequence[Item] = ()
) -> dict[str, NDArray[np.int64]]:
    """Return per language the records of its first `max_documents` documents.

    Of `items` that are held out as a whole, half as many more.

    Documents are numbered in the order of their content hash, so the first ones are a random
    sample that is the same every time. All segments of a split document go together. Segments
    without text are skipped.
    """
    chosen: dict[str, NDArray[np.int64]] = {}
    documents_D = split.documents_D
    for index, language in enumerate(split.languages):
        spells = (documents_D["language"] == index) & (documents_D["supervised_bytes"] > 0)
        records_S = np.flatnonzero(spells)
        is_whole_S = np.array([bool(items and items[int(r)].held_out) for r in records_S], bool)
        numbers_S = documents_D["document"][records_S]
        numbers = np.concatenate(
            [
                np.unique(numbers_S[~is_whole_S])[:max_documents],
                np.unique(numbers_S[is_whole_S])[: _half(max_documents, is_whole_S)],
            ]
        )
        if len(numbers):
            wanted = np.isin(documents_D["document"][records_S], numbers)
            chosen[language] = records_S[wanted]
    return chosen


def chosen_among(part: Part, groups: Sequence[Group], *, system: str) -> Records:
    """Return the records of the documents of some groups of items, by language.

    Items of groups are those of `Part.items`, each the first record of its document.
    """
    number_of = {id(item): index for index, item in enumerate(part.items)}
    found: Records = {}
    for group in groups:
        wanted = [number_of[id(item)] for item in group.items]
        records, mine = part.chosen["adapter"][group.language], part.chosen[system][group.language]
        places = np.searchsorted(
            np.unique(part.splits["adapter"].documents_D["document"][records]),
            part.splits["adapter"].documents_D["document"][wanted],
        )
        documents_S = part.splits[system].documents_D["document"][mine]
        found[group.language] = mine[np.isin(documents_S, np.unique(documents_S)[places])]
    return found


def _half(most: int, is_whole_S: NDArray[np.bool_]) -> int:
    return most if is_whole_S.all() else max(1, most // 2)


def bytes_per_token(parts: Sequence[Part], system: str) -> dict[str, float]:
    """Return UTF-8 bytes of the scored text over its tokens, by language."""
    sums: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        for language, record in _records(part, system):
            counted = np.array([record["supervised_bytes"], record["supervised_tokens"]], float)
            sums[language] = sums.get(language, np.zeros(2)) + counted
    return {language: float(total[0] / total[1]) for language, total in sums.items() if total[1]}


def compared(parts: Sequence[Part]) -> ComparedDocuments:
    """Count scored documents, and those skipped because one tokenizer makes them too long."""
    both = sum(
        _count(part, records) for part in parts for records in part.chosen["adapter"].values()
    )
    return ComparedDocuments(both, left_out=sum(part.wanted for part in parts) - both)


def _count(part: Part, records: NDArray[np.int64]) -> int:
    return len(np.unique(part.splits["adapter"].documents_D["document"][records]))


def _records(part: Part, system: str) -> Iterator[tuple[str, np.void]]:
    for language, records in part.chosen[system].items():
        for record in part.splits[system].documents_D[records]:
            yield language, record
