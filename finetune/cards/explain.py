"""Messages of the card's reader in plain words, English and French.

The reader speaks to engineers (`string should match pattern '^[0-9a-f]{64}$'`); this table knows
what a card's owner can do about it. A message that the table does not know is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from finetune.cards.explain_files import FILE_SAYINGS, Saying
from finetune.cards.words import COLON, Lang

_PLACE = re.compile(
    r"^(?P<file>[^:\n]*?\.(?:md|txt)):(?:(?P<line>\d+):(?:\d+:)?)? ?"
    r"(?:(?P<key>[A-Za-z_][\w.\[\]-]*): )?(?P<what>.*)$",
    re.DOTALL,
)


SAYINGS = (
    Saying(
        r"missing; this key is needed",
        "this line is missing; add it",
        "cette ligne manque ; ajoutez-la",
    ),
    Saying(
        r"(?:unknown key|not a key of a Hub dataset card)\. Did you mean '(?P<near>.*)'\?",
        "there is no such line; did you mean '{near}'?",
        "cette ligne n'existe pas ; vouliez-vous dire « {near} » ?",
    ),
    Saying(
        r"not a key of a Hub dataset card",
        "there is no such line in a data card; remove it",
        "cette ligne n'existe pas dans une fiche ; retirez-la",
    ),
    Saying(
        r"unknown key\. Known: (?P<known>.*)",
        "there is no such line; possible are: {known}",
        "cette ligne n'existe pas ; sont possibles : {known}",
    ),
    Saying(
        r"'(?P<code>\w+)' is a macrolanguage, several languages under one code; "
        r"write the one it is: (?P<members>.*), with its script, e\.g\. '(?P<example>.*)'",
        "'{code}' stands for several languages. Write the one it is: {members}. "
        "With its script, for example {example}",
        "« {code} » désigne plusieurs langues. Écrivez celle dont il s'agit : {members}. "
        "Avec son écriture, par exemple {example}",
    ),
    Saying(
        r"string should match pattern '\^\[a-z\]\{3\}_.*'; got (?P<got>.*)",
        "{got} is no language code; write three small letters, a low line and the script, "
        "for example wol_Latn",
        "{got} n'est pas un code de langue ; écrivez trois minuscules, un tiret bas et l'écriture, "
        "par exemple wol_Latn",
    ),
    Saying(
        r"string should match pattern '\^\[0-9a-f\]\{64\}\$'; got (?P<got>.*)",
        "{got} is no fingerprint (64 digits); `sha256sum FILE` prints it",
        "{got} n'est pas une empreinte (64 chiffres) ; `sha256sum FICHIER` l'affiche",
    ),
    Saying(
        r"string should match pattern '\^\[0-9a-f\]\{40\}\$'; got (?P<got>.*)",
        "{got} is no commit of the Hub (40 digits); copy it from the page 'commits' of the set",
        "{got} n'est pas une version du Hub (40 chiffres) ; copiez-la de la page « commits » du "
        "jeu de données",
    ),
    Saying(
        r"string should match pattern '(?P<pattern>.*)'; got (?P<got>.*)",
        "{got} is not written as this line needs it (pattern {pattern})",
        "{got} n'est pas écrit comme cette ligne le demande (motif {pattern})",
    ),
    Saying(
        r"input should be (?P<choices>'.*'); got (?P<got>.*)",
        "{got} is not possible here; write one of {choices}",
        "{got} n'est pas possible ici ; écrivez un mot parmi {choices}",
    ),
    Saying(
        r"input should be a valid (?P<kind>\w+).*; got (?P<got>.*)",
        "{got} is not possible here; a {kind} belongs there",
        "{got} n'est pas possible ici ; il faut une valeur de type « {kind} »",
    ),
    Saying(
        r"list should have at least 1 item.*",
        "the list is empty; write at least one entry",
        "la liste est vide ; écrivez au moins une entrée",
    ),
    Saying(
        r"a data card begins with a line `---` and its YAML block",
        "a data card begins with a line of three hyphens (---); put it on the first line",
        "une fiche commence par une ligne de trois traits (---) ; mettez-la en première ligne",
    ),
    Saying(
        r"the YAML block is not closed by a second line `---`",
        "the second line of three hyphens (---) is missing; put it below the keys",
        "la seconde ligne de trois traits (---) manque ; mettez-la sous les clés",
    ),
    Saying(
        r"the YAML block must be `key: value` lines",
        "the part between the hyphens must be lines of the form `name: value`",
        "la partie entre les traits doit être faite de lignes « nom: valeur »",
    ),
    Saying(
        r"key given twice",
        "this line stands there twice; remove one",
        "cette ligne figure deux fois ; retirez-en une",
    ),
    Saying(
        r"'(?P<got>.*)' is read by the Hub as .*; quote it: .*",
        "put {got} between quotation marks: '{got}'. Otherwise the Hub reads something else",
        "mettez {got} entre guillemets droits : '{got}'. Sinon le Hub lit autre chose",
    ),
    Saying(
        r"holds U\+(?P<code>\w+) \((?P<name>.*)\), which makes text look like other text.*",
        "there is an invisible character (U+{code}, {name}) that makes text look like other text; "
        "write the line again",
        "il y a un caractère invisible (U+{code}, {name}) qui fait passer un texte pour un autre ; "
        "réécrivez la ligne",
    ),
    Saying(
        r"not YAML: (?P<why>.*)",
        "the program cannot understand this line ({why}); look for a missing quotation mark, colon "
        "or space",
        "le programme ne comprend pas cette ligne ({why}) ; cherchez un guillemet, un deux-points "
        "ou une espace qui manque",
    ),
    Saying(
        r"byte (?P<byte>0x\w+) is not UTF-8; save the file as UTF-8",
        "a letter is stored in an old way ({byte}); save the file as UTF-8",
        "une lettre est enregistrée dans un ancien codage ({byte}) ; enregistrez en UTF-8",
    ),
    Saying(
        r"cannot be read: (?P<why>.*)",
        "the file cannot be opened ({why})",
        "le fichier ne peut pas être ouvert ({why})",
    ),
    Saying(
        r"(?:license: )?`other` needs license_name and license_link",
        "a licence 'other' needs two more lines: license_name and license_link",
        "une licence « other » demande deux lignes de plus : license_name et license_link",
    ),
    Saying(
        r"'(?P<got>.*)': the Hub spells licences in small letters: (?P<small>.*)",
        "write the licence in small letters: {small}",
        "écrivez la licence en minuscules : {small}",
    ),
    Saying(
        r"'(?P<path>.*)' leaves the folder; name a file inside it, with `/` between",
        "the path {path} leads out of the folder; put the file beside the card",
        "le chemin {path} sort du dossier ; placez le fichier à côté de la fiche",
    ),
    Saying(
        r"varieties\[\d+\]\.language: '(?P<code>.*)' is none of `languages`: (?P<known>.*)",
        "under `varieties` stands {code}, which is none of the languages: {known}",
        "sous `varieties` figure {code}, qui n'est pas une des langues : {known}",
    ),
    Saying(
        r"source\.revision: missing; .*",
        "the version (commit) of the data set is missing; write it, or name `source.revision` "
        "under `not_established`",
        "la version (commit) du jeu de données manque ; écrivez-la, ou nommez `source.revision` "
        "sous `not_established`",
    ),
    Saying(
        r"languages: a parallel card needs at least two languages",
        "a parallel card needs at least two languages",
        "une fiche « parallel » demande au moins deux langues",
    ),
    Saying(
        r"languages: a (?P<kind>\w+) card has exactly one language",
        "a card of kind '{kind}' has exactly one language; make one card a language",
        "une fiche de type « {kind} » a exactement une langue ; faites une fiche par langue",
    ),
    Saying(
        r"format: `(?P<name>.*)` holds documents, not (?P<kind>\w+) records",
        "files of the format '{name}' hold running text, so a card of kind '{kind}' cannot be made "
        "of them",
        "les fichiers au format « {name} » contiennent du texte suivi ; on ne peut pas en faire "
        "une fiche de type « {kind} »",
    ),
    Saying(
        r"format: `(?P<name>.*)` is for (?P<kinds>.*) cards",
        "the format '{name}' is only for cards of the kind {kinds}",
        "le format « {name} » ne sert qu'aux fiches de type {kinds}",
    ),
    Saying(
        r"columns: no column for (?P<what>.*)",
        "nothing says which column holds {what}; write it under `columns`",
        "rien ne dit quelle colonne contient {what} ; écrivez-le sous `columns`",
    ),
    Saying(
        r"columns: (?:say which column holds the text.*|needs `messages`.*)",
        "nothing says which column holds the text; write it under `columns`",
        "rien ne dit quelle colonne contient le texte ; écrivez-le sous `columns`",
    ),
    Saying(
        r"'(?P<word>.*)' is neither `all` nor a record hash.*",
        "'{word}' is no fingerprint; write withdrawals with `finetune cards withdraw`",
        "« {word} » n'est pas une empreinte ; écrivez les retraits avec `finetune cards withdraw`",
    ),
    Saying(
        r"there is no file '(?P<file>.*)' in .*",
        "there is no file {file}; put it there, or correct the path",
        "il n'y a pas de fichier {file} ; placez-le, ou corrigez le chemin",
    ),
    Saying(
        r"(?P<file>.*): sha256 is (?P<real>\w+), the card says (?P<said>\w+);.*",
        "the file {file} has changed since the card was written. If that is meant, write the new "
        "fingerprint: {real}",
        "le fichier {file} a changé depuis que la fiche a été écrite. Si c'est voulu, écrivez la "
        "nouvelle empreinte : {real}",
    ),
    Saying(
        r"'(?P<name>.*)' is not installed; (?P<command>.*)",
        "the package {name} is not installed; type: {command}",
        "le paquet {name} n'est pas installé ; tapez : {command}",
    ),
    Saying(
        r"(?P<name>\S+) (?P<there>\S+) is installed, the card wants (?P<wanted>[^;]+); "
        r"(?P<command>.*)",
        "{name} is there in version {there}, and the card is for {wanted}; type: {command}",
        "{name} est là en version {there}, et la fiche est pour {wanted} ; tapez : {command}",
    ),
    Saying(
        r"'(?P<name>.*)' is none of the readers: (?P<known>.*?)"
        r"(?:; or the package .*? is not installed)?(?:\. Did you mean .*)?",
        "the format '{name}' cannot be read; possible are: {known}",
        "le format « {name} » ne peut pas être lu ; sont possibles : {known}",
    ),
)
PLACE: Mapping[Lang, str] = {"en": "{file}, line {line}", "fr": "{file}, ligne {line}"}


def explain(problem: str, lang: Lang) -> str:
    """Return a message of the reader in plain words.

    >>> explain("data_cards/a.md:3:1: pretty_name: missing; this key is needed", "fr")
    'data_cards/a.md, ligne 3 (pretty_name) : cette ligne manque ; ajoutez-la'
    """
    about_file = _said(problem, FILE_SAYINGS, lang)
    if about_file:
        return about_file
    parts = _PLACE.match(problem)
    if not parts:
        return plain(problem, lang) or problem
    said = plain(parts["what"], lang) or plain(f"{parts['key']}: {parts['what']}", lang)
    file, line, key = parts["file"], parts["line"], parts["key"]
    place = PLACE[lang].format(file=file, line=line) if line else file
    return f"{place}{f' ({key})' if key else ''}{COLON[lang]}{said or parts['what']}"


def plain(message: str, lang: Lang) -> str | None:
    """Return the sentence for a message without its place, or None if the table has none."""
    return _said(message, SAYINGS, lang)


def _said(message: str, sayings: Sequence[Saying], lang: Lang) -> str | None:
    for saying in sayings:
        found = re.fullmatch(saying.pattern, message, re.DOTALL)
        if found:
            words: str = getattr(saying, lang)
            return words.format(**found.groupdict())
    return None
