"""A language of a programme, found by the names and codes that people write."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.spec.language import Named, find_languages, is_language
from finetune.spec.language_search import fold, folded_names
from finetune.spec.tables.programme import Programme, ProgrammeLanguage


def language_of(text: str, programme: Programme) -> ProgrammeLanguage:
    """Return the language of a programme that a text names, by code or name.

    Names are those in English, in French and in the language's own letters; where own names differ
    by script, they say which script. Raises RecipeError for a language of several scripts without
    one, for another language, and for what is unknown, with near names.

    >>> from finetune.spec.tables.programme import PROGRAMMES
    >>> [language_of(x, PROGRAMMES["senegal"]).code for x in ("pulaar", "wo", "Sérère")]
    ['fuc_Latn', 'wol_Latn', 'srr_Latn']
    >>> [language_of(x, PROGRAMMES["india"]).code for x in ("कॉशुर", "kas_Arab", "oriya")]
    ['kas_Deva', 'kas_Arab', 'ory_Orya']
    """
    named = _named(text, programme)
    if len(named) == 1:
        return named[0]
    raise RecipeError(_unfit(text, programme, named))


def scripts_beside(row: ProgrammeLanguage, programme: Programme) -> list[str]:
    """Return the codes of the same language in other scripts."""
    language = row.code.partition("_")[0]
    same = [x.code for x in programme.languages if x.code.partition("_")[0] == language]
    return [code for code in same if code != row.code]


def _named(text: str, programme: Programme) -> Sequence[ProgrammeLanguage]:
    """Return the languages of a programme that a text can stand for."""
    folded = fold(text)
    own = [row for row in programme.languages if folded in map(fold, row.own)]
    if own:
        return own
    codes = (text,) if is_language(text) else find_languages(text)
    return [row for row in programme.languages if row.code in codes]


def _unfit(text: str, programme: Programme, named: Sequence[ProgrammeLanguage]) -> Problem:
    """Return why a text names no one language of a programme, with what to write."""
    at = Place(key=f"--language {text}")
    if named:
        return problem(
            "several-languages",
            "{value!r} stands for several; write one of {codes}{more}",
            at=at,
            value=text,
            codes=[Named(row.code) for row in named],
            more="",
        )
    if known := ((text,) if is_language(text) else find_languages(text)):
        return problem(
            "not-in-programme",
            "{language} is not in the programme {programme}, which has {languages}; with texts of "
            "your own: {command}",
            at=at,
            language=Named(known[0]),
            programme=programme.name,
            languages=_listed(programme),
            command=f"finetune init --language {known[0]} --text FILE",
        )
    return problem(
        "no-language-of-programme",
        "{value!r} is no language of the programme {programme}, which has {languages}{near}",
        at=at,
        value=text,
        programme=programme.name,
        near=_near(text, programme),
        languages=_listed(programme),
    )


def _listed(programme: Programme) -> list[Named]:
    return [Named(row.code) for row in programme.languages]


def _near(text: str, programme: Programme) -> Sentence | str:
    """Return a question for the languages whose names are spelt nearly so, or nothing."""
    codes: dict[str, list[str]] = {}
    for row in programme.languages:
        for name in {*folded_names(row.code.partition("_")[0]), *map(fold, row.own)}:
            codes.setdefault(name, []).append(row.code)
    near = difflib.get_close_matches(fold(text), codes, n=3, cutoff=0.6)
    found = list(dict.fromkeys(code for name in near for code in codes[name]))
    if not found:
        return ""
    return sentence(". Did you mean {codes}?", codes=[Named(code) for code in found])
