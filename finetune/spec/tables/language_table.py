"""ISO 639 languages and ISO 15924 scripts, with their names.

The two tables beside this module are searched as text, so that one code costs microseconds: reading
every row takes as long as the rest of `finetune check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LANGUAGE_COLUMNS = ("code", "kind", "to", "short", "scripts", "english", "french", "own", "others")
NAMED_IN = ("en", "fr")
"""Languages of messages in which the tables have names."""
SCRIPT_COLUMNS = ("code", "english", "french", "others")
USED_AS_ONE = frozenset({"san"})
"""Macrolanguages that corpora and tools use like one language: Sanskrit was split into Classical
and Vedic in 2024, and no corpus or language identifier here knows the two new codes."""
WITH_REGION: Mapping[str, str] = {"sw-CD": "swc", "fa-AF": "prs", "sr-ME": "cnr"}
"""Tags of CLDR with a region that stand for a language with a code of its own."""
UNCODED = "mis"
"""The code for a language that has none. Codes for local use (qaa to qtz) are not taken: they mean
something else in each place."""
_NO_SCRIPTS = frozenset({"Zinh", "Zmth", "Zsye", "Zsym", "Zxxx", "Zyyy"})
"""Codes of ISO 15924 for signs of every script, or for none; `Zzzz` is a script without a code."""


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """A code of ISO 639."""

    code: str
    kind: str
    """living, extinct, historical, constructed, macro, special, retired; bibliographic (ISO
    639-2/B) and short (ISO 639-1) for other codes of a language; group (ISO 639-5, and those of
    ISO 639-2) for many languages that are related."""
    to: tuple[str, ...]
    """Codes in use that it leads to: members, successors, or the language."""
    short: str
    """Two-letter code; empty if there is none."""
    scripts: tuple[str, ...]
    """Scripts in use, the usual one first."""
    rare_scripts: tuple[str, ...]
    """Scripts of secondary use."""
    script_by_region: Mapping[str, str]
    """Region -> its usual script, where it is another one."""
    english: str
    french: str
    own: str
    """Name in the language itself."""
    others: tuple[str, ...]

    def name_in(self, language: str) -> str:
        """Return the name in a language of messages; the English one where there is no other."""
        return dict(zip(NAMED_IN, (self.english, self.french), strict=True)).get(
            language, self.english
        )

    @property
    def is_language(self) -> bool:
        """Return whether texts can be in it: it is one language."""
        return self.kind not in _NO_LANGUAGE or self.code in {*USED_AS_ONE, UNCODED}


_NO_LANGUAGE = frozenset({"macro", "special", "retired", "bibliographic", "short", "group"})


@dataclass(frozen=True, slots=True)
class ScriptRow:
    """A script of ISO 15924."""

    code: str
    english: str
    french: str
    others: tuple[str, ...]


@lru_cache(maxsize=2)
def _table(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@lru_cache(maxsize=4096)
def language_row(code: str) -> LanguageRow | None:
    """Return what ISO 639 has under a code of two or three small letters; None for nothing.

    >>> language_row("fre").to, language_row("ful").to[:2], language_row("wol").short
    (('fra',), ('ffm', 'fub'), 'wo')
    """
    if not re.fullmatch(r"[a-z]{2,3}", code):
        return None
    table = _table("languages.tsv")
    start = table.find(f"\n{code}\t") + 1
    return _language(table[start : table.index("\n", start)]) if start else None


def language_rows() -> Iterator[LanguageRow]:
    """Yield every row."""
    lines = (x for x in _table("languages.tsv").splitlines() if not x.startswith("#"))
    next(lines)  # names of the columns
    yield from map(_language, lines)


def _language(line: str) -> LanguageRow:
    code, kind, to, short, scripts, english, french, own, others = line.split("\t")
    words = scripts.split()
    plain = [word for word in words if word[0] != "-" and "=" not in word]
    return LanguageRow(
        code,
        kind,
        tuple(to.split()),
        short,
        tuple(plain),
        tuple(word[1:] for word in words if word[0] == "-"),
        dict(word.split("=") for word in words if "=" in word),
        english,
        french or english,
        own or english,
        tuple(others.split("|")) if others else (),
    )


@lru_cache(maxsize=1)
def script_rows() -> Mapping[str, ScriptRow]:
    """Return every script by its code."""
    lines = [x for x in _table("scripts.tsv").splitlines() if not x.startswith("#")]
    rows = (line.split("\t") for line in lines[1:])
    return {
        code: ScriptRow(code, english, french, tuple(others.split("|")) if others else ())
        for code, english, french, others in rows
    }


def is_script(code: str) -> bool:
    """Return whether letters of a text can be in it.

    >>> is_script("Latn"), is_script("Zzzz"), is_script("Lath"), is_script("Zyyy")
    (True, True, False, False)
    """
    return code in script_rows() and code not in _NO_SCRIPTS


def members_of(code: str) -> tuple[str, ...]:
    """Return the members of a macrolanguage; none for another code.

    >>> members_of("aka"), members_of("wol")
    (('fat', 'twi'), ())
    """
    row = language_row(code)
    return row.to if row and row.kind == "macro" else ()


def macros_of(code: str) -> tuple[str, ...]:
    """Return the macrolanguages that a language is a member of.

    >>> macros_of("swh"), macros_of("wol")
    (('swa',), ())
    """
    return _macros().get(code, ())


@lru_cache(maxsize=1)
def _macros() -> Mapping[str, tuple[str, ...]]:
    rows = re.findall(r"^([a-z]{3})\tmacro\t([a-z ]+)\t", _table("languages.tsv"), re.MULTILINE)
    found: dict[str, tuple[str, ...]] = {}
    for macro, members in rows:
        found |= {member: (*found.get(member, ()), macro) for member in members.split()}
    return found
