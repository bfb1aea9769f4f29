"""`finetune cards catalogue`: one offline page of all cards, to browse and to choose from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.cards.check.terms import ACCESS, USES
from finetune.cards.listing import BASES, KINDS, licence_name, people_size, size_bytes
from finetune.cards.look import LOOK_RECORDS, Look, is_here, look
from finetune.errors import FinetuneError, RecipeError
from finetune.messages import Place, Sentence, counted, joined, phrase, problem, sentence
from finetune.output.failures import not_written
from finetune.output.small_files import UnreadableError, open_regular
from finetune.output.templates import environment
from finetune.spec.card import DataCard
from finetune.spec.language import bcp47, language_name
from finetune.spec.load import load_card
from finetune.spec.permission import may_be_passed_on
from finetune.spec.script import direction

MARK = '<meta name="generator" content="finetune cards catalogue">'
"""Mark of every catalogue, so that no other page is overwritten."""
SUMMARY_CHARACTERS = 400
HEAD_BYTES = 64 * 2**10

LABELS: Mapping[str, Sentence] = {
    "title": sentence("Data cards"),
    "intro": sentence("Texts in many languages, described by the people who hold them."),
    "search": sentence("Search"),
    "language": sentence("Language"),
    "licence": sentence("Licence"),
    "all": sentence("all"),
    "nothing": sentence("No card matches."),
    "consent": sentence("Consent"),
    "access": sentence("Access"),
    "uses": sentence("Permitted uses"),
    "contact": sentence("Contact"),
    "problems": sentence("Known problems"),
    "unknown": sentence("Not established"),
    "elsewhere": sentence("The texts are not on the machine that made this page."),
    "kept": sentence("No samples are shown: the owners do not share the texts."),
    "personal": sentence("No samples are shown: the texts contain personal data."),
    "withdrawn": sentence("Withdrawn by its owners. Nothing of it is used any more."),
    "broken": sentence("These cards cannot be read:"),
}
SHOWN = sentence("Cards shown: {shown} of {total}.")
"""Filled in by the page as it filters."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text for the page, with its language tag and direction."""

    tag: str
    """BCP-47, for fonts and hyphenation."""
    direction: str
    name: str
    text: str


def write_catalogue(
    paths: Sequence[Path], out: Path, *, lang: str, units: int = LOOK_RECORDS
) -> tuple[Path, list[str]]:
    """Write `out/index.html`; return it and the names of cards that could not be read.

    `units`: how many text units of each card are looked at.

    Raises RecipeError if a page that is no catalogue is there, or nothing can be written.
    """
    target = out / "index.html"
    entries, broken = [], []
    for path in paths:
        try:
            entries.append(_entry(load_card(path), lang=lang, units=units))
        except RecipeError:
            broken.append(path.stem)
    template = environment("finetune.cards").get_template("catalogue.html.j2")
    page = template.render(
        cards=entries,
        largest=max((e["size_bytes"] or 0 for e in entries), default=0),
        broken=broken,
        languages=sorted({(n, c) for e in entries for c, n in e["languages"]}),
        licences=sorted({e["licence"] for e in entries}),
        lang=lang,
        say={name: label.in_language(lang) for name, label in LABELS.items()},
        shown=_shown(len(entries), lang=lang),
    )
    try:
        if target.exists() and not _is_catalogue(target):
            raise RecipeError(
                problem(
                    "not-a-catalogue",
                    "exists already and is not a catalogue; choose another folder",
                    at=Place(target),
                )
            )
        out.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecipeError(not_written(target, error)) from None
    return target, broken


def _is_catalogue(page: Path) -> bool:
    """Say whether a page is one of ours; its mark stands at the beginning."""
    try:
        with open_regular(page) as stream:
            return MARK.encode() in stream.read(HEAD_BYTES)
    except UnreadableError:
        return False


def _shown(total: int, *, lang: str) -> tuple[str, str]:
    """Return what stands before and after the number of cards that are shown."""
    mark = "\0"
    text = sentence(SHOWN.english, shown=phrase(mark), total=total).in_language(lang)
    before, _, after = text.partition(mark)
    return before, after


