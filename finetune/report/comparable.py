"""Comparable runs: the same items, scored under the same conditions.

Two scores are compared only where their signatures agree (precision, kind of device, batch,
settings) and the items are the same, hash by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune.artefacts.scores import Pair, PairedTest, Subject, subject
from finetune.artefacts.seeds import RESAMPLES, KeptItems, kept_items
from finetune.artefacts.verdicts import of_table
from finetune.messages import Sentence, phrase, sentence
from finetune.report.run_facts import Run
from finetune.spec.tables.metric import metric
from finetune.statistics.significance import Comparison, compare


@dataclass(frozen=True, slots=True)
class Scored:
    """One run's scores in one metric and language or direction."""

    run: Run
    pair: Pair
    beside_first: Comparison | None = None
    """Adapter minus the first run's adapter; None for the first one, and in a sweep."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """Runs that can be compared with each other, in one metric and language or direction."""

    scored: tuple[Scored, ...]
    differs: tuple[Sentence, ...] = ()
    """Differences from the first group of the same metric and language."""

    @property
    def test(self) -> PairedTest:
        """Return the test of the first run."""
        return self.scored[0].pair.test


def comparable(runs: Sequence[Run], *, between_runs: bool) -> list[Comparable]:
    """Return the groups of runs, by metric and language in the order of the evaluations.

    Only metrics in which a gain can be claimed. `between_runs`: test the adapters of a group
    against that of its first run (a sweep is not compared on test).
    """
    groups: dict[Subject, dict[tuple[str, ...], list[Scored]]] = {}
    for run in runs:
        pairs = of_table("scores", run.evaluated.pairs) if run.evaluated else []
        for pair in pairs:
            if metric(pair.test.metric).is_judged:
                of_subject = groups.setdefault(subject(pair.test), {})
                of_subject.setdefault(_conditions(run, pair), []).append(Scored(run, pair))
    found = []
    for by_conditions in groups.values():
        first = next(iter(by_conditions))
        for conditions, scored in by_conditions.items():
            several = _beside_first(scored) if between_runs else scored
            found.append(Comparable(tuple(several), tuple(_differences(first, conditions))))
    return found


def _conditions(run: Run, pair: Pair) -> tuple[str, ...]:
    """Return the items as one word, and the parts of the signature."""
    return (_items(run, pair.test), *pair.adapter.signature.split("|"))


def kept_of(run: Run, test: PairedTest) -> KeptItems | None:
    """Return the statistics of the items of a comparison, None if the run kept none."""
    if run.folder is None or run.evaluated is None:
        return None
    return kept_items(run.folder, run.evaluated, test)


def _items(run: Run, test: PairedTest) -> str:
    """Return a word for the items of a comparison; of a run that kept none, its own."""
    kept = kept_of(run, test)
    names = "none" if kept is None else "".join(item for item, _ in kept[1])
    return run.label if kept is None else hashlib.sha256(names.encode()).hexdigest()


def _differences(first: tuple[str, ...], other: tuple[str, ...]) -> Iterable[Sentence]:
    if first == other:
        return
    if first[0] != other[0]:
        yield sentence("other items")
    mine, theirs = (dict(part.partition(":")[::2] for part in one[1:]) for one in (first, other))
    for name in dict.fromkeys((*mine, *theirs)):
        values = (mine.get(name, "-"), theirs.get(name, "-"))
        if values[0] != values[1] and name != "bytes":
            yield phrase(f"{name}: {values[1]} / {values[0]}")


def _beside_first(scored: Sequence[Scored]) -> list[Scored]:
    first, *others = scored
    return [first, *(Scored(one.run, one.pair, _compared(first, one)) for one in others)]


def _compared(first: Scored, other: Scored) -> Comparison | None:
    """Return the paired test of two adapters on the same items; None if items were not kept."""
    kept = [kept_of(one.run, one.pair.test) for one in (first, other)]
    known = [one for one in kept if one is not None]
    if len(known) < 2 or known[0][1] != known[1][1]:
        return None
    adapters = [arrays[names.index("adapter")] for names, _, arrays in known]
    return compare(
        adapters[0],
        adapters[1],
        documents=[document for _, document in known[0][1]],
        score=metric(first.pair.test.metric).value,
        resamples=RESAMPLES,
        seed=0,
    )
