"""Language tags that files state, compared with the languages of a card."""

from __future__ import annotations

import re
from collections.abc import Mapping

from finetune.errors import DataError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.spec.language import Named, hub_codes

_SCRIPTS: Mapping[str, str] = {
    "latin": "Latn",
    "cyrillic": "Cyrl",
    "arabic": "Arab",
    "devanagari": "Deva",
    "hebrew": "Hebr",
}
"""Modifiers of gettext (`sr@latin`) and their scripts."""
_NO_LANGUAGE = frozenset({"und", "mul", "mis", "zxx", "art", "x", "i"})


def known_language(tag: str) -> str | None:
    """Return the standard code of the language of a tag; None if it names none.

    >>> known_language("wo-SN"), known_language("fre"), known_language("template")
    ('wo', 'fr', None)
    """
    import langcodes

    primary = re.split(r"[-_@.]", tag.strip())[0].lower()
    if not re.fullmatch("[a-z]{2,3}", primary) or primary in _NO_LANGUAGE:
        return None
    try:
        code = langcodes.standardize_tag(primary)
        return code if langcodes.tag_is_valid(code) else None
    except ValueError:
        return None


def fits_tag(language: str, tag: str) -> bool | None:
    """Return whether a language of ours is that of a tag; None for a tag of no known language.

    A macrolanguage stands for each of its members, and a script counts where the tag names one.

    >>> fits_tag("wol_Latn", "wo-SN"), fits_tag("swh_Latn", "sw"), fits_tag("fra_Latn", "wo")
    (True, True, False)
    >>> fits_tag("srp_Cyrl", "sr@latin"), fits_tag("wol_Latn", "")
    (False, None)
    """
    import langcodes

    found = known_language(tag)
    if found is None:
        return None
    script = _script(tag)
    if script and script != language.partition("_")[2]:
        return False
    return found in {langcodes.standardize_tag(code) for code in hub_codes(language)}


def _script(tag: str) -> str | None:
    parts = re.split(r"[-_@.]", tag)[1:]
    named = [part.title() for part in parts if len(part) == 4 and part.isalpha()]
    named += [_SCRIPTS[part.lower()] for part in parts if part.lower() in _SCRIPTS]
    return named[0] if named else None


def facts_of_tags(
    tags: Mapping[str, str], columns: Mapping[str, str]
) -> list[tuple[Sentence, Sentence]]:
    """Return the language that a file states for each column, with words for it.

    `columns`: role -> column of the card. A tag that names no language is compared with nothing.
    """
    roles = {column: role for role, column in columns.items()}
    facts = []
    for column, tag in tags.items():
        value = phrase(tag[:60])
        if known_language(tag) is None and column in roles:
            language = Named(roles[column])
            value = sentence("{tag!r}, no known language; by the card {language}", tag=tag[:60],
                             language=language)  # fmt: skip
        facts.append((sentence("language of {column}", column=column), value))
    return facts


def contradiction(tag: str, *, language: str, of: Sentence, at: Place) -> Problem | None:
    """Return the problem of a tag that is another language's; `of`: what has the tag."""
    if fits_tag(language, tag) is not False:
        return None
    return problem(
        "language-contradicts",
        "{of} states the language {tag!r}, but the card has {language} there; correct `columns` or "
        "`languages` in the card, or the file",
        at=at,
        of=of,
        tag=tag[:60],
        language=Named(language),
    )


def refuse_contradictions(
    tags: Mapping[str, str], *, columns: Mapping[str, str], at: Place
) -> None:
    """Raise DataError for columns in another language than the file states.

    `tags`: column -> tag of the file; `columns`: role -> column of the card.
    """
    found = [
        contradiction(
            tags[column], language=role, of=sentence("the file's {column!r}", column=column), at=at
        )
        for role, column in columns.items()
        if "_" in role and column in tags
    ]
    problems = [one for one in found if one]
    if problems:
        raise DataError(*problems)
