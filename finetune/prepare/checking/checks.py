"""The table of reasons to reject a text, with words, switch and check of each.

A new check of texts is one function and one row. Rows stand in the order of the reports; of checks
that are asked at one place the first that holds gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from finetune.messages import sentence
from finetune.prepare.reading.drafts import Draft
from finetune.prepare.step import Result
from finetune.readers import reasons
from finetune.spec.recipe import Prepare
from finetune.spec.values.expressions import Expression
from finetune.text.counts import has_few_letters
from finetune.text.damage import is_damaged
from finetune.text.markup import is_markup, is_placeholder_text
from finetune.text.oddities import mostly_other
from finetune.text.personal import Found
from finetune.text.placeholders import placeholders_differ
from finetune.text.repetition import is_repetition
from finetune.text.rules import Rule


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the checks for the texts of a corpus entry."""

    settings: Prepare
    drop: Expression | None = None
    """Of the card: `drop_matching`."""
    special: re.Pattern[str] | None = None
    """Finds a control mark of the model; in a corpus it would end or fake a turn."""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """A text after cleaning, and what a check of texts may ask about it."""

    text: str
    script: str = ""
    """Its declared script (ISO 15924)."""
    personal_data: Sequence[Found] = ()
    """Personal data found before masking."""
    needs_letters: bool = True
    """An answer in a conversation may be a number."""


@dataclass(frozen=True, slots=True)
class Reason(Rule[Callable[[Any, Limits], bool]]):
    """A row of the table."""

    asked: Literal["record", "text", "use", ""] = ""
    """Scope of its function: called for a record (`Draft`) with all its texts, for each text
    (`TextFacts`), or for a record by its use once its texts are good. Empty: another step gives
    this reason."""


def _is_empty(draft: Draft, _: Limits) -> bool:
    return not draft.texts or not all(draft.texts)


def _is_too_short(draft: Draft, limits: Limits) -> bool:
    return min(map(len, draft.texts)) < limits.settings.min_characters


def _matches_drop_pattern(draft: Draft, limits: Limits) -> bool:
    return limits.drop is not None and any(map(limits.drop.search, draft.texts))


def _holds_special_token(draft: Draft, limits: Limits) -> bool:
    return limits.special is not None and any(map(limits.special.search, draft.texts))


def _is_untranslated(draft: Draft, _: Limits) -> bool:
    return draft.entry.use == "translation" and draft.texts[0] == draft.texts[1]


def _has_other_placeholders(draft: Draft, _: Limits) -> bool:
    return draft.entry.use == "translation" and placeholders_differ(*draft.texts)


def _has_no_answer(draft: Draft, _: Limits) -> bool:
    """Say whether a conversation has no answer, or one before any question."""
    if draft.entry.use != "chat":
        return False
    return draft.roles[0] == "assistant" or "assistant" not in draft.roles


def _has_dropped_personal_data(facts: TextFacts, limits: Limits) -> bool:
    policy = limits.settings.personal_data
    return any(policy.action(one.kind) == "drop" for one in facts.personal_data)


def _is_of_other_script(facts: TextFacts, _: Limits) -> bool:
    return mostly_other(facts.text, script=facts.script)


def _is_damaged(facts: TextFacts, _: Limits) -> bool:
    return is_damaged(facts.text)


def _is_markup(facts: TextFacts, limits: Limits) -> bool:
    checks = limits.settings.text
    if not is_markup(facts.text, max_share=checks.max_markup_share):
        return False
    # a page of placeholder text is called that, however much markup is around it
    return checks.placeholder_text == "keep" or not is_placeholder_text(facts.text)


def _is_placeholder_text(facts: TextFacts, _: Limits) -> bool:
    return is_placeholder_text(facts.text)


def _has_few_letters(facts: TextFacts, limits: Limits) -> bool:
    min_share = limits.settings.text.min_letter_share
    return facts.needs_letters and has_few_letters(facts.text, min_share=min_share)


def _is_repetition(facts: TextFacts, limits: Limits) -> bool:
    return is_repetition(facts.text, max_share=limits.settings.text.max_repetition)


