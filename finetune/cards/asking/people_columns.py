"""Columns that look like names of people, by their header or their values.

Only what is shown before a person declares such a column depends on it, so a column too many is
masked rather than one too few.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from finetune.spec.language_search import fold

HEADERS = frozenset(
    # English
    {"name", "names", "contributor", "contributors", "speaker", "speakers", "author", "authors"}
    | {"narrator", "storyteller", "participant", "informant", "person", "people", "interviewee"}
    | {"respondent", "translator", "surname", "firstname", "lastname", "sender"}
    # French
    | {"nom", "noms", "prenom", "prenoms", "conteur", "conteuse", "contributeur", "contributrice"}
    | {"locuteur", "locutrice", "locuteurs", "auteur", "auteure", "autrice", "auteurs", "personne"}
    | {"personnes", "informateur", "informatrice", "enquete", "enquetee", "narrateur", "donne par"}
    | {"raconte par", "dit par", "ecrit par", "traducteur", "traductrice", "narratrice"}
    # Spanish, Portuguese
    | {"nombre", "nombres", "apellido", "apellidos", "autor", "autora", "hablante", "narrador"}
    | {"nome", "nomes", "falante", "contribuidor", "colaborador", "persona", "pessoa"}
    # Swahili, Hausa, Yoruba, Igbo, Zulu, Wolof, Bambara, Fula, Malagasy, Somali
    | {"jina", "majina", "msimulizi", "suna", "sunaye", "oruko", "aha", "igama", "amagama", "tur"}
    | {"sant", "togo", "toogo", "innde", "anarana", "magac", "mwandishi"}
    # Arabic, Russian, Hindi, Bengali, Chinese, Indonesian
    | {"اسم", "الاسم", "الراوي", "المتحدث", "имя", "фамилия", "автор", "नाम", "নাম", "姓名", "名字"}
    | {"nama", "penutur", "penulis"}
)
"""Words of headers, folded as names of languages are."""
LEAST_VALUES = 4
MOST_WORDS = 4
MOST_CHARACTERS = 40
DISTINCT_SHARE = 0.67
"""Different values among all; those of texts or numbers hardly recur."""
NAME_SHARE = 0.8
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f'\u2019\u02bc.-])*")
_HEADERS = frozenset(map(fold, HEADERS))


def names_people(header: str, values: Iterable[str]) -> bool:
    """Return whether a column looks like one of names of people.

    >>> names_people("Conteur", []), names_people("x", ["Awa Sarr", "Awa Sarr", "Modou", "Modou"])
    (True, True)
    >>> names_people("Texte", ["Nanga def?", "Maa ngi fi rekk", "Nanga def?", "Maa ngi fi"])
    False
    """
    folded = f" {fold(header)} "
    if any(f" {one} " in folded for one in _HEADERS):
        return True
    counts = Counter(value.strip() for value in values if value.strip())
    if counts.total() < LEAST_VALUES or len(counts) > DISTINCT_SHARE * counts.total():
        return False
    like_names = sum(count for value, count in counts.items() if _like_a_name(value))
    return like_names >= NAME_SHARE * counts.total()


def _like_a_name(value: str) -> bool:
    """Return whether a value is a few words, none of which begins with a small letter."""
    words = value.split()
    return (
        len(words) <= MOST_WORDS
        and len(value) <= MOST_CHARACTERS
        and all(_NAME.fullmatch(word) and not word[0].islower() for word in words)
    )
