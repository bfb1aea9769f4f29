"""`finetune cards check`: everything that a card's owner should know about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from finetune.cards import words
from finetune.cards.explain import explain
from finetune.cards.hub_values import VALUES, size_category
from finetune.cards.languages import SETTINGS, languages_in
from finetune.cards.look import Look, is_here, look, records_of
from finetune.cards.words import Lang
from finetune.errors import DataError, FinetuneError, RecipeError
from finetune.output.console import Console
from finetune.readers.guards import CONVERTERS
from finetune.spec import licence as licences
from finetune.spec.card import DataCard
from finetune.spec.formats import find_format
from finetune.spec.language import hub_codes, language_name
from finetune.spec.load import load_card
from finetune.spec.permission import community_of
from finetune.spec.withdrawn import record_hash

HEADINGS = (
    "Curation rationale",
    "Language varieties",
    "Speaker demographic",
    "Annotator demographic",
    "Speech situation and text characteristics",
    "Preprocessing and data formatting",
    "Capture quality",
    "Limitations",
    "Personal and sensitive information",
    "Licence",
)
"""Headings of Data Statements (Bender and Friedman 2018) that the prose of a card has."""
FEW_TEXTS = 100
OTHER_SCRIPT_SHARE = 0.01
ONE_LINE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: how much it matters, and the facts of its sentence."""

    level: Literal["stop", "advice", "note"]
    code: str
    facts: dict[str, Any] = field(default_factory=dict)

    def sentence(self, lang: Lang) -> str:
        """Return the finding for people."""
        if self.code == "unreadable":
            return explain(str(self.facts["problem"]), lang)
        translated = {
            name: value[lang] if isinstance(value, dict) else value
            for name, value in self.facts.items()
        }
        return words.say(self.code, lang, **translated)