_TABLE = (
    Reason(reasons.WITHDRAWN, reasons.ALL[reasons.WITHDRAWN]),
    *(Reason(key, about) for key, about in reasons.REASONS.items()),
    Reason(
        reasons.EMPTY,
        reasons.ALL[reasons.EMPTY],
        asked="record",
        function=_is_empty,
    ),
    Reason(
        "too-short",
        sentence("fewer characters than prepare.min_characters"),
        switch="prepare.min_characters",
        off=(1,),
        asked="record",
        function=_is_too_short,
    ),
    Reason(
        reasons.DROPPED,
        reasons.ALL[reasons.DROPPED],
        switch="card: drop_matching",
        off=(None,),
        asked="record",
        function=_matches_drop_pattern,
    ),
    Reason(
        "untranslated",
        sentence("source and target are the same text"),
        asked="use",
        function=_is_untranslated,
    ),
    Reason(
        "placeholder-mismatch",
        sentence("source and target have different placeholders, such as {{name}}"),
        switch="prepare.text.placeholders",
        off=("keep",),
        asked="use",
        function=_has_other_placeholders,
    ),
    Reason(
        "direction-controls",
        sentence("controls that turn the direction of text hide its real content"),
        switch="prepare.text.direction_overrides",
        off=("remove", "keep"),
    ),
    Reason(
        "mark-flood",
        sentence("more than 30 marks on one letter, as in no script"),
    ),
    Reason(
        "personal-data",
        sentence("contains personal data that the recipe rejects (prepare.personal_data)"),
        switch="prepare.personal_data",
        asked="text",
        function=_has_dropped_personal_data,
    ),
    Reason(
        "other-script",
        sentence("most letters are in another script than the card declares"),
        switch="prepare.text.other_script",
        off=("keep",),
        asked="text",
        function=_is_of_other_script,
    ),
    Reason(
        "damaged",
        sentence(
            "letters were lost, or come from an old font (U+FFFD, controls, private characters); "
            "`prepare.text.mojibake` repairs controls that were quotation marks"
        ),
        switch="prepare.text.damaged",
        off=("keep",),
        asked="text",
        function=_is_damaged,
    ),
    Reason(
        "markup",
        sentence("mostly HTML, wikitext, placeholders or code"),
        switch="prepare.text.max_markup_share",
        off=(1,),
        asked="text",
        function=_is_markup,
    ),
    Reason(
        "placeholder-text",
        sentence("placeholder text of typesetters (lorem ipsum)"),
        switch="prepare.text.placeholder_text",
        off=("keep",),
        asked="text",
        function=_is_placeholder_text,
    ),
    Reason(
        "few-letters",
        sentence("no letters, or few for its length"),
        switch="prepare.text.min_letter_share",
        off=(0,),
        asked="text",
        function=_has_few_letters,
    ),
    Reason(
        "repetition",
        sentence("most of it repeats earlier parts of the same text"),
        switch="prepare.text.max_repetition",
        off=(1,),
        asked="text",
        function=_is_repetition,
    ),
    Reason(
        "repeated-lines",
        sentence("only lines that occur in many texts"),
        switch="prepare.text.repeated_lines",
        off=(0,),
    ),
    Reason(
        "length-outlier",
        sentence("much longer or shorter than the other texts of its card"),
        switch="prepare.text.length_outliers",
        off=("report",),
    ),
    Reason(
        "length-ratio",
        sentence("much longer or shorter than expected from its translation"),
        switch="prepare.text.length_outliers",
        off=("report",),
    ),
    Reason(
        "special-token",
        sentence("contains a control token of the model, which would end or fake a turn"),
        asked="record",
        function=_holds_special_token,
    ),
    Reason(
        reasons.NO_ANSWER,
        reasons.ALL[reasons.NO_ANSWER],
        asked="record",
        function=_has_no_answer,
    ),
    Reason(
        "other-language",
        sentence("apparently in another language than the card declares (prepare.identify)"),
        switch="prepare.identify.action",
        off=("report", "off"),
    ),
    Reason(
        "duplicate",
        sentence("same text as an earlier one (after normalisation)"),
    ),
    Reason(
        "template-unfit",
        sentence(
            "the base's chat template refuses its roles, or changes an answer "
            "(prepare.mask_history, prepare.chat_template)"
        ),
        switch="prepare.mask_history",
    ),
    Reason(
        "max-documents",
        sentence("beyond max_documents of the recipe"),
        switch="corpora.max_documents",
        off=(None,),
    ),
    Reason(
        "in-evaluation",
        sentence("overlaps with validation or test: one of its texts is held out"),
    ),
    Reason(
        "contaminated",
        sentence("contains a text of an evaluation set (prepare.evaluation_sets)"),
        switch="prepare.evaluation_sets",
        off=([],),
    ),
    Reason(
        "near-evaluation",
        sentence("near-duplicate of a text held out for validation or test"),
        switch="prepare.duplicates.near",
        off=("off",),
    ),
    Reason(
        "near-duplicate",
        sentence("near-duplicate of an earlier text (prepare.duplicates)"),
        switch="prepare.duplicates.near",
        off=("off",),
    ),
    Reason(
        "over-length",
        sentence("longer than a packed sequence (prepare.sequence_tokens) and not to be split"),
        switch="prepare.over_length",
    ),
)
REASONS: Mapping[str, Reason] = {reason.key: reason for reason in _TABLE}


def checks_of(asked: str, settings: Prepare) -> tuple[Reason, ...]:
    """Return the rows that are asked at a place and that the settings leave on."""
    return tuple(row for row in _TABLE if row.asked == asked and row.is_on(settings.text))


def first_reason(rows: Sequence[Reason], subject: Draft | TextFacts, limits: Limits) -> str | None:
    """Return the key of the first row that holds, or None.

    >>> limits = Limits(Prepare())
    >>> first_reason(checks_of("text", limits.settings), TextFacts("12:30"), limits)
    'few-letters'
    """
    for row in rows:
        if row.function is not None and row.function(subject, limits):
            return row.key
    return None


def checked(limits: Limits) -> Callable[[Draft], Result]:
    """Return the step that gives a draft with its texts the first reason that holds."""
    of_record = checks_of("record", limits.settings)
    of_use = checks_of("use", limits.settings)

    def check(draft: Draft) -> Result:
        reason = first_reason(of_record, draft, limits) or draft.refused
        return Result(draft, reason or first_reason(of_use, draft, limits))

    return check
