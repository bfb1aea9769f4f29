"""Findings about the description in a card: people, keys of the Hub, prose, notes of the owners."""

from __future__ import annotations

from collections.abc import Iterator

from finetune.cards.check.finding import Finding
from finetune.cards.headings import HEADINGS, SPEAKERS, VARIETIES, sections
from finetune.cards.hub_values import VALUES
from finetune.messages import Sentence, problem
from finetune.spec.card import DataCard
from finetune.spec.language import Named, hub_codes
from finetune.spec.script import PARTS
from finetune.spec.tables.language_table import language_row


def description_findings(card: DataCard) -> Iterator[Finding]:
    """Yield the findings about the statements of a card, its texts aside."""
    yield from _people(card)
    yield from _varieties(card)
    yield from _language_key(card)
    yield from _scripts(card)
    yield from _hub_keys(card)
    yield from _prose(card)
    yield from _owners_notes(card)


def _people(card: DataCard) -> Iterator[Finding]:
    block = card.corpus
    if not block.contact:
        missing = problem(
            "contact-missing", "No contact is given. Write an address under `contact`."
        )
        yield Finding("warning", missing)
    if block.speakers is None and not _is_filled(card, SPEAKERS):
        missing = problem(
            "speakers-missing",
            "It is not known who spoke or wrote these texts. Write under `speakers` what these "
            "people agreed to make public, even if it is little.",
        )
        yield Finding("warning", missing)
    if block.personal_data == "present":
        present = problem(
            "personal-data-present",
            "The card declares personal data in the texts. A model can repeat them: remove them "
            "before training, unless everyone concerned agreed.",
        )
        yield Finding("warning", present)
    if block.personal_data == "not-stated":
        open_question = problem(
            "personal-data-not-stated",
            "The card does not state whether the texts contain personal data. Write "
            "`personal_data`: none-known, present or removed.",
        )
        yield Finding("note", open_question)
    if block.personal_names == "not-stated":
        unknown = problem(
            "names-not-stated",
            "The card does not state whether people are named in the texts, and no program finds "
            "names in every language. Write `personal_names`: none, public-figures, pseudonymised "
            "or present.",
        )
        yield Finding("note", unknown)


def _varieties(card: DataCard) -> Iterator[Finding]:
    block = card.corpus
    if _is_filled(card, VARIETIES):
        return
    described = {v.language for v in block.varieties if v.dialect or v.orthography or v.glottocode}
    for language in block.languages:
        if language not in described:
            missing = problem(
                "variety-missing",
                "The dialect and the spelling of {language} are not known. Write them under "
                "`varieties`.",
                language=Named(language),
            )
            yield Finding("warning", missing)


def _language_key(card: DataCard) -> Iterator[Finding]:
    expected = [hub_codes(language) for language in card.corpus.languages]
    if not _same_languages(card.language, expected):
        differs = problem(
            "language-key-differs",
            "The line `language` states {written}, but `corpus.languages` stands for {expected}. "
            "The Hub shows the first, training uses the second: write the same in both.",
            written=card.language,
            expected=[codes[0] for codes in expected],
        )
        yield Finding("warning", differs)


def _scripts(card: DataCard) -> Iterator[Finding]:
    for language in card.corpus.languages:
        code, _, script = language.partition("_")
        row = language_row(code)
        known = (*row.scripts, *row.rare_scripts, *row.script_by_region.values()) if row else ()
        if known and not any(one == script or script in PARTS.get(one, ()) for one in known):
            unusual = problem(
                "script-unusual",
                "{language}: CLDR does not know this script for the language, but {scripts}.",
                language=Named(language),
                scripts=list(dict.fromkeys(known)),
            )
            yield Finding("note", unusual)


def _same_languages(written: list[str], expected: list[list[str]]) -> bool:
    known = {code for codes in expected for code in codes}
    return set(written) <= known and all(set(written) & set(codes) for codes in expected)


def _hub_keys(card: DataCard) -> Iterator[Finding]:
    for key, known in VALUES.items():
        value = card.hub_metadata.get(key, [])
        for entry in value if isinstance(value, list) else [value]:
            if entry not in known:
                unknown = problem(
                    "hub-value",
                    "The Hub does not know {value!r} under `{key}`. It knows: {known}.",
                    value=str(entry),
                    key=key,
                    known=known,
                )
                yield Finding("warning", unknown)


def _prose(card: DataCard) -> Iterator[Finding]:
    states = sections(card.body)
    for heading in HEADINGS:
        if str(heading) not in states:
            missing = problem(
                "heading-missing",
                "The text below the card has no section {heading!r}. Write it; 'Not stated.' is "
                "an honest answer.",
                heading=heading,
            )
            yield Finding("warning", missing)
        elif states[str(heading)] == "empty":
            empty = problem("heading-empty", "The section {heading!r} is empty.", heading=heading)
            yield Finding("warning", empty)
    unstated = [heading for heading in HEADINGS if states.get(str(heading)) == "not stated"]
    if unstated:
        open_sections = problem(
            "sections-not-stated",
            "These sections only say 'Not stated.': {headings}. Complete them if you can.",
            headings=unstated,
        )
        yield Finding("warning", open_sections)


def _is_filled(card: DataCard, heading: Sentence) -> bool:
    """Return whether the section of a heading is there and states something."""
    return sections(card.body).get(str(heading)) == "filled"


def _owners_notes(card: DataCard) -> Iterator[Finding]:
    for what in card.corpus.not_established:
        yield Finding("note", problem("not-established", "Not established: {what}", what=what))
    for what in card.corpus.known_problems:
        yield Finding("note", problem("known-problem", "Known problem: {what}", what=what))
    if card.corpus.status == "not-run":
        unread = problem(
            "not-run",
            "The card was written from documentation; its authors could not open the corpus.",
        )
        yield Finding("note", unread)
