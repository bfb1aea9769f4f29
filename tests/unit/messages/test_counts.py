"""Counts in sentences: a number before a noun in the plural goes through `counted`."""

from __future__ import annotations

import re

import pytest

from finetune.messages.extract import LOCALES, read

CATALOGUE = list(read(LOCALES / "fr" / "LC_MESSAGES" / "finetune.po", "fr"))
ENGLISH = """
answers cards characters choices columns combinations days documents entries errors examples
fields files forms hours items jobs keys languages letters levels lines minutes models names
nodes notes outputs pages pairs parameters parts passes places ranks records rows runs seconds
sentences sequences sheets speakers steps tabs tensors texts times tokens turns units values
warnings words
"""
FRENCH = """
caractères cartes cellules champs choix colonnes combinaisons documents entrées erreurs exemples
fichiers fiches formes heures items jetons jours langues lettres lignes minutes modèles mots
niveaux noms nœuds onglets pages paires paramètres parties passages phrases processus rangs
réponses secondes séquences sorties tableaux tabulations tâches tenseurs termes textes tokens
tours unités valeurs étapes éléments enregistrements
"""
BOUNDS = {"most", "limit", "longest"}
"""Facts that are limits of the program: none of them is one."""
NO_NUMBERS = {"suffix", "language"}
ALWAYS_MORE = {
    "Accelerate sees {found} ranks": "of several processes",
    "none, but {ranks} ranks": "of several processes",
    "{ranks} ranks were launched": "of several processes",
    "{what} differs between the {ranks} ranks": "of several processes",
    "no step for {since}: all {ranks} ranks": "of several processes",
    "waiting for {n} of {m} ranks": "of several processes",
    "`finetune {verb}` is one process, but srun started {ranks} tasks": "of several tasks",
    "mpirun started {ranks} processes": "of several processes",
    "The corpus is large": "five million",
    "a document of card {card!r} is longer": "a length of sequences",
    "out of memory with a micro-batch": "a length of sequences",
    "characters in one record, or {lines}": "a limit",
    "lines, or {entries} entries": "a limit",
    "lists more than {count} files": "a limit",
    "names {count} tensors, more than": "more than any model",
    "states {rows} rows in {size}": "more than the file can hold",
    "has new tokens from {first:d}": "the vocabulary of a base",
    "new tokens begin at {first:d}": "the vocabulary of a base",
    "its tokenizer has the token": "the vocabulary of a base",
    "{count} of the first {of} lines": "a share of many lines",
    "mean {mean:.3f} of {count} languages": "a mean of several",
    "the column {column!r} is there {count} times": "more than once",
    "{card}: {document} tokens per document": "a mean of documents with a prompt",
    "{count} characters of YAML": "more than the limit",
    "{expression!r} has {count} characters": "more than the limit",
    "{hours:g} h of training is too short": "the tokens of a step",
}
"""Beginning of a sentence -> its number, which is more than one."""


def uncounted(text: str, nouns: str) -> list[str]:
    """Return the numbers of a template that stand before a noun in the plural."""
    between = r"(?: (?:new|other|more|packed|embedding|autres|nouveaux|nouvelles))?"
    found = re.finditer(rf"\{{(\w+)(?::[^{{}}]*)?\}}{between}[ \u00a0](\w+)", text)
    return [
        one[0] for one in found if one[2] in nouns.split() and one[1] not in BOUNDS | NO_NUMBERS
    ]


@pytest.mark.parametrize(("language", "nouns"), [("", ENGLISH), ("fr", FRENCH)])
def test_no_number_stands_before_a_plural_that_is_not_counted(language: str, nouns: str) -> None:
    """Such a sentence would read "1 texts"; it goes through `counted`, or names the noun first."""
    ids = [one.id for one in CATALOGUE if isinstance(one.id, str)]
    texts = [str(one.string if language else one.id) for one in CATALOGUE if one.id in ids]
    found = {one: uncounted(text, nouns) for one, text in zip(ids, texts, strict=True)}
    allowed = tuple(ALWAYS_MORE)
    assert {one: n for one, n in found.items() if n and not one.startswith(allowed)} == {}


def test_each_exception_is_a_sentence() -> None:
    ids = [str(one.id) for one in CATALOGUE]
    assert [one for one in ALWAYS_MORE if not any(x.startswith(one) for x in ids)] == []


def test_a_sentence_with_an_uncounted_number_is_seen() -> None:
    """The search finds a number with a format, and with a word between it and the noun."""
    assert uncounted("read {count} texts and {n:d} new lines", ENGLISH) == [
        "{count} texts",
        "{n:d} new lines",
    ]
    assert uncounted("{count} of them, at most {most} texts; {name!r} names it", ENGLISH) == []
