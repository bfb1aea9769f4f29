"""Languages by any code or name that people write: English, French, or their own.

Codes: ISO 639-1, -2 and -3, BCP 47 and locale tags (`fr-FR`, `fr_FR.UTF-8`), with or without a
script.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from finetune.spec.tables.language_table import (
    WITH_REGION,
    LanguageRow,
    is_script,
    language_row,
    language_rows,
    macros_of,
    script_rows,
)

_TAG = re.compile(
    r"(?P<language>[a-zA-Z]{2,3})(?:[-_ ](?P<script>[a-zA-Z]{4,5}))?"
    r"(?:[-_](?P<region>[a-zA-Z]{2}|\d{3}))?(?:[.@][\w.@-]{1,20}|-[xu]-[\w-]{1,40})?"
)
_BRACKETED = re.compile(r"(?P<name>[^()\[\]]{1,80})[(\[](?P<script>[^()\[\]]{1,80})[)\]]\s*")
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc\u02bb\u02bf\u02be\u055a\ua78c`´]")
_SCRIPT_WORDS = frozenset(
    {"script", "alphabet", "letters", "characters", "ecriture", "caracteres"}
    | {"in", "en", "with", "avec", "the"}
)
_LANGUAGE_WORDS = frozenset({"language", "langue", "lang", "the", "la", "le"})
_SCRIPT_NAMES: Mapping[str, str] = {
    "ajami": "Arab",
    "wolofal": "Arab",
    "jawi": "Arab",
    "shahmukhi": "Arab",
    "nastaliq": "Arab",
    "perso arabic": "Arab",
    "perso arabe": "Arab",
    "roman": "Latn",
    "romain": "Latn",
    "chinese": "Hani",
    "geez": "Ethi",
    "guez": "Ethi",
    "ol cemet": "Olck",
    "tirhuta": "Tirh",
    "manipuri": "Mtei",
    "tana": "Thaa",
    "tifinar": "Tfng",
    "simplified": "Hans",
    "simplifie": "Hans",
    "traditional": "Hant",
    "traditionnel": "Hant",
}
"""Further names of scripts, folded."""
_STANDARD_WORDS = frozenset({"standard", "literary", "litteraire"})
"""Words for the standard among the languages of one name, folded; `modern` may stand beside."""
_BESIDE_STANDARD = frozenset({"modern", "moderne"})
_USUAL = "Latn"
"""For languages of which CLDR knows no script; what is chosen is shown."""
_MOST_CHARACTERS = 120
_LEAST_WORD = 4
"""Letters that the longest word of a part of a name must have."""


def find_languages(text: str) -> tuple[str, ...]:
    """Return the codes (`wol_Latn`) that a name or code of any kind can stand for.

    None for what is unknown, one where there is no doubt; else all that it can be: the members of a
    macrolanguage, its standard first, the successors of a retired code, languages of one name, the
    language of a code and another one of that name, and the scripts that a language is commonly
    written in, the usual one first (CLDR). Case and accents do not count.

    >>> find_languages("wolof"), find_languages("Français"), find_languages("Wolof (arabe)")
    (('wol_Latn',), ('fra_Latn',), ('wol_Arab',))
    >>> find_languages("fre"), find_languages("fr_FR"), find_languages("sw-CD")
    (('fra_Latn',), ('fra_Latn',), ('swc_Latn',))
    >>> find_languages("hausa"), find_languages("swahili"), find_languages("xyz")
    (('hau_Latn', 'hau_Arab'), ('swh_Latn', 'swc_Latn'), ())
    >>> find_languages("chinois")[:2], find_languages("arabe standard")
    (('cmn_Hans', 'cmn_Hant'), ('arb_Arab',))
    >>> find_languages("ho"), find_languages("Bih"), find_languages("bih")
    (('hmo_Latn', 'hoc_Deva'), ('ibh_Latn',), ())
    """
    text = unicodedata.normalize("NFC", text).strip()[:_MOST_CHARACTERS]
    by_code = _by_code(text)
    if re.fullmatch(r"[a-z]{2,3}", text) and (row := language_row(text)):
        # `fur` is the code of Friulian and the name of Fur; `ber` is a group, and in no other use
        return by_code if row.kind == "group" else _with_namesakes(text, by_code)
    if by_code and re.match(r"[a-z]{2,3}\b", text):  # `Ari` is a name and a code
        return by_code
    return tuple(dict.fromkeys([*by_code, *_by_name(text, whole=bool(by_code))]))


def codes_in(code: str, *, script: str = "", region: str = "") -> tuple[str, ...]:
    """Return the languages in use that a code of ISO 639 leads to, each with its script."""
    row = language_row(code)
    if row is None or (row.kind in ("special", "group") and not row.is_language):
        return ()
    if not row.is_language:
        members = sorted(row.to, key=lambda to: _standing(to, row))
        return tuple(
            dict.fromkeys(x for to in members for x in codes_in(to, script=script, region=region))
        )
    if script:
        return (f"{code}_{script}",)
    if region in row.script_by_region:
        return (f"{code}_{row.script_by_region[region]}",)
    return tuple(f"{code}_{one}" for one in row.scripts or (_USUAL,))


def _standing(member: str, group: LanguageRow) -> int:
    """Return the place among the languages of a code: its standard, others with a script, rest."""
    row = language_row(member)
    if row is None:
        return 2
    if _is_standard(member, group):
        return 0
    return 1 if row.scripts else 2


def _is_standard(member: str, group: LanguageRow) -> bool:
    """Return whether a member of a macrolanguage is its standard: by its name, or its own name."""
    row = language_row(member)
    own = row is not None and row.own == group.own
    return row is not None and (own or row.english.startswith("Standard "))


def _by_code(text: str) -> tuple[str, ...]:
    found = _TAG.fullmatch(text)
    if found is None:
        return ()
    code, script = found["language"].lower(), (found["script"] or "").title()
    region = (found["region"] or "").upper()
    row = language_row(code)
    if row is not None:
        code = WITH_REGION.get(f"{row.short or code}-{region}", code)
    if script and not is_script(script):
        script = _script_named(script)
        if not script:
            return ()
    return codes_in(code, script=script, region=region)


def _with_namesakes(code: str, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the languages of a code, and other written ones that the code is the name of."""
    named = _in_scripts(x for x in _index().get(code, ()) if _is_written(x))
    languages = {x.partition("_")[0] for x in found}
    return (*found, *(x for x in named if x.partition("_")[0] not in languages))