def _entry(card: DataCard, *, lang: str, units: int) -> dict[str, Any]:
    block = card.corpus
    hidden = _why_no_samples(card)
    seen = None if hidden in ("withdrawn", "elsewhere") else _looked(card, units=units)
    if seen is None and hidden is None:
        hidden = "elsewhere"
    link = card.license_link or ""
    size = size_bytes(card)
    return {
        "name": card.name,
        "title": card.pretty_name,
        "languages": [(code, language_name(code, lang)) for code in block.languages],
        "kind": KINDS[block.kind].in_language(lang),
        "licence": licence_name(card),
        "link": link if link.startswith("https://") else "",
        "consent": _consent(card).in_language(lang),
        "access": _access(card).in_language(lang),
        "uses": [USES.get(use, phrase(use)).in_language(lang) for use in block.permitted_uses],
        "contact": block.contact,
        "problems": block.known_problems,
        "unknown": block.not_established,
        "withdrawn": card.is_withdrawn,
        "summary": summary(card.body),
        "size_bytes": size,
        "size": people_size(size).in_language(lang) if size is not None else "",
        "counts": _counts(seen).in_language(lang) if seen else "",
        "hidden": hidden,
        "samples": _samples(seen, lang=lang) if seen and hidden is None else [],
    }


def _consent(card: DataCard) -> Sentence:
    """Return basis, statement and withdrawal as the card states them; nothing if it does not."""
    consent = card.corpus.consent
    if not consent.sentence:
        return phrase("")
    basis, statement = BASES[consent.basis], phrase(consent.statement)
    if consent.basis == "not-stated":
        parts = [statement] if consent.statement else []
    elif consent.statement:
        parts = [sentence("{basis}: {statement}", basis=basis, statement=statement)]
    else:
        parts = [basis]
    if consent.withdrawal:
        parts.append(sentence("withdrawal: {how}", how=consent.withdrawal))
    if consent.expires:
        parts.append(sentence("until {day}", day=consent.expires.isoformat()))
    return joined(parts, between="; ")


def _access(card: DataCard) -> Sentence:
    access = card.corpus.access
    if not access.conditions:
        return ACCESS[access.kind]
    return sentence(
        "{access}: {conditions}", access=ACCESS[access.kind], conditions=access.conditions
    )


def _counts(seen: Look) -> Sentence:
    texts = counted("{count} text", "{count} texts", seen.records)
    words = counted("{count} word", "{count} words", seen.words)
    if seen.whole:
        return joined([texts, words], between=" · ")
    return sentence("at least {texts} · {words}", texts=texts, words=words)


def _why_no_samples(card: DataCard) -> str | None:
    """Return the label of why no text is shown, or None if texts may be shown."""
    block = card.corpus
    if card.is_withdrawn:
        return "withdrawn"
    if not is_here(card):
        return "elsewhere"
    if not may_be_passed_on(card):
        return "kept"
    return "personal" if block.personal_data == "present" else None


def _looked(card: DataCard, *, units: int) -> Look | None:
    try:
        return look(card, units=units)
    except FinetuneError:  # the page is about the card; `finetune cards check` lists its errors
        return None


def _samples(seen: Look, *, lang: str) -> list[list[Sample]]:
    return [
        [
            Sample(bcp47(language), direction(language), language_name(language, lang), text)
            for language, text in sample.items()
        ]
        for sample in seen.samples
    ]


def summary(body: str) -> str:
    """Return the first paragraph of the prose, without Markdown, cut at a word.

    >>> summary("# Title\\n\\nStories of *our* [radio](x).\\n\\n## More")
    'Stories of our radio.'
    """
    paragraphs = re.split(r"\n\s*\n", body)
    plain = (p for p in paragraphs if p.strip() and not re.match(r"\s*[#|>`<-]", p))
    text = " ".join(next(plain, "").split())
    text = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    text = re.sub(r"[*_`]+", "", text)
    if len(text) <= SUMMARY_CHARACTERS:
        return text
    return text[:SUMMARY_CHARACTERS].rpartition(" ")[0] + " …"
