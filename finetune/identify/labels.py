"""Mapping from labels of language-identification models to our codes.

Every model has its own labels: `__label__wol_Latn` (GlotLID, OpenLID), `__label__wo`
(lid.176), `sat_Olch`, `tam_Tamil`, `kok_Deva` (IndicLID), `msaind` (HeLI-OTS). A join without this
table would silently lose Santali, Tamil, Meitei and Konkani.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from finetune.spec.tables.language_table import USED_AS_ONE, language_row, members_of

PREFIX = "__label__"
SCRIPTS: Mapping[str, str] = {
    "Olch": "Olck",
    "Meti": "Mtei",
    "Tamil": "Taml",
    "Aran": "Arab",
    "Hans": "Hani",
    "Hant": "Hani",
}
"""Scripts of labels (and of ours) -> the code under which they are compared."""

WIKIPEDIA: Mapping[str, str] = {"als": "gsw", "bh": "bho", "eml": "egl", "sh": "hbs", "tl": "tgl"}
"""Labels without a script that are Wikipedia's names (lid.176) and mean something else in ISO."""

SPECIAL: Mapping[str, str] = {
    "estvro": "vro",
    "hbsbos": "bos",
    "hbshrv": "hrv",
    "hbssrp": "srp",
    "msaind": "ind",
    "msamalay": "zlm",
    "msamin": "min",
    "msazsm": "zsm",
    "sagb": "sag",
    "fil": "tgl",
} | {f"fin{dialect}": "fin" for dialect in "iklmnoprstx"}
"""Names of HeLI-OTS for members of a group, and Finnish dialects; and Filipino, which models and
corpora call either."""

NO_LANGUAGE = frozenset({"mis", "mul", "other", "und", "undhtml", "xx-unk", "zxx"})
"""Labels for no language, or for none that the model supports."""

LANGUAGES_OF: Mapping[str, str] = {"Olck": "sat", "Mtei": "mni", "Vaii": "vai", "Cher": "chr"}
"""Scripts of a single language: the script decides."""


@dataclass(frozen=True, slots=True)
class Label:
    """Meaning of a label: an ISO 639-3 code, maybe of a macrolanguage, and a script if stated."""

    code: str
    script: str | None = None


@lru_cache(maxsize=8192)
def read_label(raw: str) -> Label | None:
    """Return the meaning of a label, or None for no language of ISO 639.

    >>> read_label("__label__sat_Olch"), read_label("__label__wo"), read_label("kok_Deva")
    (Label(code='sat', script='Olck'), Label(code='wol', script=None), \
Label(code='kok', script='Deva'))
    >>> read_label("__label__other") is None
    True
    """
    text = raw.removeprefix(PREFIX)
    if text.lower() in NO_LANGUAGE:
        return None
    code, _, rest = text.partition("_")
    code = SPECIAL.get(code, WIKIPEDIA.get(code, code) if not rest else code)
    found = re.fullmatch(r"[a-z]{2,3}", code)
    iso = _alpha3(code) if found else None
    if iso is None:
        return None
    return Label(SPECIAL.get(iso, iso), SCRIPTS.get(rest, rest) or None)


def _alpha3(code: str) -> str | None:
    """Return the ISO 639-3 code of any code of ISO 639, or None for no language."""
    row = language_row(code)
    if row is None or row.kind == "special":
        return None
    if row.kind in ("short", "bibliographic", "retired") and len(row.to) == 1:
        return row.to[0]
    return code


@lru_cache(maxsize=1024)
def usual_script(code: str) -> str | None:
    """Return the script that a language is mostly written in (CLDR's likely subtags).

    >>> usual_script("urd"), usual_script("wol")
    ('Arab', 'Latn')
    """
    row = language_row(code)
    script = row.scripts[0] if row and row.scripts else None
    return SCRIPTS.get(script, script) if script else None


def assign(labels: Iterable[str], closed: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return which languages of a closed set (codes of ours) the labels of a model stand for.

    A label of one language stands for that language in its script; without a script, in the
    script that the language is mostly written in. The label of a macrolanguage stands for the
    members in the closed set that have no label of their own.

    >>> assign(["__label__ful_Latn", "__label__urd"], ["fuc_Latn", "urd_Arab", "urd_Latn"])
    {'__label__ful_Latn': ('fuc_Latn',), '__label__urd': ('urd_Arab',)}
    """
    read = {raw: label for raw in labels if (label := read_label(raw))}
    found = {
        raw: tuple(language for language in closed if _same(label, language))
        for raw, label in read.items()
    }
    own = {language for languages in found.values() for language in languages}
    for raw, label in read.items():
        members = members_of(label.code)
        if found[raw] or not members or label.code in USED_AS_ONE:
            continue
        found[raw] = tuple(
            language
            for language in closed
            if language not in own
            and language.partition("_")[0] in members
            and _in_script(label, language)
        )
    return {raw: languages for raw, languages in found.items() if languages}


def unknown_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels that the table cannot read, except those that mean "no language"."""
    return [
        raw
        for raw in labels
        if read_label(raw) is None and raw.removeprefix(PREFIX).lower() not in NO_LANGUAGE
    ]


def _same(label: Label, language: str) -> bool:
    code = language.partition("_")[0]
    return SPECIAL.get(code, code) == label.code and _in_script(label, language)


def _in_script(label: Label, language: str) -> bool:
    code, _, script = language.partition("_")
    return SCRIPTS.get(script, script) == (label.script or usual_script(code))
