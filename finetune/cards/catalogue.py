"""`finetune cards catalogue`: one offline page of all cards, to look through and to choose from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.cards.listing import licence_name, people_size, size_bytes
from finetune.cards.look import Look, is_here, look
from finetune.cards.words import Lang
from finetune.errors import FinetuneError, RecipeError
from finetune.output.templates import environment
from finetune.spec.card import DataCard
from finetune.spec.language import bcp47, language_name
from finetune.spec.load import load_card
from finetune.spec.script import direction

MARK = '<meta name="generator" content="finetune cards catalogue">'
"""Stands in every catalogue, so that no other page is overwritten."""
SUMMARY_CHARACTERS = 400

LABELS: Mapping[Lang, Mapping[str, str]] = {
    "en": {
        "title": "Data cards",
        "intro": "Texts in many languages, described by those who hold them.",
        "search": "Search",
        "language": "Language",
        "licence": "Licence",
        "all": "all",
        "shown": "shown",
        "of": "of",
        "texts": "texts",
        "words": "words",
        "atleast": "at least",
        "consent": "Consent",
        "access": "Access",
        "uses": "Permitted uses",
        "contact": "Contact",
        "problems": "Known problems",
        "unknown": "Not established",
        "elsewhere": "The texts are not on the machine that made this page.",
        "kept": "No samples are shown: the owners keep the texts to themselves.",
        "personal": "No samples are shown: the texts hold personal data.",
        "withdrawn": "Withdrawn by its owners. Nothing of it is used any more.",
        "broken": "These cards cannot be read:",
        "nothing": "No card fits.",
        "open": "open",
        "agree": "for whoever accepts the conditions",
        "ask": "the owners decide on each request",
    },
    "fr": {
        "title": "Fiches de données",
        "intro": "Des textes en de nombreuses langues, décrits par qui les détient.",
        "search": "Chercher",
        "language": "Langue",
        "licence": "Licence",
        "all": "toutes",
        "shown": "affichées",
        "of": "sur",
        "texts": "textes",
        "words": "mots",
        "atleast": "au moins",
        "consent": "Consentement",
        "access": "Accès",
        "uses": "Usages permis",
        "contact": "Contact",
        "problems": "Problèmes connus",
        "unknown": "Non établi",
        "elsewhere": "Les textes ne sont pas sur la machine qui a fait cette page.",
        "kept": "Aucun extrait : les propriétaires gardent les textes pour eux.",
        "personal": "Aucun extrait : les textes contiennent des données personnelles.",
        "withdrawn": "Retiré par ses propriétaires. Plus rien n'en est utilisé.",
        "broken": "Ces fiches sont illisibles :",
        "nothing": "Aucune fiche ne convient.",
        "open": "libre",
        "agree": "pour qui accepte les conditions",
        "ask": "les propriétaires décident à chaque demande",
    },
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A text to show, with what a browser needs to show it right."""

    tag: str
    """BCP-47, for fonts and hyphenation."""
    direction: str
    name: str
    text: str


def write_catalogue(paths: Sequence[Path], out: Path, *, lang: Lang) -> tuple[Path, list[str]]:
    """Write `out/index.html`; return it and the names of cards that could not be read.

    Raises RecipeError if a page that is no catalogue is there, or nothing can be written.
    """
    target = out / "index.html"
    entries, broken = [], []
    for path in paths:
        try:
            entries.append(_entry(load_card(path)))
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
        say=LABELS[lang],
    )
    try:
        if target.exists() and MARK not in target.read_text("utf-8", errors="replace"):
            raise RecipeError(f"{target}: is there already and no catalogue; choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecipeError(f"{target}: cannot be written: {error.strerror}") from None
    return target, broken


def _entry(card: DataCard) -> dict[str, Any]:
    block = card.corpus
    hidden = _why_no_samples(card)
    seen = None if hidden in ("withdrawn", "elsewhere") else _looked(card)
    if seen is None and hidden is None:
        hidden = "elsewhere"
    link = card.license_link or ""
    size = size_bytes(card)
    return {
        "name": card.name,
        "title": card.pretty_name,
        "languages": [(code, language_name(code)) for code in block.languages],
        "kind": block.kind,
        "licence": licence_name(card),
        "link": link if link.startswith("https://") else "",
        "consent": block.consent.sentence,
        "access": block.access,
        "uses": block.permitted_uses,
        "contact": block.contact,
        "problems": block.known_problems,
        "unknown": block.not_established,
        "withdrawn": card.is_withdrawn,
        "summary": summary(card.body),
        "size_bytes": size,
        "size": people_size(size) if size is not None else "",
        "seen": seen,
        "hidden": hidden,
        "samples": _samples(seen) if seen and hidden is None else [],
    }


def _why_no_samples(card: DataCard) -> str | None:
    """Return the label of why no text is shown, or None if texts may be shown."""
    block = card.corpus
    if card.is_withdrawn:
        return "withdrawn"
    if not is_here(card):
        return "elsewhere"
    shared = not block.permitted_uses or "share" in block.permitted_uses
    if block.access.kind != "open" or not shared:
        return "kept"
    return "personal" if block.personal_data == "present" else None


def _looked(card: DataCard) -> Look | None:
    try:
        return look(card)
    except FinetuneError:  # the page is about the card; `finetune cards check` tells what is wrong
        return None


def _samples(seen: Look) -> list[list[Sample]]:
    return [
        [
            Sample(bcp47(language), direction(language), language_name(language), text)
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
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"[*_`]+", "", text)
    if len(text) <= SUMMARY_CHARACTERS:
        return text
    return text[:SUMMARY_CHARACTERS].rpartition(" ")[0] + " …"
