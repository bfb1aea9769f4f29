"""One spelling of a language everywhere: ISO 639-3, underscore, ISO 15924 (`wol_Latn`)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from finetune.spec.macrolanguages import MEMBERS, SHORT

PATTERN = r"^[a-z]{3}_[A-Z][a-z]{3}$"
USED_AS_ONE = frozenset({"san"})
"""Macrolanguages that corpora and tools use like one language: Sanskrit was split into Classical
and Vedic in 2024, and no corpus or language identifier here knows the two new codes."""


def macrolanguage_problem(text: str) -> str | None:
    """Say which languages a macrolanguage stands for, or None for a code of one language.

    `text` is a code as people write it: `ff`, `ful`, `ful_Latn`.

    >>> macrolanguage_problem("kok_Deva")
    "'kok' is a macrolanguage, several languages under one code; write the one it is: \
gom (Goan Konkani), knn (Konkani), with its script, e.g. 'gom_Deva'"
    >>> macrolanguage_problem("wol_Latn") is None
    True
    """
    code, _, script = text.partition("_")
    macro = SHORT.get(code, code)
    if macro not in MEMBERS or macro in USED_AS_ONE:
        return None
    members = MEMBERS[macro].split()
    named = ", ".join(f"{member} ({language_name(member)})" for member in members)
    return (
        f"{code!r} is a macrolanguage, several languages under one code; write the one it is: "
        f"{named}, with its script, e.g. '{members[0]}_{script or 'Latn'}'"
    )


def _individual(code: object) -> object:
    if isinstance(code, str) and (problem := macrolanguage_problem(code)):
        raise ValueError(problem)
    return code


# before the pattern, so that `ff` is answered with the members too
Language = Annotated[str, StringConstraints(pattern=PATTERN), BeforeValidator(_individual)]
"""A code of ours; a macrolanguage (ISO 639-3 scope M) is refused with the list of its members."""


def is_language(text: str) -> bool:
    """Say whether a text is a language code of ours.

    >>> is_language("wol_Latn"), is_language("wo"), is_language("ful_Latn")
    (True, False, False)
    """
    return re.fullmatch(PATTERN, text) is not None and macrolanguage_problem(text) is None


def language_name(language: str) -> str:
    """Return the English name of a language.

    >>> language_name("hau_Latn")
    'Hausa'
    """
    import langcodes  # loaded on use: costs 50 ms that `finetune check` should not pay

    name = langcodes.Language.get(language.partition("_")[0]).display_name("en")
    return name.partition(" (")[0]  # "Swahili (individual language)" is for catalogues


def hub_code(language: str) -> str:
    """Return the shortest ISO 639 code, as Hub metadata wants it.

    >>> hub_code("hau_Latn"), hub_code("fuc_Latn")
    ('ha', 'fuc')
    """
    import langcodes

    return langcodes.standardize_tag(language.partition("_")[0])


def hub_codes(language: str) -> list[str]:
    """Return every code under which the Hub may list a language, the exact one first.

    A macrolanguage is one of them: the Hub's pages know `sw`, and not Coastal Swahili.

    >>> hub_codes("swh_Latn"), hub_codes("hau_Latn")
    (['swh', 'swa', 'sw'], ['ha', 'hau'])
    """
    code = language.partition("_")[0]
    macros = [macro for macro, members in MEMBERS.items() if code in members.split()]
    macros += [short for short, macro in SHORT.items() if macro in macros]
    return list(dict.fromkeys([hub_code(language), code, *macros]))


def bcp47(language: str) -> str:
    """Return the BCP-47 tag with script, for `language_details`.

    >>> bcp47("hau_Latn")
    'ha-Latn'
    """
    return f"{hub_code(language)}-{language.split('_')[1]}"
