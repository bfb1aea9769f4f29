"""Records of a card -> documents, by what the recipe uses them for.

Every record becomes a document or is rejected for one reason that is counted.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.errors import DataError
from finetune.prepare.checking.clean import Checked, Checks, Place, refused_of
from finetune.prepare.checking.identification import Watch
from finetune.prepare.checking.outliers import of_usual_length
from finetune.prepare.ledger import Ledger
from finetune.prepare.overlap.digests import Digests
from finetune.prepare.reading.document import Document, Piece, Rejected, digest, text_id
from finetune.prepare.reading.layout import Layout, Message
from finetune.readers.record import Record
from finetune.sources.files import drop_pattern
from finetune.spec.card import DataCard
from finetune.spec.entries import learned_language
from finetune.spec.language import language_name
from finetune.spec.load import resolved_use
from finetune.spec.recipe import Corpus, Prepare
from finetune.spec.withdrawn import record_hash

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
"""Roles of the ShareGPT spelling ({"from", "value"})."""


@dataclass(slots=True)
class Maker:
    """Makes documents of one corpus entry; `seen` and `watch` are shared by all of the run."""

    corpus: Corpus
    card: DataCard
    settings: Prepare
    layout: Layout
    ledger: Ledger
    seen: Digests | set[bytes]
    regions: tuple[str, ...] = ()
    """Countries whose telephone and identity numbers are looked for."""
    watch: Watch | None = None
    use: str = field(init=False)
    language: str = field(init=False)
    checks: Checks = field(init=False)
    drop: re.Pattern[str] | None = field(init=False)
    names: dict[str, str] = field(init=False, default_factory=dict)
    """What the prompt calls the languages."""

    def __post_init__(self) -> None:
        self.use = resolved_use(self.corpus, self.card)
        self.checks = Checks(self.settings, self.ledger, self.regions, use=self.use)
        self.language = learned_language(self.corpus, self.card)
        if self.use == "translation":
            self.names = {
                "source_name": language_name(str(self.corpus.source)),
                "target_name": language_name(str(self.corpus.target)),
            }
        self.drop = drop_pattern(self.card)

    def documents(self, records: Iterator[Record]) -> Iterator[Document]:
        """Yield the documents of records; with `max_documents` only those of the lowest hash."""
        made = of_usual_length(
            (d for record in self._standing(records) if (d := self._document(record))),
            ledger=self.ledger,
            drop=self.settings.text.length_outliers == "drop",
        )
        if self.corpus.max_documents is None:
            yield from made
            return
        yield from self._lowest(made, self.corpus.max_documents)

    def _standing(self, records: Iterator[Record]) -> Iterator[Record]:
        """Leave out what was withdrawn; its text is written nowhere, not even as rejected."""
        card = self.card
        for record in records:
            if card.withdrawn and record_hash(record.fields) in card.withdrawn:
                self.ledger.read[self.card.name, self.language] += 1
                self.ledger.reject(
                    Rejected(self.card.name, self.language, "withdrawn", record.where, "")
                )
            else:
                yield record

    def _lowest(self, documents: Iterator[Document], count: int) -> Iterator[Document]:
        # A heap of the lowest keys, so that what is not chosen never stays in memory. The key is
        # of the source text: the same sentences are chosen in every language.
        heap: list[tuple[int, bytes, Document]] = []
        for document in documents:
            key = hashlib.sha256(f"{self.settings.seed}:{document.id}".encode()).digest()
            entry = (-int.from_bytes(key, "big"), document.content, document)
            if len(heap) < count:
                heapq.heappush(heap, entry)
            else:
                self.ledger.drop(heapq.heappushpop(heap, entry)[2], reason="max-documents")
        yield from (entry[2] for entry in sorted(heap, key=lambda e: (-e[0], e[1])))

    def _document(self, record: Record) -> Document | None:
        self.ledger.read[self.card.name, self.language] += 1
        if self.use == "chat":
            return self._chat(record)
        checked = self._texts(record)
        fields = {name: one.text for name, one in checked.items()}
        wanted = [self._side(side) for side in self._sides()]
        texts = [fields.get(name, "") for name in wanted]
        claims = list(zip(self._sides(), texts, strict=True))
        reason = (
            self._why_not(texts)
            or refused_of(checked, wanted)
            or self._untranslated(texts)
            or self._other(record, claims)
            or self._repeated(texts)
        )
        if reason:
            self._reject(record, reason, texts)
            return None
        anchor = self._anchor(fields, wanted[0])
        sides = frozenset(digest(text) for text in fields.values() if text)
        if self.use == "text":
            pieces = self.layout.text(texts[0])
            return self._made(record, anchor, texts, pieces=pieces, sides=sides, splittable=True)
        asked = self.corpus.prompt.format(text=texts[0], **self.names)
        return self._made(
            record,
            anchor,
            texts,
            pieces=self.layout.conversation(
                [{"role": "user", "content": asked}, _answer(texts[1])]
            ),
            sides=sides,
            reference=texts[1],
            source=texts[0],
            direction=f"{self.corpus.source}>{self.corpus.target}",
        )

    def _sides(self) -> tuple[str, ...]:
        if self.use == "translation":
            return (str(self.corpus.source), str(self.corpus.target))
        return (self.language,)

    def _side(self, language: str) -> str:
        return language if self.card.corpus.kind == "parallel" else "text"

    def _anchor(self, fields: Mapping[str, str], first: str) -> str:
        """Return the text whose hash decides the split.

        On a parallel card it is the language the card lists first, whichever direction is
        trained, so that both directions of a pair stay together too.
        """
        if self.card.corpus.kind != "parallel":
            return fields[first]
        return fields.get(self.card.corpus.languages[0]) or fields[first]

    def _texts(self, record: Record) -> dict[str, Checked]:
        texts = {}
        for name, value in record.fields.items():
            if value is not None and not isinstance(value, str):
                raise DataError(
                    f"{record.where}: {name}: {type(value).__name__} where a text belongs; "
                    "correct `columns` in the card"
                )
            language = name if self.card.corpus.kind == "parallel" else self.language
            texts[name] = self._clean(value or "", record, language=language)
        return texts

    def _clean(self, text: str, record: Record, *, language: str) -> Checked:
        place = Place(self.card.name, language, record.where, record.names)
        return self.checks.clean(text, place)

    def _why_not(self, texts: list[str]) -> str | None:
        if not all(texts):
            return "empty"
        if min(map(len, texts)) < self.settings.min_characters:
            return "too-short"
        if self.drop and any(self.drop.search(text) for text in texts):
            return "matches-drop-pattern"
        if any(self.layout.special.search(text) for text in texts):
            return "special-token"
        return None

    def _untranslated(self, texts: list[str]) -> str | None:
        return "untranslated" if self.use == "translation" and texts[0] == texts[1] else None

    def _other(self, record: Record, claims: list[tuple[str, str]]) -> str | None:
        """Say whether texts are to be left out for being in another language than they claim."""
        if self.watch is None:
            return None
        return self.watch.reason(claims, card=self.card.name, where=record.where)

    def _repeated(self, texts: list[str]) -> str | None:
        """Count exact duplicates; the same pair in another direction is none."""
        key = digest(self.use, str(self.corpus.source), *texts)
        if self.use == "text":  # the same text in two cards, whatever they say its language is
            key = digest(self.use, *texts)
        if key in self.seen:
            return "duplicate"
        self.seen.add(key)
        return None

    def _reject(self, record: Record, reason: str, texts: list[str]) -> None:
        text = "\n".join(text for text in texts if text)
        self.ledger.reject(Rejected(self.card.name, self.language, reason, record.where, text))

    def _chat(self, record: Record) -> Document | None:
        said = _messages(record)
        checked = {
            str(n): self._clean(m["content"], record, language=self.language)
            for n, m in enumerate(said)
        }
        messages = [
            {"role": m["role"], "content": checked[str(n)].text} for n, m in enumerate(said)
        ]
        answers = [n for n, m in enumerate(messages) if m["role"] == "assistant"]
        if answers:  # a question that was never answered teaches nothing
            messages = messages[: answers[-1] + 1]
        texts = [message["content"] for message in messages]
        reason = self._why_not(texts) or refused_of(checked, list(checked))
        if not reason and (not answers or answers[0] == 0):
            reason = "no-answer"
        roles = [message["role"] for message in messages]
        answered = [(self.language, texts[n]) for n in answers]
        reason = reason or self._other(record, answered) or self._repeated([*roles, *texts])
        if reason:
            self._reject(record, reason, texts)
            return None
        question = next((m["content"] for m in messages if m["role"] == "user"), texts[0])
        return self._made(
            record,
            question,
            [question, "\n".join(messages[n]["content"] for n in answers)],
            pieces=self.layout.conversation(messages),
            sides=frozenset([digest(question)]),
            reference=messages[-1]["content"],
            source=question,
        )

    def _made(
        self,
        record: Record,
        anchor: str,
        texts: list[str],
        *,
        pieces: tuple[Piece, ...],
        sides: frozenset[bytes],
        splittable: bool = False,
        **facts: str,
    ) -> Document:
        return Document(
            id=text_id(anchor),
            content=digest(*(text for text, _ in pieces)),
            sides=sides,
            card=self.card.name,
            language=self.language,
            where=record.where,
            record=record_hash(record.fields),
            contributor=record.contributor,
            pieces=pieces,
            splittable=splittable,
            learned=texts[-1],
            **facts,
        )


def _answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _messages(record: Record) -> list[Message]:
    """Return a conversation as role and content, from whichever spelling the record has."""
    if "messages" not in record.fields:
        question, context, answer = (
            _content(record, name, record.fields.get(name))
            for name in ("instruction", "input", "answer")
        )
        asked = "\n\n".join(text for text in (question, context) if text)
        return [{"role": "user", "content": asked}, _answer(answer)]
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
