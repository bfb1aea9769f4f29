"""Judgements in words, for terminal, report and model card: how many judges, no names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finetune.artefacts.judged.summary import Estimate, JudgedSummary, MarksOf
from finetune.messages import Sentence, counted, joined, phrase, sentence
from finetune.spec.language import Named

COLUMNS = (
    phrase(""),
    sentence("adequacy, 0 to 100"),
    sentence("fluency, 0 to 100"),
    sentence("in the language and its spelling"),
)
LEFT_OUT: Mapping[str, Sentence] = {
    "not-shared": sentence("its owners do not share the text, or it holds personal data"),
    "private": sentence("holds a password, token or path of a person"),
    "equal": sentence("both outputs are equal"),
    "twice": sentence("the same item again"),
    "empty": sentence("both outputs are empty"),
    "other-task": sentence("answers to questions, where translations are judged"),
    "over-number": sentence("more than the number of items asked for (--items)"),
}
"""Reasons for which an item is not shown."""


def said_of_judges(one: JudgedSummary) -> Sentence:
    """Return who judged what, and what was preferred, in a sentence or two."""
    who = counted(
        "{count} judge read {items} items in {language}, blind",
        "{count} judges read {items} items in {language}, blind",
        one.judges,
        items=one.items,
        language=Named(one.language, "{name}"),
    )
    if one.health:
        who = counted(
            "{count} judge read {items} answers about health in {language}, blind",
            "{count} judges read {items} answers about health in {language}, blind",
            one.judges,
            items=one.items,
            language=Named(one.language, "{name}"),
        )
    preferred = sentence(
        "the adapter's output was preferred to that of {other} in {share:.0%} of the judgements"
        "{interval}, no preference counted as half",
        other=other_name(one),
        share=one.preference.value,
        interval=_interval(one.preference, percent=True),
    )
    said = sentence("{who}: {preferred}.", who=who, preferred=preferred)
    if not one.not_counted:
        return said
    others = counted(
        "{count} other judge failed the attention items and is not counted.",
        "{count} other judges failed the attention items and are not counted.",
        one.not_counted,
    )
    return joined((said, others))


def agreement_said(one: JudgedSummary) -> Sentence:
    """Return the agreement of the judges in a sentence."""
    if one.judges < 2:
        return sentence("One judge: how far judges agree is not known.")
    found = one.agreement
    named = (
        (sentence("preference"), found.choice),
        (sentence("adequacy"), found.adequacy),
        (sentence("fluency"), found.fluency),
        (sentence("language"), found.language),
    )
    values = [
        sentence("{name} {alpha:.2f}", name=name, alpha=alpha)
        if alpha is not None
        else sentence("{name} not defined", name=name)
        for name, alpha in named
    ]
    return sentence(
        "Agreement of the judges (Krippendorff's alpha, 1 is full, 0 is chance): {values}.",
        values=values,
    )


def mark_rows(one: JudgedSummary) -> list[tuple[Sentence, ...]]:
    """Return the rows of a table with the columns of `COLUMNS`."""
    differences = map(_signed, (one.adequacy_difference, one.fluency_difference))
    return [
        _row(sentence("adapter"), one.adapter),
        _row(other_name(one), one.other_marks),
        (sentence("difference"), *differences, phrase("")),
    ]


def left_out_said(one: JudgedSummary) -> Sentence | None:
    """Return how many items were not shown and why; None if all were."""
    return reasons_said(one.left_out)


def judged_tables(judged: Sequence[JudgedSummary]) -> list[dict[str, Any]]:
    """Return what report and model card show of each campaign."""
    return [
        {
            "said": said_of_judges(one),
            "columns": COLUMNS,
            "rows": mark_rows(one),
            "agreement": agreement_said(one),
            "left_out": left_out_said(one),
        }
        for one in judged
    ]


def reasons_said(left_out: Sequence[tuple[str, int]]) -> Sentence | None:
    """Return reasons with their numbers of items; None without any."""
    reasons = [
        sentence("{why} ({n})", why=LEFT_OUT.get(reason, phrase(reason)), n=n)
        for reason, n in left_out
    ]
    return (
        sentence("Not shown: {reasons}.", reasons=joined(reasons, between="; "))
        if reasons
        else None
    )


def other_name(one: JudgedSummary) -> Sentence:
    """Return the name of what the adapter was compared with."""
    return sentence("the base") if one.other == "base" else phrase(one.other)


def _row(name: Sentence, marks: MarksOf) -> tuple[Sentence, ...]:
    points = (sentence("{value:.1f}", value=value) for value in (marks.adequacy, marks.fluency))
    return (name, *points, sentence("{share:.0%}", share=marks.in_language))


def _signed(one: Estimate) -> Sentence:
    value = sentence("{value:+.1f}", value=one.value)
    return joined([value, _interval(one, percent=False)], between="")


def _interval(one: Estimate, *, percent: bool) -> Sentence:
    if one.low is None or one.high is None:
        return phrase("")
    if percent:
        return sentence(" [{low:.0%}, {high:.0%}]", low=one.low, high=one.high)
    return sentence(" [{low:+.1f}, {high:+.1f}]", low=one.low, high=one.high)
