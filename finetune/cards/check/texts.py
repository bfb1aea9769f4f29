"""Findings about the texts of a card: how many, in which script, in which language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune.cards.brought_files import names_language, recognised_format
from finetune.cards.check.examined import examine
from finetune.cards.check.finding import Finding, Level, errors_of
from finetune.cards.check.learnable import learnable
from finetune.cards.check.line_findings import line_findings
from finetune.cards.check.splits import split_findings
from finetune.cards.check.understood import understood
from finetune.cards.hub_values import size_category
from finetune.cards.languages import SETTINGS, Spoken
from finetune.cards.look import Look, Watch, is_here, unwatched
from finetune.errors import DataError, FinetuneError
from finetune.messages import Place, Problem, counted, phrase, problem, sentence
from finetune.prepare.report.page_words import PERSONAL
from finetune.readers.guards import CONVERTERS
from finetune.readers.reasons import ALL, EMPTY, MALFORMED, WITHDRAWN
from finetune.readers.running_text import wrapped_problem, wrapping
from finetune.readers.units import records_of
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec.card import DataCard
from finetune.spec.formats import PLAIN, find_format
from finetune.spec.language import Named
from finetune.spec.recipe import Prepare
from finetune.spec.tables.extras import pip_line
from finetune.spec.withdrawn import record_hash
from finetune.text.oddities import FINDINGS
from finetune.text.shown import quotable

FEW_TEXTS = 100
OTHER_SCRIPT_SHARE = 0.01
ONE_LINE_CHARACTERS = 2000
LOOK_ALIKES = sentence(
    "letters that look like those of the orthography, from another alphabet or with another hook; "
    "`prepare.text.look_alikes` replaces them, unless it is off"
)
DAMAGED = sentence(
    "letters were lost, or come from an old font, so `finetune prepare` rejects the text as "
    "`damaged`; `prepare.text.mojibake` repairs controls that were quotation marks"
)


def text_findings(card: DataCard, *, watch: Watch = unwatched) -> Iterator[Finding]:
    """Yield the findings about the texts; one note where they are not on this machine.

    `watch` as of finetune.cards.look.
    """
    if not is_here(card):
        yield Finding("note", _not_fetched(card))
        return
    try:
        files = resolve_files(card, inputs={})
        examined = examine(card, files=files, watch=watch)
    except DataError as error:
        yield from errors_of(error)
        return
    except FinetuneError as error:
        yield from (Finding("error", _of_format(one.problem, card)) for one in errors_of(error))
        return
    seen = examined.look
    yield from understood(card, files)
    yield from _counts(card, seen)
    yield from _other_format(card, files)
    yield from _swapped(card)
    yield from _wrapped(card, files)
    yield from _rejected(seen)
    yield from split_findings(card, seen)
    yield from _size_key(card, seen)
    yield from _personal(card, seen)
    yield from _scripts(seen)
    yield from _repairs(seen)
    yield from _languages(card, examined.languages, files=files)
    yield from _withdrawn(card, files)


def _not_fetched(card: DataCard) -> Problem:
    source = card.corpus.source
    named = {"hub": "dataset", "mdc": "dataset", "package": "package"}.get(source.kind, "kind")
    return problem(
        "not-fetched",
        "The texts are not on this machine ({source}), so they were not examined. "
        "`finetune fetch RECIPE` downloads them.",
        source=getattr(source, named),
    )


def _of_format(one: Problem, card: DataCard) -> Problem:
    """Return a problem of reading at the key that names the format, if it has no place."""
    return one if one.place else one.at(Place(card.path, key="corpus.format"))


def _counts(card: DataCard, seen: Look) -> Iterator[Finding]:
    if not seen.records:
        level: Level = "error" if seen.rejected[MALFORMED] else "warning"
        yield Finding(level, problem("no-texts", "The files hold no text."))
        return
    for name in seen.blank:
        yield Finding("warning", problem("blank-file", "The file holds no text.", at=Place(name)))
    by_line = find_format(card.corpus.format).line_per_text and card.corpus.unit in (None, "line")
    is_line = by_line and seen.records == seen.files == 1
    if is_line and seen.characters > ONE_LINE_CHARACTERS:
        [file] = card.corpus.source.files  # type: ignore[union-attr]  # files are here
        long_line = problem(
            "one-long-line",
            "The file {file} is a single line. Put each text on a line of its own.",
            file=file.path,
        )
        yield Finding("warning", long_line)
    elif seen.records < FEW_TEXTS and seen.whole:
        few = problem(
            "few-texts",
            "The number of texts is small: {count}. A model learns little from so few, and some "
            "of them are needed for validation and test.",
            count=seen.records,
        )
        yield Finding("warning", few)
        if card.corpus.test is None:
            yield Finding("note", _few_for_test(seen.records))
    if not seen.whole:
        part = problem(
            "counted-in-part",
            "The corpus is large: only the first {count} texts were counted.",
            count=seen.records,
        )
        yield Finding("note", part)


def _other_format(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Finding]:
    """Yield the files of a card of plain text that are something else by their first lines."""
    if find_format(card.corpus.format) is not PLAIN:
        return
    for file in files:
        form = recognised_format(file)
        if form is not None and form is not PLAIN and form.about is not None:
            other = problem(
                "other-format",
                "The file looks like {format} ({about}), but each line is read as a text. If so, "
                "write `format: {format}`, or make the card again with `finetune cards new`.",
                at=Place(file.name),
                format=form.name,
                about=form.about,
            )
            yield Finding("warning", other)
        else:
            yield from line_findings(card, [file])


def _swapped(card: DataCard) -> Iterator[Finding]:
    """Yield the columns of a language that are called by the name of another one of the card."""
    if card.corpus.kind != "parallel" or not find_format(card.corpus.format).columns:
        return
    for language in card.corpus.languages:
        column = card.corpus.columns[language]
        others = [o for o in card.corpus.languages if o != language and names_language(column, o)]
        if others and not names_language(column, language):
            swapped = problem(
                "swapped-columns",
                "The column {column!r} is given as {language}, but its name is that of {other}. If "
                "the languages are swapped, correct `columns`.",
                at=Place(card.path, key=f"corpus.columns.{language}"),
                column=quotable(column),
                language=Named(language),
                other=Named(others[0]),
            )
            yield Finding("warning", swapped)


def _few_for_test(records: int) -> Problem:
    return problem(
        "few-for-test",
        "By default about {count} of these texts are kept for the test, which is too few to show "
        "anything. To keep none of them for the test and claim nothing, add {none} to `corpus` in "
        "the card; or name a file of the card that is the test: {files}.",
        at=Place(key="corpus.test"),
        count=round(records * Prepare.with_defaults().test_share),
        none="`test: none`",
        files="`test: [FILE]`",
    )


def _wrapped(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Finding]:
    found = wrapping(card, files)
    if found is not None:
        yield Finding("warning", wrapped_problem(card, found))


def _rejected(seen: Look) -> Iterator[Finding]:
    """Yield how many text units are rejected by reason, and where the first ones are."""
    for reason, count in seen.rejected.items():
        if reason == WITHDRAWN:  # a finding of the card's terms
            continue
        rejected = Problem(
            "rejected-units",
            counted(
                "{count} text unit of the files is rejected ({key}: {reason}): {places}",
                "{count} text units of the files are rejected ({key}: {reason}); the first ones: "
                "{places}",
                count,
                key=reason,
                reason=ALL[reason],
                places=seen.places[reason],
            ),
        )
        yield Finding("warning" if reason in (MALFORMED, EMPTY) else "note", rejected)
    for one in seen.problems:
        yield Finding("warning", one)


def _size_key(card: DataCard, seen: Look) -> Iterator[Finding]:
    written = card.hub_metadata.get("size_categories")
    counted = size_category(seen.records)
    if seen.whole and seen.records and isinstance(written, list) and counted not in written:
        differs = problem(
            "size-differs",
            "`size_categories` is {written}, but the number of texts is {count}: {counted}.",
            written=[str(one) for one in written],
            count=seen.records,
            counted=counted,
        )
        yield Finding("warning", differs)


def _personal(card: DataCard, seen: Look) -> Iterator[Finding]:
    """Yield what patterns find of personal data: kinds and counts, never the data."""
    if not seen.personal:
        return
    stated = card.corpus.personal_data
    kinds = [
        sentence("{kind} {number}", kind=PERSONAL[kind], number=number)
        for kind, number in seen.personal.most_common()
    ]
    found = problem(
        "personal-data-found",
        "Patterns find personal data among the first texts ({of} examined), beginning at "
        "{where}; numbers of texts: {kinds}. The card states `personal_data: {stated}`. "
        "`finetune prepare` masks what patterns find, but they do not find everything: if it "
        "may be there, write `present`; otherwise remove it from the files.",
        of=seen.judged,
        where=seen.personal_at,
        kinds=kinds,
        stated=stated,
    )
    yield Finding("note" if stated == "present" else "warning", found)


def _scripts(seen: Look) -> Iterator[Finding]:
    for (language, script), odd in seen.odd.items():
        if odd.count < OTHER_SCRIPT_SHARE * seen.judged:
            continue
        declared = language.rpartition("_")[2]
        other = problem(
            "other-script",
            "Texts declared as {language}, but written in the script {script} and not "
            "{declared}: {count} of the first {of}; if that is how they are written, declare "
            "{code}. Example ({where}): {sample}",
            count=odd.count,
            of=seen.judged,
            language=language,
            script=script,
            declared=declared,
            code="_".join((language.partition("_")[0], script)),
            where=odd.where,
            sample=odd.sample,
        )
        yield Finding("warning", other)
        if script == "Latn" and declared in CONVERTERS:
            font = problem(
                "old-font",
                "If these texts look right in a word processor, they use a font from before "
                "Unicode (Kruti Dev, Bijoy, Preeti, Bamini ...). Convert them first, for example "
                "with these Python packages: {packages}.",
                packages=CONVERTERS[declared],
            )
            yield Finding("warning", font)


def _repairs(seen: Look) -> Iterator[Finding]:
    about = {"damaged": DAMAGED, "look-alikes": LOOK_ALIKES}
    for (language, name), odd in seen.repairable.items():
        broken = problem(
            "text-needs-repair",
            "Of the first texts declared as {language} ({of} examined), {count}: {finding}. "
            "Example ({where}): {sample}",
            count=odd.count,
            of=seen.judged,
            language=language,
            finding=about[name] if name in about else FINDINGS[name].about,
            where=odd.where,
            sample=odd.sample,
        )
        yield Finding("note" if name == "look-alikes" else "warning", broken)


def _languages(
    card: DataCard, languages: Mapping[str, Spoken] | None, *, files: Sequence[SourceFile]
) -> Iterator[Finding]:
    if languages is None:
        not_judged = problem(
            "languages-not-judged",
            "The language of the texts was not checked: the identification models are not "
            "installed. To install them, type: {command}",
            command=pip_line("langid"),
        )
        yield Finding("warning", not_judged)
        return
    for language, spoken in languages.items():
        yield from _language(language, spoken)
        if not spoken.covered and (found := learnable(card, language, files=files)):
            yield found


def _language(language: str, spoken: Spoken) -> Iterator[Finding]:
    if not spoken.covered:
        unsupported = problem(
            "language-not-covered",
            "No installed language-identification model supports {language}, so only the script "
            "of the texts was checked. `finetune prepare` trains a classifier on your cards; "
            "better, ask a speaker to read some texts.",
            language=Named(language),
        )
        yield Finding("note", unsupported)
    if spoken.odd.total() <= SETTINGS.warn_share * spoken.texts:
        return
    for detected, count in spoken.odd.most_common():
        where, sample = spoken.first[detected]
        other = problem(
            "other-language",
            "Texts declared as {language} that seem to be in another language ({detected}): "
            "{count} of the first {of}. Programs make mistakes, above all between related "
            "languages: ask a speaker. Example ({where}): {sample}",
            count=count,
            of=spoken.texts,
            language=Named(language),
            detected=[Named(code) if "_" in code else code for code in detected.split("/")],
            where=where,
            sample=phrase(sample),
        )
        yield Finding("warning", other)


def _withdrawn(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Finding]:
    if not card.withdrawn or card.is_withdrawn:
        return
    there = {record_hash(record.fields) for record in records_of(card, files)} & card.withdrawn
    if gone := len(card.withdrawn - there):
        missing = problem(
            "withdrawn-gone",
            "Withdrawn records that are not in the files: {count} of {of}. If they were removed "
            "from there, all is well. If texts or `columns` changed since, so did their "
            "fingerprints: withdraw them again.",
            count=gone,
            of=len(card.withdrawn),
        )
        yield Finding("note", missing)
