"""Records of a card as drafts: their texts by name, and those that the recipe trains on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from finetune.errors import DataError
from finetune.prepare.step import Result
from finetune.readers.record import Record
from finetune.spec.card import DataCard
from finetune.spec.entries import learned_language
from finetune.spec.language import language_name
from finetune.spec.load import resolved_use
from finetune.spec.recipe import Corpus
from finetune.spec.withdrawn import record_hash

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
"""Roles of the ShareGPT spelling ({"from", "value"})."""
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `corpora` with its card: what its texts are used for."""

    corpus: Corpus
    card: DataCard
    use: str
    """`text`, `translation` or `chat`."""
    language: str
    """The language that it teaches."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the prompt of a translation calls its languages."""

    @property
    def is_parallel(self) -> bool:
        """Whether records have one text for each language, named by it."""
        return self.card.corpus.kind == "parallel"

    @property
    def sides(self) -> tuple[str, ...]:
        """Languages of the texts that are trained on: source and target, or one."""
        if self.use == "translation":
            return (str(self.corpus.source), str(self.corpus.target))
        return (self.language,)


def entry_of(corpus: Corpus, card: DataCard) -> Entry:
    """Return an entry of a recipe with its card."""
    use, names = resolved_use(corpus, card), {}
    if use == "translation":
        names = {
            "source_name": language_name(str(corpus.source)),
            "target_name": language_name(str(corpus.target)),
        }
    return Entry(corpus, card, use, learned_language(corpus, card), names)


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a record: a field, or a message of a conversation."""

    text: str
    language: str
    role: str = ""
    """Who says it, in a conversation."""
    refused: str | None = None
    """The reason to leave out what is trained on it."""


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
    def shown(self) -> str:
        """Its texts as a person reads them in a list: a line each."""
        return "\n".join(text for text in self.texts if text)

    @cached_property
    def texts(self) -> list[str]:
        """The texts that are trained on; empty where the record lacks one."""
        return [self.parts[name].text if name in self.parts else "" for name in self.trained]

    @property
    def roles(self) -> list[str]:
        """Who says each text of a conversation; nothing for other records."""
        if self.entry.use != "chat":
            return []
        return [self.parts[name].role for name in self.trained]

    @property
    def answers(self) -> list[str]:
        """What the assistant of a conversation says."""
        parts = (self.parts[name] for name in self.trained)
        return [part.text for part in parts if part.role == "assistant"]

    @property
    def claims(self) -> list[tuple[str, str]]:
        """The texts that are trained on as (language claimed, text); of a conversation answers."""
        if self.entry.use == "chat":
            return [(self.language, text) for text in self.answers]
        return list(zip(self.entry.sides, self.texts, strict=True))

    @property
    def refused(self) -> str | None:
        """Why the first of its texts that must not go on must not; of a conversation any text."""
        names = self.parts if self.entry.use == "chat" else self.trained
        refusals = (self.parts[name].refused for name in names if name in self.parts)
        return next((reason for reason in refusals if reason), None)


def standing(draft: Draft) -> Result:
    """Leave out what was withdrawn, before its texts are read: they are written nowhere."""
    withdrawn = draft.entry.card.withdrawn
    if withdrawn and record_hash(draft.record.fields) in withdrawn:
        return Result(draft, "withdrawn")
    return Result(draft)


def read(draft: Draft) -> Result:
    """Return a draft with the texts of its record. DataError for what is no text."""
    if draft.entry.use == "chat":
        return Result(_read_conversation(draft))
    entry = draft.entry
    parts = {}
    for name, value in draft.record.fields.items():
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"{draft.where}: {name}: {type(value).__name__} where a text belongs; "
                "correct `columns` in the card"
            )
        parts[name] = Part(value or "", name if entry.is_parallel else entry.language)
    trained = entry.sides if entry.is_parallel else ("text",)
    return Result(Draft(entry, draft.record, parts, trained))


def _read_conversation(draft: Draft) -> Draft:
    """Return a conversation; what follows the last answer teaches nothing and is not trained on."""
    messages = _messages(draft.record)
    parts = {
        str(number): Part(message["content"], draft.language, message["role"])
        for number, message in enumerate(messages)
    }
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    trained = tuple(parts)[: answers[-1] + 1] if answers else tuple(parts)
    return Draft(draft.entry, draft.record, parts, trained)


def _messages(record: Record) -> list[Message]:
    """Return a conversation as role and content, from whichever spelling the record has."""
    if "messages" not in record.fields:
        question, context, answer = (
            _content(record, name, record.fields.get(name))
            for name in ("instruction", "input", "answer")
        )
        asked = "\n\n".join(text for text in (question, context) if text)
        return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    turns = record.fields["messages"]
    if isinstance(turns, str):  # a CSV or Parquet column that holds JSON
        try:
            turns = json.loads(turns)
        except ValueError as error:
            raise DataError(f"{record.where}: messages: not JSON: {error}") from None
    if not isinstance(turns, list):
        raise _no_conversation(record, turns)
    messages = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise _no_conversation(record, turn)
        role = turn.get("role", ROLES.get(str(turn.get("from"))))
        if role not in ("system", "user", "assistant"):
            raise _no_conversation(record, turn)
        content = _content(record, "content", turn.get("content", turn.get("value")))
        messages.append({"role": str(role), "content": content})
    if not messages:
        raise _no_conversation(record, turns)
    return messages


def _content(record: Record, name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise DataError(
            f"{record.where}: {name}: {type(value).__name__} where a text belongs; only text can "
            "be trained on"
        )
    return value or ""


def _no_conversation(record: Record, value: Any) -> DataError:
    return DataError(
        f"{record.where}: messages: {str(value)[:80]!r} is no conversation; it must be a list of "
        '{"role": "system" | "user" | "assistant", "content": "text"}'
    )
