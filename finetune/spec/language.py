"""One spelling of a language everywhere: ISO 639-3, underscore, ISO 15924 (`wol_Latn`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from finetune.errors import RecipeError, Unfit
from finetune.messages import ENGLISH, Place, Problem, Sentence, counted, phrase, problem, sentence
from finetune.spec.language_search import (
    codes_in,
    find_languages,
    near_codes,
    near_names,
    near_scripts,
)
from finetune.spec.tables.language_table import (
    LanguageRow,
    is_script,
    language_row,
    macros_of,
    script_rows,
)

__all__ = ["find_languages"]

PATTERN = r"^[a-z]{3}_[A-Z][a-z]{3}$"
HUB_WORDS = frozenset({"code", "multilingual"})
"""Words that the Hub takes under `language` beside codes."""
_NOT_ON_THE_HUB = frozenset({"retired", "bibliographic", "group"})
_SHOWN = 80
MOST_LANGUAGES = 8
"""Languages that a message or question lists; of more it gives the number."""


@dataclass(frozen=True, slots=True)
class Named:
    """A language as a fact of a sentence, shown by its name in the language of the sentence.

    >>> Named("wol_Latn").in_language("fr"), str(Named("swh_Latn", "{name}"))
    ('wolof (wol_Latn)', 'Swahili')
    """

    code: str
    form: str = "{name} ({code})"

    def in_language(self, language: str) -> str:
        """Return the name and the code, as `form` puts them."""
        return self.form.format(name=language_name(self.code, language), code=self.code)

    def __str__(self) -> str:
        return self.in_language(ENGLISH)


def language_problem(text: str) -> Problem | None:
    """Return what is wrong with a language as it was written, with the codes to write; or None.

    >>> str(language_problem("kok_Deva"))
    "'kok' stands for several languages; write the one it is, with its script: knn_Deva \
(Konkani), gom_Deva (Goan Konkani)"
    >>> str(language_problem("fre_Latn"))
    "'fre' is a code of libraries (ISO 639-2/B); write fra_Latn (French)"
    >>> language_problem("wol_Latn") is None
    True
    """
    code, _, script = text.partition("_")
    row = language_row(code)
    if re.fullmatch(PATTERN, text):
        if is_language(text):
            return None
        if row is not None and not is_script(script):
            return _no_script(script, row.code)
    row = row or language_row(re.split(r"[-_ .]", text.lower())[0])
    found = find_languages(text)
    if row is not None:
        return _of_code(row, found or codes_in(row.code), text=text)
    if len(found) > 1:
        return problem(
            "several-languages",
            "{value!r} stands for several; write one of {codes}{more}",
            value=text[:_SHOWN],
            codes=_choices(found),
            more=_more(found),
        )
    if found:
        return _spelling(text, found)
    return problem(
        "no-language-code",
        "{value!r} is no language code; write three small letters of ISO 639-3, an underscore and "
        "the script, for example wol_Latn{near}",
        value=text[:_SHOWN],
        near=_near(near_codes(code) if re.fullmatch("[a-z]{3}", code) else near_names(text)),
    )


def language_given(text: str, *, option: str, among: Iterable[str] = ()) -> str:
    """Return the code of a language that was typed as an option, by code or name.

    `among`: languages that are known to be meant, such as those of a card.

    Raises RecipeError for what is unknown, and for what can be several languages.
    """
    found = (text,) if is_language(text) else find_languages(text)
    meant = set(found) & set(among)
    if len(meant) == 1:
        return meant.pop()
    if len(found) == 1:
        return found[0]
    unfit = language_problem(text)
    assert unfit is not None  # noqa: S101, a code of ours was found
    raise RecipeError(unfit.at(Place(key=option)))


def _of_code(row: LanguageRow, found: Sequence[str], *, text: str) -> Problem:
    """Return the problem of a text that begins with a code of ISO 639."""
    codes = _choices(found)
    if _is_group(row):
        return problem(
            "macrolanguage",
            "{code!r} stands for several languages; write the one it is, with its script: "
            "{members}{more}",
            code=row.code,
            members=codes,
            more=_more(found),
        )
    if row.kind == "special":
        return problem(
            "special-code",
            "{code!r} names no language; write the language of the texts (mis if it has no code)",
            code=row.code,
        )
    if row.kind == "group":
        return problem(
            "language-group",
            "{code!r} is the code of a group ({group}); write the language of the texts, with its "
            "script, for example wol_Latn",
            code=row.code,
            group=row.english,
        )
    if row.kind == "retired":
        successors = (
            sentence("write {codes}", codes=codes)
            if found
            else sentence("it was no language; write the language of the texts")
        )
        return problem(
            "retired-code",
            "{code!r} was retired from ISO 639; {successors}",
            code=row.code,
            successors=successors,
            codes=codes,
        )
    if row.kind == "bibliographic":
        return problem(
            "library-code",
            "{code!r} is a code of libraries (ISO 639-2/B); write {codes}",
            code=row.code,
            codes=codes,
        )
    return _spelling(text, found)


def _is_group(row: LanguageRow) -> bool:
    """Return whether a code is one of a macrolanguage, in any part of ISO 639."""
    if row.kind == "macro":
        return not row.is_language
    if row.kind not in ("bibliographic", "short") and len(row.to) != 1:
        return False
    target = language_row(row.to[0]) if row.to else None
    return target is not None and target.kind == "macro" and not target.is_language


def _spelling(text: str, found: Sequence[str]) -> Problem:
    if len(found) > 1 and re.fullmatch("[A-Za-z]{2,3}", text):
        return problem(
            "script-needed",
            "{value!r} is written in several scripts; write one of {codes}",
            value=text,
            codes=_choices(found),
        )
    return problem(
        "no-language-code",
        "{value!r} is no language code; write {codes}",
        value=text[:_SHOWN],
        codes=_choices(found),
    )


def _no_script(script: str, code: str) -> Problem:
    """Return the problem of an unknown script, with those it may be, or those of the language."""
    near = [f"{one} ({script_rows()[one].english})" for one in near_scripts(script)]
    return problem(
        "no-script",
        "{script!r} is no script of ISO 15924 that texts can be in{near}",
        script=script,
        near=sentence("; write {scripts}", scripts=near or _choices(codes_in(code))),
    )


def _choices(codes: Sequence[str]) -> list[Named]:
    return [Named(code, "{code} ({name})") for code in codes[:MOST_LANGUAGES]]


def _more(codes: Sequence[str]) -> Sentence:
    """Return how many languages are not listed; nothing if all are."""
    left = len(codes) - MOST_LANGUAGES
    return counted(", or {count} other", ", or {count} others", left) if left > 0 else phrase("")


def _near(codes: Sequence[str]) -> Sentence:
    return sentence("; near: {codes}", codes=_choices(codes)) if codes else phrase("")


def _checked(code: object) -> object:
    if isinstance(code, str) and (unfit := language_problem(code)):
        raise Unfit(unfit)
    return code


# before the pattern, so that `ff` is answered with the members too
Language = Annotated[str, StringConstraints(pattern=PATTERN), BeforeValidator(_checked)]
"""A code of ours: a language of ISO 639-3 in use, and a script of ISO 15924."""


def is_language(text: str) -> bool:
    """Return whether a text is a language code of ours.

    >>> is_language("wol_Latn"), is_language("wo"), is_language("ful_Latn"), is_language("qqq_Latn")
    (True, False, False, False)
    """
    if re.fullmatch(PATTERN, text) is None:
        return False
    code, _, script = text.partition("_")
    row = language_row(code)
    return row is not None and row.is_language and is_script(script)


def language_name(language: str, shown_in: str = "en") -> str:
    """Return the name of a language in English, or in French (`fr`) where CLDR has it.

    No two languages have one name.

    >>> language_name("hau_Latn"), language_name("hau_Latn", "fr")
    ('Hausa', 'haoussa')
    """
    code = language.partition("_")[0]
    row = language_row(code)
    return row.name_in(shown_in) if row else code


def hub_code(language: str) -> str:
    """Return the code of a language that Hub metadata takes: ISO 639-1, else ISO 639-3.

    >>> hub_code("hau_Latn"), hub_code("fuc_Latn"), hub_code("swc_Latn")
    ('ha', 'fuc', 'swc')
    """
    code = language.partition("_")[0]
    row = language_row(code)
    return row.short if row and row.short else code


def hub_codes(language: str) -> list[str]:
    """Return every code under which the Hub may list a language, the exact one first.

    A macrolanguage is one of them: the Hub's pages know `sw`, and not Coastal Swahili.

    >>> hub_codes("swh_Latn"), hub_codes("hau_Latn")
    (['swh', 'swa', 'sw'], ['ha', 'hau'])
    """
    code = language.partition("_")[0]
    macros = macros_of(code)
    short = [row.short for macro in macros if (row := language_row(macro)) and row.short]
    return list(dict.fromkeys([hub_code(language), code, *macros, *short]))


def hub_problem(code: str) -> Problem | None:
    """Return why Hub metadata cannot hold a code under `language`, with the code to write; or None.

    >>> hub_problem("sw") is None, str(hub_problem("sw-CD"))
    (True, "'sw-CD' is no language of Hub metadata, which takes ISO 639-1 and 639-3; write swc")
    """
    row = language_row(code)
    if code in HUB_WORDS or (row is not None and row.kind not in _NOT_ON_THE_HUB):
        return None
    found = dict.fromkeys(hub_code(one) for one in find_languages(code))
    return problem(
        "no-hub-language",
        "{value!r} is no language of Hub metadata, which takes ISO 639-1 and 639-3{advice}",
        value=code[:_SHOWN],
        advice=sentence("; write {codes}", codes=list(found)) if found else phrase(""),
    )


def _hub_checked(code: str) -> str:
    if unfit := hub_problem(code):
        raise Unfit(unfit)
    return code


HubLanguage = Annotated[str, AfterValidator(_hub_checked)]
"""A value of the Hub's key `language`."""


def bcp47(language: str) -> str:
    """Return the BCP-47 tag with script, for `language_details`.

    >>> bcp47("hau_Latn")
    'ha-Latn'
    """
    return f"{hub_code(language)}-{language.partition('_')[2]}"