def _is_written(code: str) -> bool:
    """Return whether CLDR knows a script of a language: some names are those of villages."""
    row = language_row(code)
    return row is not None and bool(row.scripts)


def _by_name(text: str, *, whole: bool) -> tuple[str, ...]:
    """Return the languages of a name; `whole`: of the text as a name, not of its words."""
    folded = fold(text)
    if exact := _index().get(folded, ()) or _index().get(_without_words(folded), ()):
        return _in_scripts(exact)
    if whole or not folded:
        return ()
    if standard := _standard(folded.split()):
        return standard
    name, script = _split_script(text)
    if script:
        return _in_scripts(_index().get(fold(name), ()), script=script)
    found = _with_words(text)
    # a part of one name is no proof: `oraon` is not Oraon Sadri, and `nubian` not Old Nubian
    return _in_scripts(found) if len(found) > 1 else ()


def _without_words(folded: str) -> str:
    """Return a name without what is said around it.

    >>> _without_words("langue wolof"), _without_words("la")
    ('wolof', '')
    """
    return " ".join(word for word in folded.split() if word not in _LANGUAGE_WORDS)


def _standard(words: Sequence[str]) -> tuple[str, ...]:
    """Return the standard of the languages that the other words name: `arabe standard`."""
    if not _STANDARD_WORDS & set(words):
        return ()
    name = " ".join(word for word in words if word not in _STANDARD_WORDS | _BESIDE_STANDARD)
    groups = [row for code in _index().get(name, ()) if (row := language_row(code)) is not None]
    return _in_scripts(to for row in groups for to in row.to if _is_standard(to, row))


def _in_scripts(codes: Iterable[str], script: str = "") -> tuple[str, ...]:
    return tuple(dict.fromkeys(x for code in codes for x in codes_in(code, script=script)))


def _split_script(text: str) -> tuple[str, str]:
    """Return a name and the script that is named behind it, or nothing for the script."""
    if bracketed := _BRACKETED.fullmatch(text):
        return bracketed["name"], _script_named(bracketed["script"])
    words = re.split(r"[\s,_]+", text)
    for first in range(1, len(words)):
        if script := _script_named(" ".join(words[first:])):
            return " ".join(words[:first]), script
    return text, ""


def _script_named(text: str) -> str:
    """Return the code of a script by its code or name; nothing for another word."""
    if is_script(text.strip().title()):
        return text.strip().title()
    words = [word for word in fold(text).split() if word not in _SCRIPT_WORDS]
    return _script_index().get(" ".join(words), "")


