"""Verdicts: what an evaluation claims, and why it claims nothing elsewhere.

An adapter is better if it beats the base and each yardstick: in each paired test, by an interval
whose end passes the minimum effect (an intersection-union test, so its p-value is the largest), on
enough items. p-values are adjusted for the number of claims of the evaluation (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Literal

from finetune.artefacts.scores import Pair, PairedTest, Rival, Score, Subject, subject
from finetune.messages import Sentence, sentence
from finetune.spec.language import Named, language_name
from finetune.spec.tables.metric import VALIDATION, metric
from finetune.spec.tables.task import task_of
from finetune.statistics.claims import LEVEL, MIN_ITEMS_OF_A_CLAIM, binomial_test, holm

YARDSTICKS = {
    "examples": "base with examples",
    "ngram": "byte n-gram model",
    "copy": "copy of the source",
}
"""Names of yardsticks, for people."""
YARDSTICK_NAMES = {
    "examples": sentence("base with examples"),
    "ngram": sentence("byte n-gram model"),
    "copy": sentence("copy of the source"),
}
"""The same, as they are translated."""
_WITHIN_A_SENTENCE = {
    "examples": sentence("the base with examples"),
    "ngram": sentence("the byte n-gram model"),
    "copy": sentence("the copy of the source"),
}


def judged(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs with adjusted p-values and winners."""
    places = [number for number, pair in enumerate(pairs) if can_claim(pair.test)]
    adjusted = holm([_claim_p(pairs[number].test) for number in places])
    found = list(pairs)
    for number, p_holm in zip(places, adjusted, strict=True):
        test = replace(pairs[number].test, p_holm=p_holm)
        found[number] = replace(pairs[number], test=replace(test, better=_winner(test)))
    by_subject = {subject(pair.test): pair.test for pair in found}
    return [replace(pair, test=_held(pair.test, by_subject)) for pair in found]


def _held(test: PairedTest, by_subject: Mapping[Subject, PairedTest]) -> PairedTest:
    """Return a test without its gain where that does not hold in the metric that it has to."""
    name = metric(test.metric).holds_in
    if name is None or test.better != "adapter":
        return test
    other = by_subject.get((name, *subject(test)[1:]))
    if other is None or _gains(other):
        return test
    return replace(test, better="neither", fails_in=name)


def _gains(test: PairedTest) -> bool:
    up = sign_of_gain(test)
    is_clear = test.p_value < LEVEL and is_larger_than_minimum(test, sign=up)
    return is_clear and not unbeaten(test)


