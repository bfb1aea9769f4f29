"""Samples of a model card: outputs for test items that are drawn by hash, never by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.outputs.generation_records import read_generations
from finetune.release.leaks import is_private
from finetune.spec.language import language_name
from finetune.spec.permission import passed_on
from finetune.text.shown import quotable, shown

_Record = dict[str, Any]
MOST = 3
MOST_CHARACTERS = 200


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
    if evaluate is None:
        return []
    allowed = set(passed_on(job.cards))
    groups: dict[tuple[str, str | None], list[_Record]] = {}
    for record in sorted(_records(evaluate, allowed), key=_hash):
        groups.setdefault((record["language"], record.get("direction")), []).append(record)
    return _in_turn([[_sample(one) for one in group] for group in groups.values()])


def _records(evaluate: Artifact, allowed: Collection[str]) -> Iterator[_Record]:
    for record in read_generations(evaluate.path):
        texts = (record.get(name) for name in ("source", "prompt", "reference", "base", "adapter"))
        if record["card"] in allowed and not any(is_private(text or "") for text in texts):
            yield record


def _hash(record: _Record) -> str:
    return hashlib.sha256(f"{record.get('direction')} {record['id']}".encode()).hexdigest()


def _sample(record: _Record) -> Sample:
    source = (record.get("direction") or "").partition(">")[0]
    text, reference = record.get("source"), record.get("reference")
    return Sample(
        asked=_shown(text or record.get("prompt") or ""),
        asked_in=language_name(source) if source and text else None,
        language=language_name(record["language"]),
        reference=_shown(reference) if reference else None,
        base=_shown(record["base"]),
        adapter=_shown(record["adapter"]),
    )


def _shown(text: str) -> str:
    return shown(quotable(text), most=MOST_CHARACTERS)


def _in_turn(groups: list[list[Sample]]) -> list[Sample]:
    """Return samples of all groups, the first of each before the second of any."""
    longest = max(map(len, groups), default=0)
    return [group[n] for n in range(longest) for group in groups if n < len(group)][:MOST]
