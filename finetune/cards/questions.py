"""The questions of `finetune cards new`, in English and in French, and what an answer must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from finetune.cards.words import Lang
from finetune.errors import did_you_mean
from finetune.spec.card import Consent, CorpusBlock
from finetune.spec.language import is_language, macrolanguage_problem
from finetune.spec.licence import KNOWN

BASES: tuple[str, ...] = get_args(Consent.model_fields["basis"].annotation)
PERSONAL: tuple[str, ...] = get_args(CorpusBlock.model_fields["personal_data"].annotation)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: what is asked, what an empty answer means, and what is wrong with an answer."""

    field: str
    text: Mapping[Lang, str]
    default: str = ""
    problem: Callable[[str, Lang], str | None] = lambda _answer, _lang: None


def _language_problem(answer: str, lang: Lang) -> str | None:
    codes = answer.split()
    for code in codes:
        if not is_language(code):
            hint = {
                "en": f"{code!r}: write three small letters, a low line and the script: wol_Latn",
                "fr": f"{code!r} : écrivez trois minuscules, un tiret bas et l'écriture : wol_Latn",
            }
            return macrolanguage_problem(code) or hint[lang]
    if codes:
        return None
    return {"en": "a language is needed", "fr": "il faut une langue"}[lang]


def _licence_problem(answer: str, lang: Lang) -> str | None:
    if not answer or answer in KNOWN - {"other"}:
        return None
    if "://" in answer:  # a community licence: its name and where it can be read
        return None if len(answer.split()) >= 2 else _community(lang)
    near = did_you_mean(answer, KNOWN)
    return {
        "en": f"{answer!r} is no licence that the Hub knows{near} For a licence of your community "
        "write its name and its address: nwulite-obodo https://...",
        "fr": f"{answer!r} n'est pas une licence connue du Hub{near} Pour une licence de votre "
        "communauté, écrivez son nom et son adresse : nwulite-obodo https://...",
    }[lang]


def _community(lang: Lang) -> str:
    return {
        "en": "write its name before the address, separated by a space",
        "fr": "écrivez son nom avant l'adresse, séparés par une espace",
    }[lang]


def one_of(known: Sequence[str]) -> Callable[[str, Lang], str | None]:
    """Return a check that an answer is one of `known`."""

    def problem(answer: str, lang: Lang) -> str | None:
        if answer in known:
            return None
        start = {"en": "write one of", "fr": "écrivez un mot parmi"}[lang]
        return f"{start}: {', '.join(known)}"

    return problem


QUESTIONS = (
    Question(
        "language",
        {
            "en": "Which language is it? Code and script, e.g. wol_Latn, hau_Arab. For "
            "translations all of them, separated by spaces",
            "fr": "Quelle langue est-ce ? Code et écriture, p. ex. wol_Latn, hau_Arab. Pour des "
            "traductions, toutes, séparées par des espaces",
        },
        problem=_language_problem,
    ),
    Question(
        "title",
        {"en": "A title for people", "fr": "Un titre pour les gens"},
    ),
    Question(
        "dialect",
        {
            "en": "Which dialect or region? (Enter if you do not know)",
            "fr": "Quel dialecte ou quelle région ? (Entrée si vous ne savez pas)",
        },
    ),
    Question(
        "orthography",
        {
            "en": "Which spelling standard do the texts follow, if one?",
            "fr": "Quelle norme d'orthographe les textes suivent-ils, s'il y en a une ?",
        },
    ),
    Question(
        "speakers",
        {
            "en": "Who spoke or wrote the texts, as far as they agreed to tell?",
            "fr": "Qui a parlé ou écrit les textes, autant que ces personnes ont accepté de dire ?",
        },
    ),
    Question(
        "licence",
        {
            "en": "Under which licence? e.g. cc-by-4.0, cc-by-nc-4.0, cc0-1.0; or name and address "
            "of your community's (Enter: not decided)",
            "fr": "Sous quelle licence ? p. ex. cc-by-4.0, cc-by-nc-4.0, cc0-1.0 ; ou nom et "
            "adresse de celle de votre communauté (Entrée : pas décidé)",
        },
        problem=_licence_problem,
    ),
    Question(
        "basis",
        {
            "en": "How did people agree? written, spoken, community, licence (published, nobody "
            "was asked), public-domain, not-stated",
            "fr": "Comment l'accord a-t-il été donné ? written (écrit), spoken (oral), community "
            "(communauté), licence (publié, personne n'a été consulté), public-domain, not-stated",
        },
        default="not-stated",
        problem=one_of(BASES),
    ),
    Question(
        "consent",
        {
            "en": "What was agreed, in a sentence?",
            "fr": "Qu'est-ce qui a été convenu, en une phrase ?",
        },
    ),
    Question(
        "withdrawal",
        {
            "en": "Who may take texts back, and how do they ask for it?",
            "fr": "Qui peut reprendre ses textes, et comment le demander ?",
        },
    ),
    Question(
        "contact",
        {
            "en": "Whom can one ask about the texts? (an address)",
            "fr": "À qui s'adresser au sujet des textes ? (une adresse)",
        },
    ),
    Question(
        "personal_data",
        {
            "en": "Personal data (names, numbers, health): none-known, present, removed",
            "fr": "Données personnelles (noms, numéros, santé) : none-known (aucune connue), "
            "present (présentes), removed (retirées)",
        },
        default="none-known",
        problem=one_of(PERSONAL),
    ),
)
"""In the order in which they are asked. The fields are flags of the command line too."""