def of_table(name: str, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that a table shows (`Metric.table`)."""
    return [pair for pair in pairs if metric(pair.test.metric).table == name]


def can_claim(test: PairedTest) -> bool:
    """Return whether a comparison can have a winner at all, known before it is made."""
    return metric(test.metric).is_judged and test.n >= MIN_ITEMS_OF_A_CLAIM


def unbeaten(test: PairedTest) -> list[Rival]:
    """Return the yardsticks that the adapter does not beat."""
    return [rival for rival in test.rivals if not _beats(rival, test)]


def is_ahead(difference: float, name: str) -> bool:
    """Return whether a difference is a gain for the adapter in a metric."""
    return difference > 0 if metric(name).higher_is_better else difference < 0


def is_larger_than_minimum(one: PairedTest | Rival, *, sign: int) -> bool:
    """Return whether the whole interval is on this side of 0, by the minimum effect or more."""
    end = one.low if sign > 0 else -one.high
    return end > 0 and end >= one.minimum_effect


def _claim_p(test: PairedTest) -> float:
    """Return the p-value of what could be claimed: better than all, or worse than the base."""
    if not is_ahead(test.difference, test.metric):
        return test.p_value
    if not all(is_ahead(rival.difference, test.metric) for rival in test.rivals):
        return 1.0
    return max([test.p_value, *(rival.p_value for rival in test.rivals)])


def _winner(test: PairedTest) -> Literal["adapter", "base", "neither"]:
    if test.p_holm is None or not test.p_holm < LEVEL:
        return "neither"
    up = sign_of_gain(test)
    if is_larger_than_minimum(test, sign=up) and not unbeaten(test):
        return "adapter"
    return "base" if is_larger_than_minimum(test, sign=-up) else "neither"


def _beats(rival: Rival, test: PairedTest) -> bool:
    return rival.p_value < LEVEL and is_larger_than_minimum(rival, sign=sign_of_gain(test))


def sign_of_gain(test: PairedTest) -> int:
    """Return 1 if a higher score is a gain for the adapter, else -1."""
    return 1 if metric(test.metric).higher_is_better else -1


def is_gain(test: PairedTest) -> bool:
    """Return whether a comparison is a claim: the adapter won it, by the minimum effect."""
    return test.better == "adapter" and is_larger_than_minimum(test, sign=sign_of_gain(test))


def behind_ngram(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the comparisons in which the adapter needs more bits than the n-gram model."""
    return [
        test
        for test in tests
        if test.metric == VALIDATION
        and any(rival.name == "ngram" and rival.difference > 0 for rival in test.rivals)
    ]


def warnings(tests: Sequence[PairedTest]) -> list[Sentence]:
    """Return what has to be read before any score: where an n-gram model does better."""
    behind = behind_ngram(tests)
    if not behind:
        return []
    places = [
        sentence(
            "{where} {adapter:.3f} against {ngram:.3f}",
            where=where_said(test),
            adapter=test.adapter,
            ngram=next(rival.value for rival in test.rivals if rival.name == "ngram"),
        )
        for test in behind
    ]
    return [
        sentence(
            "The adapter predicts held-out text worse than a byte n-gram model counted from its "
            "training texts, which takes no GPU: {places} bits per byte (lower is better).",
            places=places,
        )
    ]


def verdict(test: PairedTest) -> str:
    """Return the verdict of a comparison.

    >>> test = PairedTest("bits_per_byte", "hau_Latn", None, 2.0, 1.5, -0.5, -0.6, -0.4, 0.002, 90,
    ...                   "adapter", "exchange test")
    >>> verdict(test)
    'adapter better (-25.0 %)'
    >>> verdict(replace(test, better="neither", n=30))
    'too few items for a claim (n = 30)'
    """
    row = metric(test.metric)
    if test.better != "neither":
        if not row.percent_of_base:
            return f"{test.better} better"
        return f"{test.better} better ({100 * test.difference / test.base:+.1f} %)"
    if not row.is_judged:
        return "shown only" if row.chance is None else against_chance(test)
    return str(reason_said(reason_of(test)))


def reason_of(test: PairedTest) -> str:
    """Return why no gain is claimed, as a gate records it: a word, and facts behind a colon."""
    if test.better == "base":
        return "worse"
    if test.n < MIN_ITEMS_OF_A_CLAIM:
        return f"few: {test.n}"
    if test.difference == test.low == test.high == 0:
        return "equal"
    return f"elsewhere: {test.fails_in}" if test.fails_in else _too_little(test)


def _too_little(test: PairedTest) -> str:
    up = sign_of_gain(test)
    sign = up if is_ahead(test.difference, test.metric) else -up
    if not test.p_value < LEVEL:
        return "not significant"
    if not is_larger_than_minimum(test, sign=sign):
        return "small"
    if sign == up and (rivals := unbeaten(test)):
        return f"behind: {' '.join(rival.name for rival in rivals)}"
    return "not significant"


_REASONS = {
    "worse": sentence("the base is better"),
    "equal": sentence("no difference"),
    "small": sentence("less than the minimum effect"),
    "not significant": sentence("not significant"),
}


def reason_said(reason: str) -> Sentence:
    """Return a reason in words.

    >>> str(reason_said("behind: ngram copy"))
    'better than the base, not than the byte n-gram model and the copy of the source'
    """
    word, _, facts = reason.partition(": ")
    if word == "few":
        return sentence("too few items for a claim (n = {n})", n=int(facts))
    if word == "elsewhere":
        return sentence("better, but not in {metric}", metric=metric(facts).label)
    if word == "behind":
        rivals = [_WITHIN_A_SENTENCE[name] for name in facts.split()]
        every = reduce(lambda one, two: sentence("{one} and {two}", one=one, two=two), rivals)
        return sentence("better than the base, not than {rivals}", rivals=every)
    return _REASONS[word]


def against_chance(test: PairedTest) -> str:
    """Return the share of the adapter, and how often guessing does as well (an exact test).

    >>> test = PairedTest("choice_accuracy", "hau_Latn", None, 0.3, 0.6, 0.3, 0.2, 0.4, 0.002, 60,
    ...                   "neither", "exchange test")
    >>> against_chance(test)
    '60 % of 60 (chance 25 %, p < 0.0001; base p = 0.225)'
    """
    chance = metric(test.metric).chance or 0.0

    def p_of(share: float) -> str:
        text = p_text(binomial_test(round(share * test.n), test.n, chance=chance))
        return f"p {text}" if text.startswith("<") else f"p = {text}"

    found = f"{test.adapter:.0%} of {test.n} (chance {chance:.0%}, {p_of(test.adapter)}; base "
    return found.replace("%", " %") + f"{p_of(test.base)})"


def beaten(rival: Rival, test: PairedTest) -> str:
    """Return whether the adapter beats a yardstick, in words; empty where nothing is claimed."""
    if not can_claim(test):
        return ""
    return "beaten" if _beats(rival, test) else "not beaten"


def p_text(p_value: float, *, floor: float = 0.0) -> str:
    """Format a p-value; at the smallest value that its test can give it is a bound.

    >>> p_text(0.0312), p_text(0.0002, floor=0.0002), p_text(1.0, floor=1.0), p_text(0.00004)
    ('0.031', '<= 0.0002', '1.000', '< 0.0001')
    """
    if 0 < floor < 1 and p_value <= floor * (1 + 1e-9):
        return f"<= {p_value:.2g}"
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001" if p_value >= 0.0001 else "< 0.0001"


def claim_p(test: PairedTest) -> str:
    """Return the p-value of a claim, adjusted for the number of claims.

    Where nothing can be claimed (few items, a yardstick that is not beaten): that of the test
    against the base, as it stands in the row of the base.
    """
    raw = _claim_p(test)
    by_yardstick = raw > test.p_value
    if test.p_holm is None or (by_yardstick and test.p_holm >= LEVEL):
        return p_text(test.p_value, floor=test.p_floor)
    at_floor = test.p_floor and raw <= test.p_floor * (1 + 1e-9)
    return p_text(test.p_holm, floor=test.p_holm if at_floor and test.p_holm < 1 else 0.0)


def where(record: Score | PairedTest) -> str:
    """Return the language or direction of a score by name, with its task or phase.

    >>> score = Score("chrf", "hau_Latn", None, "base", 20.0, 18.0, 22.0, 90, "", phase="texts")
    >>> where(score)
    'Hausa (texts)'
    >>> where(replace(score, direction="eng_Latn>hau_Latn", phase=None))
    'English to Hausa'
    """
    if record.direction:
        source, _, target = record.direction.partition(">")
        name = f"{language_name(source)} to {language_name(target)}"
    else:
        name = language_name(record.language)
    named = [task_of(record.task, direction=record.direction).label] if record.task else []
    named += [record.phase] if record.phase else []
    return f"{name} ({', '.join(named)})" if named else name


def where_said(record: Score | PairedTest) -> Sentence | Named:
    """Return the same as `where`, with names of languages in the language of the message."""
    place: Sentence | Named = Named(record.language, "{name}")
    if record.direction:
        source, _, target = record.direction.partition(">")
        place = sentence(
            "{source} to {target}", source=Named(source, "{name}"), target=Named(target, "{name}")
        )
    named = [task_of(record.task, direction=record.direction).label] if record.task else []
    named += [record.phase] if record.phase else []
    if named:
        return sentence("{place} ({named})", place=place, named=named)
    return place


def items_of(record: Score | PairedTest) -> str:
    """Return the number and kind of the items, and what a likelihood of them is conditional on.

    >>> score = Score("bits_per_byte", "hau_Latn", None, "base", 2.0, 1.8, 2.2, 221, "",
    ...               unit="segment", given="source")
    >>> items_of(score), items_of(replace(score, unit="document", given=None, n=1))
    ('221 segments, given the source', '1 document')
    """
    kinds = [kind if record.n == 1 else f"{kind}s" for kind in record.unit.split(", ")]
    given = f", given the {record.given}" if record.given else ""
    return f"{record.n:,} {' and '.join(kinds)}{given}"
