"""The prose of a new card: one section per heading, and the counts of its files as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from finetune.cards.headings import HEADINGS, NO_VARIETY, NOT_STATED
from finetune.cards.languages import can_judge, languages_in
from finetune.cards.look import Look
from finetune.messages import Sentence, available, phrase, sentence
from finetune.output.markdown import code_block, inline
from finetune.spec.card import DataCard
from finetune.spec.language import Named

PERSONAL: Mapping[str, Sentence] = {
    "not-stated": NOT_STATED,
    "none-known": sentence("None known."),
    "present": sentence("The texts contain personal data."),
    "removed": sentence("Personal data was removed."),
}


TEXTS = (sentence("texts"), sentence("texts (the first ones; there are more)"))
"""Names of the number of texts: of all, of the first."""


def prose_of(
    card: DataCard,
    seen: Look,
    *,
    variety: Sequence[str],
    speakers: str,
    licence: str,
    personal_data: str,
    lang: str,
) -> str:
    """Return the prose of a card in a language of messages.

    `variety`: dialect and orthography; like `speakers` and `licence` as a person wrote them.
    """
    languages = ", ".join(Named(code).in_language(lang) for code in card.corpus.languages)
    known = " ".join(f"{text}." for text in variety if text) or NO_VARIETY.in_language(lang)
    unstated = NOT_STATED.in_language(lang)
    texts = (
        unstated,
        f"{languages}. {inline(known)}",
        inline(speakers) or unstated,
        unstated,
        counts(card, seen, lang=lang),
        unstated,
        unstated,
        unstated,
        PERSONAL[personal_data].in_language(lang),
        inline(licence) or sentence("Not decided yet.").in_language(lang),
    )
    parts = zip(HEADINGS, texts, strict=True)
    body = "".join(f"\n## {heading.in_language(lang)}\n\n{text}\n" for heading, text in parts)
    return f"# {inline(card.pretty_name)}\n{body}"


def counts(card: DataCard, seen: Look, *, lang: str) -> str:
    """Return the counts of the files, and the first texts in a block of their own."""
    table = [*_head(lang)]
    rows = (*_sizes(seen), *_scripts(seen), *_languages(card, seen))
    table += [f"| {name.in_language(lang)} | {value.in_language(lang)} |" for name, value in rows]
    if not seen.samples:
        return "\n".join(table)
    lines = [f"{code}: {text}" for sample in seen.samples for code, text in sample.items()]
    return "\n".join([*table, "", _first(lang), "", code_block("\n".join(lines))])


def counts_in(prose: str) -> tuple[str, str, bool] | None:
    """Return the counts in the prose of a card, their language, and whether texts are with them.

    None if they are not there as `counts` writes them.
    """
    for lang in available():
        head = re.escape("\n".join(_head(lang)))
        texts = (
            rf"\n\n{re.escape(_first(lang))}\n\n(?P<fence>`{{3,}}+)[^\n]*\n.*?\n(?P=fence)(?=\n|\Z)"
        )
        found = re.search(rf"{head}(?:\n\|[^\n]*)*(?P<texts>{texts})?", prose, re.DOTALL)
        if found is not None:
            return found[0], lang, found["texts"] is not None
    return None


def renewed_counts(card: DataCard, seen: Look, old: str, *, lang: str) -> str:
    """Return the counts anew, with the rows that the owners added to the table of `old`."""
    new = counts(card, seen, lang=lang)
    rows = new.partition("\n\n")[0].split("\n")
    texts = {text.in_language(lang) for text in TEXTS}
    ours = {_label(row) for row in rows} | texts
    others = [
        row
        for row in old.partition("\n\n")[0].split("\n")
        if _label(row) not in ours and not any(c in _label(row) for c in card.corpus.languages)
    ]
    return "\n".join([*rows, *others]) + new[len("\n".join(rows)) :]


def _label(row: str) -> str:
    """Return the first cell of a row of a table."""
    return row.strip("| ").partition("|")[0].strip()


def _head(lang: str) -> tuple[str, str]:
    """Return the first lines of the counts."""
    head = sentence("counted in the files")
    return f"| {head.in_language(lang)} | |", "|---|---:|"


def _first(lang: str) -> str:
    """Return the line above the first texts."""
    return sentence("The first texts:").in_language(lang)


def _sizes(seen: Look) -> Iterator[tuple[Sentence, Sentence]]:
    yield sentence("files"), _number(seen.files)
    yield sentence("bytes"), _number(seen.size_bytes)
    yield TEXTS[0 if seen.whole else 1], _number(seen.records)
    yield sentence("words (between spaces) in them"), _number(seen.words)


def _number(value: int) -> Sentence:
    return Sentence("{number}", (("number", value),))


def _scripts(seen: Look) -> Iterator[tuple[Sentence, Sentence]]:
    for code, letters in seen.letters.items():
        shares = [
            Sentence("{script} {share:.1%}", (("script", script), ("share", n / letters.total())))
            for script, n in letters.most_common(4)
        ]
        yield sentence("letters of {code} by script", code=code), _list(shares)


def _languages(card: DataCard, seen: Look) -> Iterator[tuple[Sentence, Sentence]]:
    if not can_judge():
        return
    for code, spoken in languages_in(seen, claimed=card.corpus.languages).items():
        name = sentence(
            "lines of {code} by language{models}, texts 1 to {count}",
            code=code,
            models=phrase(f" ({', '.join(spoken.asked)})" if spoken.asked else ""),
            count=spoken.texts,
        )
        if not spoken.covered:
            yield name, sentence("no model supports the language")
            continue
        parts = [
            Sentence("{code} {number}", (("code", detected), ("number", n)))
            for detected, n in spoken.lines.most_common(4)
        ]
        if spoken.silent:
            parts.append(sentence("undecided or too short {number}", number=spoken.silent))
        yield name, _list(parts)


def _list(parts: Sequence[Sentence]) -> Sentence:
    return Sentence("{parts}", (("parts", tuple(parts)),))
