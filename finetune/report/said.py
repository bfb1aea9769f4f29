"""Numbers, places and verdicts of a report as sentences, for every language of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finetune.artefacts.scores import Pair, PairedTest, Rival, Score
from finetune.artefacts.verdicts import (
    behind_ngram,
    is_gain,
    reason_of,
    reason_said,
    sign_of_gain,
)
from finetune.messages import Sentence, joined, phrase, sentence
from finetune.spec.language import Named
from finetune.spec.tables.metric import VALIDATION, metric
from finetune.spec.tables.task import task_of

SYSTEMS: Mapping[str, Sentence] = {
    "base": sentence("base"),
    "adapter": sentence("adapter"),
    "examples": sentence("base with examples"),
    "ngram": sentence("byte n-gram model"),
    "copy": sentence("copy of the source"),
    "reference": sentence("references"),
}
"""Systems and yardsticks, for people."""
SHORT: Mapping[str, Sentence] = {
    "examples": sentence("with examples"),
    "ngram": sentence("n-gram"),
    "copy": sentence("copy"),
}
"""Yardsticks as heads of narrow columns."""
_METRICS = {VALIDATION: sentence("bits per byte")}


def number_said(value: float, *, places: int, sign: bool = False) -> Sentence:
    """Return a number with the signs of each language.

    >>> str(number_said(-0.0004, places=3)), str(number_said(2.5, places=1, sign=True))
    ('0.000', '+2.5')
    """
    spec = f"{'+' if sign else ''}z.{places}f"
    return Sentence(f"{{value:{spec}}}", (("value", float(value)),))


def interval_said(value: float, low: float, high: float, *, places: int, sign: bool) -> Sentence:
    """Return a number with its interval: `2.70 [2.61, 2.80]`."""
    named = {"value": value, "low": low, "high": high}
    said = tuple((k, number_said(v, places=places, sign=sign)) for k, v in named.items())
    return Sentence("{value} [{low}, {high}]", said)


def score_said(score: Score) -> Sentence:
    """Return a score with its interval."""
    places = metric(score.metric).decimals
    return interval_said(score.value, score.low, score.high, places=places, sign=False)


def system_said(name: str) -> Sentence:
    """Return a system; others than ours by the name that they have."""
    return SYSTEMS.get(name, phrase(name))


def metric_said(name: str) -> Sentence:
    """Return a metric as within a sentence."""
    return _METRICS.get(name) or phrase(metric(name).label)


def place_said(
    language: str, direction: str | None, *, phase: str | None = None, task: str | None = None
) -> Sentence:
    """Return a language or direction by name, with its task and phase.

    >>> str(place_said("hau_Latn", "eng_Latn>hau_Latn")), str(place_said("hau_Latn", None))
    ('English → Hausa', 'Hausa')
    """
    names = [phrase_of(code) for code in (direction or language).split(">")]
    named = joined(names, between=" → ")
    beside = [task_of(task, direction=direction).label] if task else []
    beside += [phase] if phase else []
    return (
        Sentence("{name} ({beside})", (("name", named), ("beside", tuple(beside))))
        if (beside)
        else named
    )


def phrase_of(code: str) -> Sentence:
    """Return a language by its name alone."""
    return Sentence("{language}", (("language", Named(code, "{name}")),))


def where_said(test: PairedTest | Score) -> Sentence:
    """Return the place of a comparison."""
    return place_said(test.language, test.direction, phase=test.phase, task=test.task)


def gain_of(one: PairedTest | Rival, test: PairedTest) -> tuple[float, float, float]:
    """Return a difference and its interval such that above 0 the adapter is better."""
    if sign_of_gain(test) > 0:
        return one.difference, one.low, one.high
    return -one.difference, -one.high, -one.low


def gain_said(one: PairedTest | Rival, test: PairedTest) -> Sentence:
    """Return a gain with its interval."""
    places = metric(test.metric).decimals
    value, low, high = gain_of(one, test)
    return interval_said(value, low, high, places=places, sign=True)


def word_of(test: PairedTest) -> str:
    """Return the verdict as a word: `better`, `worse` or `open`."""
    return "better" if is_gain(test) else "worse" if test.better == "base" else "open"


def verdict_said(test: PairedTest) -> Sentence:
    """Return the verdict of a comparison in a few words."""
    if is_gain(test):
        return sentence("better than base and yardsticks")
    return reason_said(reason_of(test))


def yardsticks_said(pair: Pair) -> list[tuple[str, Sentence]]:
    """Return name and score of each yardstick."""
    places = metric(pair.test.metric).decimals
    return [(r.name, number_said(r.value, places=places)) for r in pair.test.rivals]


def verdict_sentence(pair: Pair) -> Sentence:
    """Return what was found in one metric: the numbers, each yardstick, and the verdict."""
    test = pair.test
    places = metric(test.metric).decimals
    others = [("base", number_said(test.base, places=places)), *yardsticks_said(pair)]
    form = "{name} {value}"
    return sentence(
        "{where}, {metric}: {verdict}. Adapter {adapter}; {others}.",
        where=where_said(test),
        metric=metric_said(test.metric),
        verdict=verdict_said(test),
        adapter=number_said(test.adapter, places=places),
        others=[
            Sentence(form, (("name", system_said(name)), ("value", value)))
            for name, value in others
        ],
    )


def short_verdict(tests: Sequence[PairedTest]) -> Sentence:
    """Return what a run reached in one line, beside other runs."""
    judged = [one for one in tests if metric(one.metric).is_judged]
    better = sum(map(is_gain, judged))
    said = sentence(
        "better than base and yardsticks in {better} of {count} comparisons",
        better=better,
        count=len(judged),
    )
    behind = behind_ngram(judged)
    if not behind:
        return said
    return sentence(
        "{said}, behind a byte n-gram model in {places}",
        said=said,
        places=[where_said(one) for one in behind],
    )


def listed(names: Sequence[object]) -> Sentence:
    """Return names with commas between them."""
    return Sentence("{names}", (("names", tuple(names)),))