@lru_cache(maxsize=1)
def _script_index() -> Mapping[str, str]:
    names = dict(_SCRIPT_NAMES)
    for code, row in script_rows().items():
        for name in (row.english, row.french, *row.others):
            if is_script(code):
                names.setdefault(fold(name), code)
    return names


@lru_cache(maxsize=1)
def _index() -> Mapping[str, tuple[str, ...]]:
    """Return folded name -> codes; a main name goes before other names of other languages."""
    names = [defaultdict[str, list[str]](list) for _ in range(3)]
    main, group, other = names
    for row in language_rows():
        if row.kind == "retired":
            other[fold(row.english)] += row.to
        if not row.is_language and row.kind != "macro":
            continue
        first = main if row.is_language else group
        for name in {row.english, row.french} | ({row.own} if first is main else set()):
            first[fold(name)].append(row.code)
            first[fold(name.partition(" (")[0])].append(row.code)
        for name in {row.own, *row.others}:
            other[fold(name)].append(row.code)
            other[fold(name.partition(" (")[0])].append(row.code)
    merged = {name: [*main[name], *group[name]] for name in main | group}
    return {name: tuple(dict.fromkeys(codes)) for name, codes in (other | merged).items() if name}


def _with_words(text: str) -> tuple[str, ...]:
    """Return the languages that have all words of a text in one of their names."""
    words = set(fold(text).split())
    if max(map(len, words), default=0) < _LEAST_WORD:
        return ()
    first, *others = words
    names = [name for name in _by_word().get(first, ()) if set(others) <= set(name.split())]
    return tuple(dict.fromkeys(code for name in names for code in _index()[name]))


@lru_cache(maxsize=1)
def _by_word() -> dict[str, list[str]]:
    """Return word -> the folded names that have it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in _index():
        for word in set(name.split()):
            found[word].append(name)
    return found


def folded_names(code: str) -> frozenset[str]:
    """Return the names of a language (ISO 639-3) and of its macrolanguages, folded.

    >>> sorted(folded_names("hau"))[:2]
    ['haoussa', 'hausa']
    """
    rows = [language_row(one) for one in (code, *macros_of(code))]
    names = {x for row in rows if row for x in (row.english, row.french, row.own, *row.others)}
    return frozenset(fold(x.partition(" (")[0]) for x in names) - {""}


def near_names(text: str, *, most: int = 3) -> tuple[str, ...]:
    """Return the codes of the languages whose names are spelt most nearly like a text.

    >>> near_names("wollof")[0]
    'wol_Latn'
    """
    name = text.partition("(")[0] or text
    near = difflib.get_close_matches(fold(name), _index(), n=most, cutoff=0.75)
    found = (*_with_words(name), *(code for one in near for code in _index()[one]))
    return _in_scripts(found)[:most]


def near_codes(code: str, *, most: int = 3) -> tuple[str, ...]:
    """Return the languages in use whose code differs in one letter or in the order of two.

    Only languages of which CLDR knows a script: nearly every code of three letters is one away from
    some other.
    """
    near: list[LanguageRow] = [
        row
        for row in language_rows()
        if row.is_language and row.scripts and len(row.code) == 3 and _is_near(code, row.code)
    ]
    near.sort(key=lambda row: (sorted(row.code) != sorted(code), not row.short, row.code))
    return tuple(codes_in(row.code)[0] for row in near[:most])


def _is_near(left: str, right: str) -> bool:
    differing = sum(a != b for a, b in zip(left, right, strict=False))
    return len(left) == len(right) and (differing == 1 or sorted(left) == sorted(right))


def near_scripts(code: str) -> tuple[str, ...]:
    """Return the scripts whose codes or names are spelt nearly like a code.

    >>> near_scripts("Lath")
    ('Latn',)
    """
    rows = [row for row in script_rows().values() if is_script(row.code)]
    known = {row.code.lower(): row.code for row in rows}
    near = difflib.get_close_matches(code.lower(), known, n=1, cutoff=0.7)
    return tuple(known[name] for name in near)


def fold(text: str) -> str:
    """Return a name without case, accents, apostrophes and signs.

    >>> fold("N’Ko"), fold("Sérère-Sine")
    ('nko', 'serere sine')
    """
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFKD", text.casefold()))
    kept = (
        x if x.isalnum() or unicodedata.category(x) == "Mc" else " "
        for x in text
        if not unicodedata.combining(x) and unicodedata.category(x) != "Mn"
    )
    return " ".join("".join(kept).split())
