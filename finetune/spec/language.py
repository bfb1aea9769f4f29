"""One spelling of a language everywhere: ISO 639-3, underscore, ISO 15924 (`wol_Latn`)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

PATTERN = r"^[a-z]{3}_[A-Z][a-z]{3}$"
Language = Annotated[str, StringConstraints(pattern=PATTERN)]


def is_language(text: str) -> bool:
    """Say whether a text is a language code of ours.

    >>> is_language("wol_Latn"), is_language("wo")
    (True, False)
    """
    return re.fullmatch(PATTERN, text) is not None


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


def bcp47(language: str) -> str:
    """Return the BCP-47 tag with script, for `language_details`.

    >>> bcp47("hau_Latn")
    'ha-Latn'
    """
    return f"{hub_code(language)}-{language.split('_')[1]}"
