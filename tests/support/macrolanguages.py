"""Writes finetune/spec/macrolanguages.py out of python-iso639, which takes too long to import.

python -m tests.support.macrolanguages > finetune/spec/macrolanguages.py
"""

from __future__ import annotations

import textwrap
from collections import defaultdict

import iso639

HEAD = '''"""Macrolanguages of ISO 639-3 and their members.

Written by tests/support/macrolanguages.py, which a test compares with what stands here.

Source: the code tables of the ISO 639-3 registration authority (SIL International,
https://iso639-3.sil.org) as packed in PyPI `python-iso639`, members in use only.
"""

from __future__ import annotations

from collections.abc import Mapping

MEMBERS: Mapping[str, str] = {
'''
BETWEEN = '''}
"""Macrolanguage -> its individual languages, space-separated."""

SHORT: Mapping[str, str] = {
'''
END = '''}
"""Two-letter code (ISO 639-1) of a macrolanguage -> its ISO 639-3 code."""
'''


def module() -> str:
    """Return the source of the module, in the form that ruff gives it."""
    macros = [language for language in iso639.ALL_LANGUAGES if language.scope == "M"]
    members: dict[str, list[str]] = defaultdict(list)
    for language in iso639.ALL_LANGUAGES:
        if language.macrolanguage and language.status == "A":
            members[language.macrolanguage].append(language.part3)
    rows = [_row(macro.part3, sorted(members[macro.part3])) for macro in sorted(macros, key=_code)]
    short = [f'    "{x.part1}": "{x.part3}",\n' for x in sorted(macros, key=_code) if x.part1]
    return HEAD + "".join(rows) + BETWEEN + "".join(short) + END


def _code(language: iso639.Language) -> str:
    return language.part3


def _row(macro: str, members: list[str]) -> str:
    line = f'    "{macro}": "{" ".join(members)}",\n'
    if len(line) <= 101:  # the line end counts
        return line
    parts = textwrap.wrap(" ".join(members), 84)
    spaced = [*(f"{part} " for part in parts[:-1]), parts[-1]]
    lines = "".join(f'        "{part}"\n' for part in spaced)
    return f'    "{macro}": (\n{lines}    ),\n'


if __name__ == "__main__":
    print(module(), end="")
