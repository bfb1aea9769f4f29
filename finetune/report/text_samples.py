"""Samples of outputs: items chosen by hash, the same ones for every run.

Texts are shown only where the evaluation recorded them beside its scores, which it does for cards
whose owners let texts be passed on; personal data is masked in what is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artefacts.outputs.generation_records import read_generations
from finetune.report.run_facts import Run
from finetune.text.shown import quotable

PER_PLACE = 3
"""Samples of a language or direction."""
LETTERS = 600
"""Of a text; more are cut."""


@dataclass(frozen=True, slots=True)
class Output:
    """Text of a system."""

    system: str
    """`base`, or the label of a run."""
    text: str
    is_base: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One item and the outputs of every run."""

    language: str
    direction: str | None
    phase: str | None
    source: str
    reference: str
    outputs: tuple[Output, ...]

    @property
    def source_language(self) -> str | None:
        """Language of the source; None: not known."""
        return self.direction.partition(">")[0] if self.direction else None


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples, and the cards of which none may be shown."""

    shown: tuple[Sample, ...]
    kept_back: tuple[str, ...] = ()


_Key = tuple[str | None, ...]


def samples_of(runs: Sequence[Run]) -> Samples:
    """Return the samples that all runs with generations have, by language and direction."""
    read = [(run, _generations(run)) for run in runs]
    known = [(run, records) for run, records in read if records]
    if not known:
        return Samples(())
    shared = {key for run, _ in known for key in _shared(run)}
    common = set.intersection(*(set(records) for _, records in known))
    back = {str(key[3]) for key in common if key not in shared}
    places: dict[_Key, list[_Key]] = {}
    for key in sorted(common & shared, key=_hash):
        chosen = places.setdefault(key[:3], [])
        if len(chosen) < PER_PLACE:
            chosen.append(key)
    order = dict.fromkeys(key[:3] for key in known[0][1])
    found = [_sample(key, known) for place in order for key in places.get(place, ())]
    shown = {key[3] for keys in places.values() for key in keys}
    return Samples(tuple(found), tuple(sorted(back - {str(card) for card in shown})))


def _sample(key: _Key, known: Sequence[tuple[Run, dict[_Key, dict[str, Any]]]]) -> Sample:
    language, direction, phase, _, source, reference = key
    bases = {records[key]["base"]: None for _, records in known}
    outputs = [Output("base", _quoted(text), is_base=True) for text in bases]
    outputs += [Output(run.label, _quoted(records[key]["adapter"])) for run, records in known]
    return Sample(
        str(language), direction, phase, _quoted(source), _quoted(reference), tuple(outputs)
    )


def _quoted(text: str | None) -> str:
    shown = quotable(text or "")
    return shown if len(shown) <= LETTERS else f"{shown[: LETTERS - 1]}…"


def _hash(key: _Key) -> str:
    """Return the hash that decides: of direction and texts, so that no run has a say."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def _generations(run: Run) -> dict[_Key, dict[str, Any]]:
    lines = read_generations(run.folder) if run.folder else ()
    return {_key(one, one["direction"]): one for one in lines if one.get("reference")}


def _shared(run: Run) -> Iterator[_Key]:
    """Yield the items whose texts stand beside their scores."""
    files = {file.items for file in run.evaluated.items} if run.evaluated else set()
    for name in files:
        if run.folder and (run.folder / name).is_file():
            for one in _lines(run.folder / name):
                if one.get("reference") is not None:
                    yield _key(one, one["direction"])


def _key(one: dict[str, Any], direction: str | None) -> _Key:
    texts = (one.get("source"), one.get("reference"))
    return (one["language"], direction, one.get("phase"), one.get("card"), *texts)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
