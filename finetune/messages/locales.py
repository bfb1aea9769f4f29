"""Languages of messages: which there are, which one a person reads, and their translations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

ENGLISH = "en"
"""The language in which sentences are written in the code."""
DOMAIN = "finetune"
LOCALES = Path(__file__).parent / "locale"
MORE_LOCALES = "FINETUNE_LOCALES"
"""Environment variable that names a folder with more languages, for translators who try theirs."""
CHOICE = "FINETUNE_LANG"
"""Environment variable that names the language of messages."""
_MAGIC = (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")
"""First bytes of a compiled translation, in either byte order."""
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def available() -> tuple[str, ...]:
    """Return the codes of all languages of messages, English first."""
    files = (path for folder in _folders() for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return (ENGLISH, *sorted({path.parts[-3] for path in files if _is_compiled(path)}))


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC[0])) in _MAGIC


def _folders() -> tuple[Path, ...]:
    more = os.environ.get(MORE_LOCALES)
    return (*([Path(more)] if more else []), LOCALES)


def chosen(
    option: str | None = None, *, environment: Mapping[str, str] | None = None, terminal: bool
) -> str:
    """Return the language for messages: `--lang`, FINETUNE_LANG, the locale of a terminal, English.

    Without a terminal (the log of a job), the locale has no say, so that
    logs are in English. A language without a translation is English.
    """
    given = os.environ if environment is None else environment
    asked = option or given.get(CHOICE) or (_locale(given) if terminal else "")
    language = asked.partition(".")[0].partition("@")[0].replace("-", "_")
    there = available()
    return next((one for one in (language, language.partition("_")[0]) if one in there), ENGLISH)


def _locale(environment: Mapping[str, str]) -> str:
    return next((environment[name] for name in _LOCALE_VARIABLES if environment.get(name)), "")


@cache
def translation(language: str) -> NullTranslations:
    """Return the translation into a language; English, or an unknown one, is left as written."""
    paths = (folder / language / "LC_MESSAGES" / f"{DOMAIN}.mo" for folder in _folders())
    path = next((path for path in paths if path.is_file()), None)
    if language == ENGLISH or path is None:
        return NullTranslations()
    with path.open("rb") as file:
        return GNUTranslations(file)
