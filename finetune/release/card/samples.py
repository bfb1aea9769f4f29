"""Samples of a model card: outputs for test items that are drawn by hash, never by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.remake import how_to_remake
from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.output.small_files import UnreadableError, parse_json
from finetune.release.leaks import is_private
from finetune.spec.language import language_name
from finetune.spec.permission import passed_on
from finetune.text.shown import quotable, shown

GENERATIONS = "generations.jsonl"
MOST = 3
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class _Record:
    id: str
    card: str
    language: str
    base: str
    adapter: str
    source: str | None = None
    direction: str | None = None
    prompt: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A test item with what base and adapter wrote for it, without personal data."""

    asked: str
    """The source text, or the end of the prompt."""
    asked_in: str | None
    """Name of the language of a source text."""
    language: str
    reference: str | None
    base: str
    adapter: str


def samples_of(job: Job) -> list[Sample]:
    """Return some samples, in turn of their directions; none where no text may be passed on.

    Raises StoreError if the file of the evaluation is damaged.
    """
    evaluate = job.inputs.get("evaluate")
    if evaluate is None or not (evaluate.path / GENERATIONS).is_file():
        return []
    allowed = set(passed_on(job.cards))
    groups: dict[tuple[str, str | None], list[_Record]] = {}
    for record in sorted(_records(evaluate, allowed), key=_hash):
        groups.setdefault((record.language, record.direction), []).append(record)
    return _in_turn([[_sample(one) for one in group] for group in groups.values()])


def _records(evaluate: Artifact, allowed: Collection[str]) -> list[_Record]:
    found = []
    with (evaluate.path / GENERATIONS).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = parse_json(line, _Record)
            except UnreadableError:
                raise StoreError(
                    problem(
                        "generations-damaged",
                        "is damaged; {remedy}",
                        at=Place(evaluate.path / GENERATIONS, number),
                        remedy=how_to_remake(evaluate.path),
                    )
                ) from None
            texts = (record.source, record.prompt, record.reference, record.base, record.adapter)
            if record.card in allowed and not any(is_private(text or "") for text in texts):
                found.append(record)
    return found


def _hash(record: _Record) -> str:
    return hashlib.sha256(f"{record.direction} {record.id}".encode()).hexdigest()


def _sample(record: _Record) -> Sample:
    source = record.direction.partition(">")[0] if record.direction else None
    return Sample(
        asked=_shown(record.source or record.prompt or ""),
        asked_in=language_name(source) if source and record.source else None,
        language=language_name(record.language),
        reference=_shown(record.reference) if record.reference else None,
        base=_shown(record.base),
        adapter=_shown(record.adapter),
    )


def _shown(text: str) -> str:
    return shown(quotable(text), most=MOST_CHARACTERS)


def _in_turn(groups: list[list[Sample]]) -> list[Sample]:
    """Return samples of all groups, the first of each before the second of any."""
    longest = max(map(len, groups), default=0)
    return [group[n] for n in range(longest) for group in groups if n < len(group)][:MOST]
