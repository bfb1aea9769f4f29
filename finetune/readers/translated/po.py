"""Reader of gettext catalogues (PO): one record per entry, one per plural form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune.errors import DataError
from finetune.messages import Place, Sentence, sentence
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import record_of
from finetune.readers.translated.plurals import PluralRule, plural_rule
from finetune.readers.translated.po_entries import Entry, entries_of
from finetune.readers.translated.states import UNREVIEWED, admitted
from finetune.readers.translated.tags import facts_of_tags, refuse_contradictions
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.text.placeholders import placeholders_differ

LANGUAGE = "Language"


def read_po(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Entries of gettext catalogues: columns `msgid` and `msgstr`; plural forms are records.

    Fuzzy and obsolete entries are rejected. The form for one is paired with `msgid`, every other
    form with `msgid_plural`.
    """
    for file in files:
        rule: PluralRule | None = None
        whole, damaged = 0, []
        for number, entry in enumerate(entries_of(file)):
            if number == 0 and entry.is_header:
                header = _header(entry)
                _refuse_language(header, corpus, at=file.place(entry.line))
                rule = plural_rule(header.get("Plural-Forms", ""))
                whole += 1
            elif entry.problem is not None:
                damaged.append(entry.problem)
                text = "\n".join(entry.raw)
                yield Rejection(file.place(entry.line), MALFORMED, text, entry.problem)
            else:
                whole += 1
                yield from _units(entry, rule=rule, corpus=corpus, file=file)
        if damaged and not whole:
            raise DataError(*damaged)


def po_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return the languages that a file states, with words for it."""
    return facts_of_tags(po_languages(file), corpus.columns)


def po_languages(file: SourceFile) -> dict[str, str]:
    """Return column -> language tag, as the header of a catalogue states it."""
    entry = next(entries_of(file), None)
    tag = _header(entry).get(LANGUAGE, "") if entry and entry.is_header else ""
    return {"msgstr": tag} if tag else {}


def _refuse_language(header: Mapping[str, str], corpus: CorpusBlock, *, at: Place) -> None:
    tag = header.get(LANGUAGE, "")
    refuse_contradictions({"msgstr": tag}, columns=corpus.columns if corpus else {}, at=at)


def _header(entry: Entry) -> dict[str, str]:
    lines = (line.partition(":") for line in entry.msgstr.get(0, "").split("\n"))
    return {name.strip(): value.strip() for name, _, value in lines}


def _units(
    entry: Entry, *, rule: PluralRule | None, corpus: CorpusBlock, file: SourceFile
) -> Iterator[Unit]:
    reason = "obsolete" if entry.obsolete else UNREVIEWED if "fuzzy" in entry.flags else None
    left_out = reason == "obsolete" or not admitted(reason, corpus.admit)
    for form, target in sorted(entry.msgstr.items()):
        source = source_of_form(entry, form, rule)
        part = None
        if entry.msgid_plural is not None:
            part = sentence("plural form {form:d}", form=form)
        at = file.place(entry.line, part=part)
        if left_out and reason:
            yield Rejection(at, reason, f"{source}\n{target}" if target else source)
        else:
            yield record_of(at, {"msgid": source, "msgstr": target}, corpus)


def source_of_form(entry: Entry, form: int, rule: PluralRule | None) -> str:
    """Return the text that a plural form translates.

    A form that stands for one and for more (French 0 and 1, Russian 1 and 21) translates the text
    whose placeholders it has.
    """
    one, many = entry.msgid or "", entry.msgid_plural
    if many is None:
        return one
    forms = rule.forms if rule else len(entry.msgstr)
    if form != (rule.one if rule else 0):
        return many
    if forms == 1:
        return many
    target = entry.msgstr[form]
    if placeholders_differ(one, target) and not placeholders_differ(many, target):
        return many
    return one