def check_card(path: Path, *, today: date) -> list[Finding]:
    """Return all findings about the card at `path`, what matters most first."""
    try:
        card = load_card(path)
    except RecipeError as error:
        return [Finding("stop", "unreadable", {"problem": p}) for p in error.problems]
    found = [
        *_licence(card),
        *_consent(card, today=today),
        *_terms(card),
        *_people(card),
        *_hub_keys(card),
        *_prose(card),
        *_texts(card),
        *_owners_notes(card),
    ]
    order = ("stop", "advice", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def show_findings(path: Path, findings: Sequence[Finding], *, console: Console, lang: Lang) -> None:
    """Show what was found about the card at `path`: a head line, and a sentence each."""
    count = {level: sum(f.level == level for f in findings) for level in words.LEVELS}
    serious = count["stop"] + count["advice"]
    head = words.say(
        "counted" if serious else "fine",
        lang,
        name=path.stem,
        stops=count["stop"],
        advices=count["advice"],
    )
    console.say(head, card=path.stem, **count)
    for finding in findings:
        sentence = finding.sentence(lang)
        level = words.LEVELS[finding.level][lang]
        line = sentence if console.json_lines else f"  {level}{words.COLON[lang]}{sentence}"
        console.say(line, card=path.stem, level=finding.level, code=finding.code)


def _licence(card: DataCard) -> Iterator[Finding]:
    facts = {"licence": card.license}
    if card.license not in licences.KNOWN:
        yield Finding("stop", "licence-unknown", facts)
    elif card.license == "other" and "license" not in card.corpus.not_established:
        named = {"name": card.license_name, "link": card.license_link}
        yield Finding("note", "licence-community", named)
        if community_of(card) and card.corpus.access.kind == "open":
            yield Finding("stop", "community-open", named)
    elif card.license in licences.NO_DERIVATIVES:
        yield Finding("stop", "licence-no-derivatives", facts)
    elif card.license in licences.NON_COMMERCIAL | set(licences.NON_COMMERCIAL_SHARE_ALIKE):
        yield Finding("note", "licence-non-commercial", facts)
    if card.license in {*licences.SHARE_ALIKE, *licences.NON_COMMERCIAL_SHARE_ALIKE}:
        yield Finding("note", "licence-share-alike", facts)
    if "license" in card.corpus.not_established:
        yield Finding("stop", "licence-guessed")


def _consent(card: DataCard, *, today: date) -> Iterator[Finding]:
    consent = card.corpus.consent
    if consent.expires and consent.expires < today:
        yield Finding("stop", "consent-expired", {"day": consent.expires.isoformat()})
    if not consent.sentence:
        yield Finding("advice", "consent-missing")
    elif not consent.withdrawal and consent.basis not in ("licence", "public-domain"):
        yield Finding("advice", "withdrawal-missing")
    if card.is_withdrawn:
        yield Finding("note", "withdrawn-card")
    elif card.withdrawn:
        yield Finding("note", "withdrawn-records", {"count": len(card.withdrawn)})


def _terms(card: DataCard) -> Iterator[Finding]:
    block = card.corpus
    for use in words.USES if block.permitted_uses else ():
        if use not in block.permitted_uses:
            level: Literal["stop", "note"] = "stop" if use == "train-models" else "note"
            told = {"use": words.USES[use], "effect": words.EFFECTS[use]}
            yield Finding(level, "use-not-permitted", told)
    if block.access.kind != "open":
        facts: dict[str, Any] = {"who": words.WHO[block.access.kind]}
        facts["conditions"] = block.access.conditions or words.NOTHING
        yield Finding("note", "access-restricted", facts)


def _people(card: DataCard) -> Iterator[Finding]:
    block = card.corpus
    if not block.contact:
        yield Finding("advice", "contact-missing")
    if block.speakers is None and "## Speaker demographic" not in card.body:
        yield Finding("advice", "speakers-missing")
    described = {v.language for v in block.varieties if v.dialect or v.orthography or v.glottocode}
    if "## Language varieties" not in card.body:
        for language in block.languages:
            if language not in described:
                yield Finding("advice", "variety-missing", {"name": language_name(language)})
    expected = [hub_codes(language) for language in block.languages]
    if not _same_languages(card.language, expected):
        first = ", ".join(codes[0] for codes in expected)
        facts = {"written": ", ".join(card.language), "expected": first}
        yield Finding("advice", "language-key-differs", facts)
    if block.personal_data == "present":
        yield Finding("advice", "personal-data-present")
    if block.personal_names == "not-stated":
        yield Finding("note", "names-not-stated")


def _same_languages(written: list[str], expected: list[list[str]]) -> bool:
    known = {code for codes in expected for code in codes}
    return set(written) <= known and all(set(written) & set(codes) for codes in expected)


def _hub_keys(card: DataCard) -> Iterator[Finding]:
    for key, known in VALUES.items():
        value = card.hub_metadata.get(key, [])
        for entry in value if isinstance(value, list) else [value]:
            if entry not in known:
                facts = {"key": key, "value": entry, "known": ", ".join(known)}
                yield Finding("advice", "hub-value", facts)


def _prose(card: DataCard) -> Iterator[Finding]:
    parts = re.split(r"^##\s+(.+?)\s*$", card.body, flags=re.MULTILINE)
    there = {title.casefold(): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}
    for heading in HEADINGS:
        text = there.get(heading.casefold())
        if text is None:
            yield Finding("advice", "heading-missing", {"heading": heading})
        elif not text.strip():
            yield Finding("advice", "heading-empty", {"heading": heading})


def _texts(card: DataCard) -> Iterator[Finding]:
    if not is_here(card):
        source = card.corpus.source
        named = {"hub": "dataset", "package": "package"}.get(source.kind, "kind")
        where = getattr(source, named)
        yield Finding("note", "not-fetched", {"place": where})
        return
    try:
        re.compile(card.corpus.drop_matching or "")
    except re.error as error:
        yield Finding("stop", "pattern-broken", {"why": str(error)})
        return
    try:
        seen = look(card)
    except DataError as error:
        yield from (Finding("stop", "unreadable", {"problem": p}) for p in error.problems)
        return
    except FinetuneError as error:
        problem = f"{card.path}: corpus.format: {error}"
        yield Finding("stop", "unreadable", {"problem": problem})
        return
    yield from _counted(card, seen)
    yield from _languages(card, seen)
    if card.withdrawn and not card.is_withdrawn:
        there = {record_hash(record.fields) for record in records_of(card)} & card.withdrawn
        if gone := len(card.withdrawn - there):
            yield Finding("note", "withdrawn-gone", {"count": gone, "of": len(card.withdrawn)})


def _counted(card: DataCard, seen: Look) -> Iterator[Finding]:
    if not seen.records:
        yield Finding("stop", "no-texts")
    elif find_format(card.corpus.format).line_per_text and seen.records == seen.files == 1:
        if seen.characters > ONE_LINE_CHARACTERS:
            [file] = card.corpus.source.files  # type: ignore[union-attr]  # files are here
            yield Finding("advice", "one-long-line", {"file": file.path})
    elif seen.records < FEW_TEXTS and seen.whole:
        yield Finding("advice", "few-texts", {"count": seen.records})
    said = card.hub_metadata.get("size_categories")
    counted = size_category(seen.records)
    if seen.whole and seen.records and isinstance(said, list) and counted not in said:
        facts = {"written": ", ".join(map(str, said)), "counted": counted, "count": seen.records}
        yield Finding("advice", "size-differs", facts)
    for (language, script), odd in seen.odd.items():
        if odd.count >= OTHER_SCRIPT_SHARE * seen.records:
            wanted = language.rpartition("_")[2]
            told: dict[str, Any] = {"language": language, "found": script, "script": wanted}
            told |= {"count": odd.count, "of": seen.records}
            told |= {"where": odd.where, "sample": odd.sample}
            yield Finding("advice", "other-script", told)
            if script == "Latn" and wanted in CONVERTERS:
                yield Finding("advice", "old-font", {"packages": CONVERTERS[wanted]})


def _languages(card: DataCard, seen: Look) -> Iterator[Finding]:
    for language, spoken in languages_in(seen, claimed=card.corpus.languages).items():
        claim = {"language": language, "name": language_name(language)}
        if not spoken.covered:
            yield Finding("note", "language-not-covered", claim)
        if spoken.odd.total() <= SETTINGS.warn_share * spoken.texts:
            continue
        for found, count in spoken.odd.most_common():
            where, sample = spoken.first[found]
            told: dict[str, Any] = {"count": count, "of": spoken.texts, "found": _named(found)}
            told |= {"where": where, "sample": sample}
            yield Finding("advice", "other-language", claim | told)


def _named(found: str) -> str:
    """Return languages that share a label by name and code, e.g. `Wolof (wol_Latn)`."""
    return " / ".join(f"{language_name(one)} ({one})" for one in found.split("/"))


def _owners_notes(card: DataCard) -> Iterator[Finding]:
    for what in card.corpus.not_established:
        yield Finding("note", "not-established", {"what": what})
    for what in card.corpus.known_problems:
        yield Finding("note", "known-problem", {"what": what})
    if card.corpus.status == "not-run":
        yield Finding("note", "not-run")
