"""Writes the tables of languages and scripts in finetune/spec/tables.

python -m tests.support.code_tables

The sources take half a second to import, and Babel is not installed with the product.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from xml.etree import ElementTree

import iso639
import langcodes
import language_data
from babel import Locale
from fontTools import unicodedata as unicode
from langcodes.data_dicts import LIKELY_SUBTAGS

from finetune.spec.tables import language_table as table
from finetune.spec.tables.language_table import USED_AS_ONE, WITH_REGION

TABLES = Path(table.__file__).parent
SOURCES = """\
# Written by tests/support/code_tables.py, which a test compares with what stands here.
# Codes: ISO 639-3 of SIL International (https://iso639-3.sil.org) as packed in PyPI python-iso639,
# unchanged. Names and scripts: Unicode CLDR (Unicode License v3) as packed in Babel and
# language_data; scripts: IANA Language Subtag Registry (CC0) and Unicode.
"""
OLD_SHORT = {"in": "ind", "iw": "heb", "jw": "jav", "mo": "ron", "ji": "ydd yih"}
"""Withdrawn codes of two letters (IANA Language Subtag Registry) -> codes in use."""
REGIONAL = {code: tag.replace("-", "_") for tag, code in WITH_REGION.items()}
OWN = {"cnr": "crnogorski", "lub": "Kiluba", "twi": "Twi"}
"""Own names where the sources have that of another language."""
FURTHER = {
    "aym": "aymara",
    "bam": "bamanankan|bamana",
    "bin": "edo",
    "ckb": "sorani|kurde central",
    "dag": "dagbanli",
    "dyo": "diola|joola|jóola|diola fogny|jola",
    "dyu": "jula|djoula",
    "fuc": "pulaar|poular|pulaar du Fouta Toro|Fulfulde Pulaar",
    "fuf": "pular|poular du Fouta Djallon|Fuuta Jalon",
    "ful": "fulfulde|fulani|peulh|foulfouldé|fulɓe",
    "fuv": "fulfulde du Nigeria|Fulfulde Adamawa-Nigeria",
    "gaz": "Oromiffa|Afaan Oromoo|Oromo (Ethiopia)",
    "gug": "Avañe'ẽ|Guarani paraguayen",
    "hat": "kreyòl ayisyen|kreyol",
    "ibo": "asụsụ Igbo",
    "kab": "taqbaylit",
    "kik": "gikuyu",
    "kin": "ikinyarwanda|kinyarwanda|rwanda",
    "kmr": "kurmanji|kurmandji|kurmancî",
    "kon": "kikongo",
    "lin": "lingála",
    "lug": "oluganda",
    "luo": "dholuo",
    "man": "malinké|maninka|manding|mandingue",
    "mlg": "malagasy|malgache",
    "mni": "meitei|meiteilon|manipuri|meetei|ꯃꯩꯇꯩꯂꯣꯟ|ꯃꯤꯇꯩꯂꯣꯟ",
    "mnk": "mandingo|mandinka|mandinko|malinké",
    "mos": "mooré|moore|mossi",
    "nde": "isindebele|ndebele",
    "nbl": "isindebele|ndebele",
    "nso": "sesotho sa leboa|sepedi|northern sotho",
    "nya": "chichewa|chewa|cinyanja",
    "orm": "oromiffa|afaan oromo|afan oromo|oromifa",
    "ron": "moldave|moldavian",
    "run": "kirundi",
    "sat": "santhali|santal",
    "sna": "chishona",
    "snk": "sooninke|sarakolé|sarakole",
    "som": "af soomaali|somali",
    "srr": "sereer|seereer|serer|sérère sine|sereer-siin",
    "ssw": "siswati|swazi",
    "swh": "kiswahili|swahili de la côte|souahili",
    "tir": "tigrigna|tigrinya|tigrigna",
    "tsn": "setswana",
    "tso": "xitsonga",
    "ven": "tshivenda|tshivenḓa",
    "wol": "wolof|ouolof|wollof",
    "xho": "isixhosa",
    "yor": "èdè Yorùbá|yorouba",
    "zul": "isizulu|zoulou",
    "zgh": "tamazight|amazigh standard",
    "tzm": "tamazight",
    "rif": "tarifit|rifain",
    "shi": "tachelhit|tashelhit|chleuh",
    "lua": "tshiluba|ciluba|luba",
    "fon": "fongbe|fon gbe|fɔngbè",
    "dje": "djerma|zerma",
    "hin": "हिंदी",
    "hau": "haussa|hawsa|houssa",
    "mfv": "manjak|manjaku|manjaque|mandjaque",
    "any": "agni",
    "gux": "gourmantché|gourmantche|gulmancema",
    "lob": "lobiri",
    "tui": "toupouri",
    "mcn": "massa",
    "xsm": "kassem|kasena",
    "nzb": "nzebi",
    "sin": "singhalais",
    "bug": "bugis",
    "pcm": "naija",
    "luy": "luhya|oluluhya",
    "ach": "acholi",
    "nyn": "runyankole|runyankore",
    "ttj": "rutooro|rutoro",
    "xog": "lusoga",
    "byn": "bilen|bilin",
    "ktb": "kambata|kembata",
    "ijc": "ijaw|izon",
    "its": "itsekiri",
    "gbr": "gwari|gbari",
    "gej": "mina|gen|guin|gengbe",
    "kdh": "kotokoli|tem",
    "mdw": "mbochi|mboshi",
    "lmn": "banjara|lambada|lambadi",
    "trp": "kokborok|kok borok",
    "mkw": "munukutuba",
    "kru": "oraon|kurukh|uraon",
    "sck": "nagpuri|sadri|sadani",
    "swb": "shimaore|mahorais",
    "zdj": "shingazidja|grand comorien",
    "gkp": "guerzé",
    "bev": "bété",
    "knc": "kanouri",
}
"""Further names in common use, separated by `|`; collected by hand."""
KINDS = {"L": "living", "E": "extinct", "H": "historical", "C": "constructed", "S": "special"}
ALL = {one.part3: one for one in iso639.ALL_LANGUAGES}
ACTIVE = {code: one for code, one in ALL.items() if one.status == "A"}


def languages() -> str:
    """Return the table of languages."""
    rows = [*_active(), *_retired(), *_other_codes(), *_groups()]
    lines = ["\t".join(row) for row in sorted(rows)]
    return SOURCES + "\t".join(table.LANGUAGE_COLUMNS) + "\n" + "\n".join(lines) + "\n"


def scripts() -> str:
    """Return the table of scripts."""
    names = _registered() | {
        code: unicode.script_name(code).replace("_", " ") for code in unicode.Scripts.NAMES
    }
    rows = []
    for code, name in sorted(names.items()):
        english = _cldr("en").scripts.get(code, name)
        french = _cldr("fr").scripts.get(code, english)
        rows.append("\t".join([code, english, french, name if name != english else ""]))
    return SOURCES + "\t".join(table.SCRIPT_COLUMNS) + "\n" + "\n".join(rows) + "\n"


def _active() -> Iterator[list[str]]:
    english, french = _names("en"), _names("fr")
    members = defaultdict(list)
    for code, one in ACTIVE.items():
        if one.macrolanguage:
            members[one.macrolanguage].append(code)
    for code, one in ACTIVE.items():
        kind = "macro" if one.scope == "M" else KINDS[one.type or "L"]
        own = _own_name(code)
        others = [one.name, *(x for o in one.other_names or () for x in (o.print, o.inverted))]
        others += [_display(code, "en"), _display(code, "fr"), *FURTHER.get(code, "").split("|")]
        known = {english[code], french[code], own}
        others = [x for x in dict.fromkeys(others) if x and x not in known]
        yield [
            code,
            kind,
            " ".join(sorted(members[code])),
            one.part1 or "",
            " ".join(_scripts(code)),
            english[code],
            french[code] if french[code] != english[code] else "",
            own if own not in (english[code], french[code]) else "",
            "|".join(others),
        ]


def _retired() -> Iterator[list[str]]:
    for code, one in ALL.items():
        if one.status == "R":
            yield [code, "retired", " ".join(_successors(code)), "", "", one.name, "", "", ""]


def _successors(code: str) -> list[str]:
    """Return the codes in use that a code leads to, over codes that were retired later."""
    if code in ACTIVE:
        return [code]
    one = ALL.get(code)
    if one is None:
        return []
    direct = [one.retire_change_to] if one.retire_change_to else []
    direct += re.findall(r"\[([a-z]{3})\]", one.retire_remedy or "")
    reached = [code for step in direct if step != one.part3 for code in _successors(step)]
    return list(dict.fromkeys(reached))


def _other_codes() -> Iterator[list[str]]:
    for code, one in ACTIVE.items():
        if one.part2b and one.part2b != code:
            yield [one.part2b, "bibliographic", code, "", "", "", "", "", ""]
        if one.part1:
            yield [one.part1, "short", code, "", "", "", "", "", ""]
    for short, code in OLD_SHORT.items():
        yield [short, "retired", code, "", "", "", "", "", ""]


def _groups() -> Iterator[list[str]]:
    """Yield the codes of groups of languages: ISO 639-5, and those of ISO 639-2."""
    for entry in _registry():
        if "Type: language" in entry and "Scope: collection" in entry:
            [code] = re.findall(r"Subtag: (\w{2,3})$", entry, re.MULTILINE)
            name = re.findall(r"Description: (.+)$", entry, re.MULTILINE)[0]
            yield [code, "group", "", "", "", name, "", "", ""]
            if code == "bh":
                yield ["bih", "group", "", "", "", name, "", "", ""]


def _names(shown_in: str) -> dict[str, str]:
    """Return the distinct names of all codes in use; English where CLDR has none in a language."""
    full = {code: _display(code, shown_in) for code in ACTIVE}
    short = {code: name.partition(" (")[0] for code, name in full.items()}
    reference = {code: one.name for code, one in ACTIVE.items()}
    last = {code: f"{name} ({code})" for code, name in short.items()}
    languages = [code for code, one in ACTIVE.items() if one.scope != "M" or code in USED_AS_ONE]
    names = dict(short)
    for longer in (full, reference, last):
        taken = Counter(names[code].casefold() for code in languages)
        names |= {code: longer[code] for code in languages if taken[names[code].casefold()] > 1}
    return names


@cache
def _display(code: str, shown_in: str) -> str:
    """Return a name as CLDR has it, else as langcodes has it, else the reference name."""
    if code in REGIONAL:
        found = _cldr(shown_in).languages.get(REGIONAL[code])
        return found or _cldr("en").languages[REGIONAL[code]]
    found = langcodes.Language.get(code)
    if found.language not in (code, ACTIVE[code].part1) and ACTIVE[code].scope == "M":
        return ACTIVE[code].name  # the library takes Serbo-Croatian for Serbian
    name = found.display_name(shown_in)
    return ACTIVE[code].name if name.endswith(f"[{code}]") else name


def _own_name(code: str) -> str:
    name = OWN.get(code) or langcodes.Language.get(code).autonym()
    return ACTIVE[code].name if name.endswith("]") else name.partition(" (")[0]


@cache
def _cldr(shown_in: str) -> Locale:
    return Locale(shown_in)


@lru_cache(maxsize=1)
def _used_scripts() -> dict[str, list[str]]:
    data = Path(language_data.__file__).parent / "data" / "supplementalData.xml"
    used: defaultdict[str, list[str]] = defaultdict(list)
    for one in ElementTree.parse(data).getroot().iterfind("languageData/language"):
        secondary = "-" if one.get("alt") == "secondary" else ""
        used[one.get("type", "")] += [secondary + x for x in (one.get("scripts") or "").split()]
    return used


def _scripts(code: str) -> list[str]:
    """Return the scripts of a language, the usual one first; `-` marks those of secondary use.

    `PK=Arab` is the usual script of a region. A language without scripts in CLDR has those of the
    tag that CLDR replaces it by, or of its macrolanguage.
    """
    if ACTIVE[code].scope == "S":
        return []
    return _scripts_of(code) or _scripts_of(ACTIVE[code].macrolanguage or "")


def _scripts_of(code: str) -> list[str]:
    if not code:
        return []
    tags = [x for x in (ACTIVE[code].part1, code, langcodes.Language.get(code).language) if x]
    likely = [
        LIKELY_SUBTAGS[x].split("-")[1]
        for x in WITH_REGION
        if WITH_REGION[x] == code
        if x in LIKELY_SUBTAGS
    ]
    likely += [LIKELY_SUBTAGS[tag].split("-")[1] for tag in tags if tag in LIKELY_SUBTAGS]
    used = [script for tag in tags for script in _used_scripts().get(tag, ())]
    first = likely[:1]
    used = [x for x in dict.fromkeys(used) if x.lstrip("-") not in first]
    used = [x for x in used if not (x[0] == "-" and x[1:] in used)]
    regions = [
        f"{key.partition('-')[2]}={value.split('-')[1]}"
        for key, value in LIKELY_SUBTAGS.items()
        if key.partition("-")[0] in tags
        and re.fullmatch(r"[a-z]+-[A-Z]{2}", key)
        and value.split("-")[1] not in first
    ]
    return [*first, *used, *regions]


def _registry() -> list[str]:
    path = Path(langcodes.__file__).parent / "data" / "language-subtag-registry.txt"
    return path.read_text("utf-8").split("%%")


def _registered() -> dict[str, str]:
    found = {}
    for entry in _registry():
        if "Type: script" in entry:
            code = re.search(r"Subtag: (\w{4})$", entry, re.MULTILINE)
            name = re.search(r"Description: (.+)$", entry, re.MULTILINE)
            if code and name:
                found[code[1]] = name[1]
    return found


if __name__ == "__main__":
    (TABLES / "languages.tsv").write_text(languages(), encoding="utf-8")
    (TABLES / "scripts.tsv").write_text(scripts(), encoding="utf-8")
