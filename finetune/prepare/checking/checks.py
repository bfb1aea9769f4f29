"""The table of reasons: every reason to leave a text out, with its words, its switch, its check.

A new check of texts is one function and one row. Rows stand in the order of the reports; of checks
that are asked at one place the first that holds gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from finetune.prepare.reading.drafts import Draft
from finetune.prepare.step import Result
from finetune.spec.recipe import Prepare
from finetune.text.counts import has_few_letters
from finetune.text.damage import is_damaged
from finetune.text.markup import is_markup, is_placeholder_text
from finetune.text.oddities import mostly_other
from finetune.text.personal import Found
from finetune.text.repetition import is_repetition
from finetune.text.rules import Rule


@dataclass(frozen=True, slots=True)
class Limits:
    """What the texts of a corpus entry are held to."""

    settings: Prepare
    drop: re.Pattern[str] | None = None
    """Of the card: `drop_matching`."""
    special: re.Pattern[str] | None = None
    """Finds a control mark of the model; in a corpus it would end or fake a turn."""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """A text after cleaning, and what a check of texts may ask about it."""

    text: str
    script: str = ""
    """The script that it is said to be in (ISO 15924)."""
    personal_data: Sequence[Found] = ()
    """What was found in it before it was masked."""
    needs_letters: bool = True
    """An answer in a conversation may be a number."""


@dataclass(frozen=True, slots=True)
class Reason(Rule[Callable[[Any, Limits], bool]]):
    """A row of the table."""

    asked: Literal["record", "text", "use", ""] = ""
    """Where its function is asked: about a record (`Draft`) with all its texts, about each text
    (`TextFacts`), about a record by its use once its texts are good. Empty: another step gives
    this reason."""


def _is_empty(draft: Draft, _: Limits) -> bool:
    return not all(draft.texts)


def _is_too_short(draft: Draft, limits: Limits) -> bool:
    return min(map(len, draft.texts)) < limits.settings.min_characters


def _matches_drop_pattern(draft: Draft, limits: Limits) -> bool:
    return limits.drop is not None and any(map(limits.drop.search, draft.texts))


def _holds_special_token(draft: Draft, limits: Limits) -> bool:
    return limits.special is not None and any(map(limits.special.search, draft.texts))


def _is_untranslated(draft: Draft, _: Limits) -> bool:
    return draft.entry.use == "translation" and draft.texts[0] == draft.texts[1]


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
    Reason(
        "withdrawn",
        "taken back by its contributor or owner; its text is not kept here",
        "repris par qui l'avait donné ou par le propriétaire ; rien n'en est gardé ici",
    ),
    Reason(
        "empty",
        "no text (on one of its sides)",
        "pas de texte (d'un de ses côtés)",
        asked="record",
        function=_is_empty,
    ),
    Reason(
        "too-short",
        "fewer characters than prepare.min_characters",
        "moins de caractères que prepare.min_characters",
        switch="prepare.min_characters",
        off=(1,),
        asked="record",
        function=_is_too_short,
    ),
    Reason(
        "matches-drop-pattern",
        "the card's drop_matching finds something in it",
        "l'expression drop_matching de la fiche y trouve quelque chose",
        switch="card: drop_matching",
        off=(None,),
        asked="record",
        function=_matches_drop_pattern,
    ),
    Reason(
        "untranslated",
        "translation and source are the same text",
        "la traduction et sa source sont le même texte",
        asked="use",
        function=_is_untranslated,
    ),
    Reason(
        "direction-controls",
        "controls that turn the direction of text hide what is stored",
        "des commandes qui retournent le sens du texte cachent ce qui est écrit",
        switch="prepare.text.direction_overrides",
        off=("remove", "keep"),
    ),
    Reason(
        "mark-flood",
        "more than 30 marks stand on one letter, as in no writing",
        "plus de 30 signes sur une seule lettre, comme dans aucune écriture",
    ),
    Reason(
        "personal-data",
        "holds personal data that the recipe drops (prepare.personal_data)",
        "contient des données personnelles que la recette écarte",
        switch="prepare.personal_data",
        asked="text",
        function=_has_dropped_personal_data,
    ),
    Reason(
        "other-script",
        "most letters are of another script than the card says",
        "la plupart des lettres sont d'une autre écriture que celle de la fiche",
        switch="prepare.text.other_script",
        off=("keep",),
        asked="text",
        function=_is_of_other_script,
    ),
    Reason(
        "damaged",
        "letters were lost, or are of an old font (U+FFFD, controls, private characters)",
        "des lettres sont perdues, ou d'une ancienne police de caractères",
        switch="prepare.text.damaged",
        off=("keep",),
        asked="text",
        function=_is_damaged,
    ),
    Reason(
        "markup",
        "mostly HTML, wikitext, placeholders or code",
        "presque seulement du HTML, du wikitexte, des variables ou du code",
        switch="prepare.text.max_markup_share",
        off=(1,),
        asked="text",
        function=_is_markup,
    ),
    Reason(
        "placeholder-text",
        "what typesetters fill pages with (lorem ipsum)",
        "du faux texte de mise en page (lorem ipsum)",
        switch="prepare.text.placeholder_text",
        off=("keep",),
        asked="text",
        function=_is_placeholder_text,
    ),
    Reason(
        "few-letters",
        "no letter, or few for its length",
        "aucune lettre, ou peu pour sa longueur",
        switch="prepare.text.min_letter_share",
        off=(0,),
        asked="text",
        function=_has_few_letters,
    ),
    Reason(
        "repetition",
        "most of it was said before in the same text",
        "la plus grande partie était déjà dite dans le même texte",
        switch="prepare.text.max_repetition",
        off=(1,),
        asked="text",
        function=_is_repetition,
    ),
    Reason(
        "repeated-lines",
        "holds nothing but lines that stand in many texts",
        "seulement des lignes qui se trouvent dans beaucoup de textes",
        switch="prepare.text.repeated_lines",
        off=(0,),
    ),
    Reason(
        "length-outlier",
        "far longer or shorter than the texts of its card",
        "beaucoup plus long ou plus court que les textes de sa fiche",
        switch="prepare.text.length_outliers",
        off=("report",),
    ),
    Reason(
        "length-ratio",
        "far longer or shorter than its translation leads one to expect",
        "beaucoup plus long ou plus court que sa traduction ne le fait attendre",
        switch="prepare.text.length_outliers",
        off=("report",),
    ),
    Reason(
        "special-token",
        "holds a control mark of the model, which would end or fake a turn",
        "contient une marque de commande du modèle, qui finirait ou feindrait un tour",
        asked="record",
        function=_holds_special_token,
    ),
    Reason(
        "no-answer",
        "a conversation without an answer of the assistant",
        "une conversation sans réponse de l'assistant",
        asked="use",
        function=_has_no_answer,
    ),
    Reason(
        "other-language",
        "seems to be in another language than the card says (prepare.identify)",
        "semble être dans une autre langue que celle de la fiche (prepare.identify)",
        switch="prepare.identify.action",
        off=("report", "off"),
    ),
    Reason(
        "duplicate",
        "the same text was there before (after normalisation)",
        "le même texte était déjà là (après normalisation)",
    ),
    Reason(
        "max-documents",
        "beyond max_documents of the recipe",
        "au-delà de max_documents de la recette",
        switch="corpora.max_documents",
        off=(None,),
    ),
    Reason(
        "in-evaluation",
        "one of its texts is held out for validation or test",
        "un de ses textes est mis de côté pour la validation ou l'examen",
    ),
    Reason(
        "contaminated",
        "holds a text of an evaluation set (prepare.evaluation_sets)",
        "contient un texte d'un jeu d'évaluation (prepare.evaluation_sets)",
        switch="prepare.evaluation_sets",
        off=([],),
    ),
    Reason(
        "near-evaluation",
        "nearly the same as a text that is held out for validation or test",
        "presque le même qu'un texte mis de côté pour la validation ou l'examen",
        switch="prepare.duplicates.near",
        off=("off",),
    ),
    Reason(
        "near-duplicate",
        "nearly the same as a text that comes before (prepare.duplicates)",
        "presque le même qu'un texte qui vient avant (prepare.duplicates)",
        switch="prepare.duplicates.near",
        off=("off",),
    ),
    Reason(
        "over-length",
        "longer than a row (prepare.sequence_tokens) and not to be split",
        "plus long qu'une ligne (prepare.sequence_tokens), et ne doit pas être coupé",
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
