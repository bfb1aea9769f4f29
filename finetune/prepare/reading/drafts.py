"""Records of a card as drafts: their texts by name, and those that the recipe trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from finetune.artefacts.other_documents import HeldOut
from finetune.errors import DataError
from finetune.prepare.reading.whole_documents import NOT_COUNTED, CardDocuments
from finetune.prepare.step import Result
from finetune.readers.content import texts_of, trained_turns
from finetune.readers.record import Record, Rejection
from finetune.spec.card import DataCard
from finetune.spec.entries import resolved_use, target_language
from finetune.spec.language import language_name
from finetune.spec.recipe import Corpus
from finetune.spec.sections.split_column import SplitColumn
from finetune.spec.withdrawn import record_hash

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `corpora` with its card and the use of its texts."""

    corpus: Corpus
    card: DataCard
    use: str
    """`text`, `translation` or `chat`."""
    language: str
    """Its target language."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of the languages in the prompt of a translation."""
    documents: CardDocuments = NOT_COUNTED
    """Documents of the card."""

    @property
    def is_parallel(self) -> bool:
        """Return whether records have one text for each language, named by it."""
        return self.card.corpus.kind == "parallel"

    @property
    def trained_languages(self) -> tuple[str, ...]:
        """Languages of the texts that are trained on: source and target, or one."""
        if self.use == "translation":
            return (str(self.corpus.source), str(self.corpus.target))
        return (self.language,)


def entry_of(corpus: Corpus, card: DataCard, *, documents: CardDocuments = NOT_COUNTED) -> Entry:
    """Return an entry of a recipe with its card and that card's documents."""
    use, names = resolved_use(corpus, card), {}
    if use == "translation":
        names = {
            "source_name": language_name(str(corpus.source)),
            "target_name": language_name(str(corpus.target)),
        }
    return Entry(corpus, card, use, target_language(corpus, card), names, documents)


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a record: a field, or a message of a conversation."""

    text: str
    language: str
    role: str = ""
    """Its speaker, in a conversation."""
    refused: str | None = None
    """The reason to reject the texts that are trained on with it."""


@dataclass(frozen=True)
class Draft:
    """A record on its way to a document."""

    entry: Entry
    record: Record
    parts: Mapping[str, Part] = field(default_factory=dict)
    """All its texts by name; also those that are not trained on must not be in two splits."""
    trained: tuple[str, ...] = ()
    """Names of those that are trained on, in order."""

    @property
    def card(self) -> str:
        """Name of its data card."""
        return self.entry.card.name

    @property
    def language(self) -> str:
        """The language that is trained on."""
        return self.entry.language

    @property
    def where(self) -> str:
        """File and line of its record."""
        return self.record.where

    @property
    def anchor(self) -> str:
        """The text whose hash decides the split: of a conversation the first question.

        On a parallel card it is the language that the card lists first, whichever direction is
        trained, so that both directions of a pair stay together too.
        """
        if self.entry.use == "chat":
            turns = zip(self.roles, self.texts, strict=True)
            return next((text for role, text in turns if role == "user"), self.texts[0])
        first = self.parts.get(self.entry.card.corpus.languages[0])
        if self.entry.is_parallel and first is not None and first.text:
            return first.text
        return self.texts[0]

    @property
    def held_out(self) -> HeldOut | None:
        """Whole that is held out with it: its document or its card; None: it alone, if at all."""
        if self.entry.corpus.evaluate_only:
            return "card"
        return "document" if self.record.document in self.entry.documents.held_out else None

    @property
    def tested(self) -> bool | None:
        """True if it is put into the test split, False if kept out of it; None: its hash decides.

        Card and recipe put it there.
        """
        if self.held_out is not None:
            return True
        test = self.entry.card.corpus.test
        if test is None or isinstance(test, SplitColumn):
            return self.record.tested
        return test != "none" and self.record.place.file in test

    @property
    def names(self) -> tuple[str, ...]:
        """Names of people in its texts, if the card has a column for that."""
        return self.record.names

    @property
    def shown(self) -> str:
        """Its texts as a person reads them in a list: a line each."""
        return "\n".join(text for text in self.texts if text)

    @cached_property
    def texts(self) -> list[str]:
        """The texts that are trained on; empty where the record lacks one."""
        return [self.parts[name].text if name in self.parts else "" for name in self.trained]

    @property
    def roles(self) -> list[str]:
        """Roles of the texts of a conversation; empty for other records."""
        if self.entry.use != "chat":
            return []
        return [self.parts[name].role for name in self.trained]

    @property
    def answers(self) -> list[str]:
        """Texts of the assistant turns of a conversation."""
        parts = (self.parts[name] for name in self.trained)
        return [part.text for part in parts if part.role == "assistant"]

    @property
    def claims(self) -> list[tuple[str, str]]:
        """The texts that are trained on as (language claimed, text); of a conversation answers."""
        if self.entry.use == "chat":
            return [(self.language, text) for text in self.answers]
        return list(zip(self.entry.trained_languages, self.texts, strict=True))

    @property
    def refused(self) -> str | None:
        """Reason of the first rejected text among its targets; in a conversation, of any text."""
        names = self.parts if self.entry.use == "chat" else self.trained
        refusals = (self.parts[name].refused for name in names if name in self.parts)
        return next((reason for reason in refusals if reason), None)


def standing(draft: Draft) -> Result:
    """Reject a withdrawn record before its texts are read, so that they are written nowhere."""
    withdrawn = draft.entry.card.withdrawn
    if withdrawn and record_hash(draft.record.fields) in withdrawn:
        return Result(draft, "withdrawn")
    return Result(draft)


def read(draft: Draft) -> Result:
    """Return a draft with the texts of its record. DataError if it has none that can be read."""
    texts = texts_of(draft.record, draft.entry.card.corpus)
    if isinstance(texts, Rejection):  # units of a card have none (finetune.readers.units)
        if texts.problem is not None:
            raise DataError(texts.problem)
        return Result(draft, texts.reason)
    entry = draft.entry
    parts = {name: Part(text.text, text.language, text.role) for name, text in texts.items()}
    if entry.use == "chat":
        return Result(Draft(entry, draft.record, parts, trained_turns(texts)))
    trained = entry.trained_languages if entry.is_parallel else ("text",)
    return Result(Draft(entry, draft.record, parts, trained))
