"""Layout of texts, pairs and conversations as documents, and which of it is supervised.

`chat` follows the base's chat template (finetune.models.template); `plain` joins prompt and answer
with a newline and ends an answer with the eos token. Plain text is never wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from finetune.errors import RecipeError
from finetune.models import template
from finetune.prepare.reading.document import Document, Piece, digest, text_id
from finetune.prepare.reading.drafts import Draft, Message
from finetune.prepare.step import Result
from finetune.spec.withdrawn import record_hash


@dataclass(frozen=True, slots=True)
class Layout:
    """A tokenizer's control marks, and the way conversations are written with them."""

    tokenizer: Any
    kind: Literal["chat", "plain"]
    eos: str
    special: re.Pattern[str]
    """Finds a control mark of the model; in a corpus it would end or fake a turn."""
    chat_template: str | None
    """The template in use, if conversations are laid out with one."""

    def text(self, text: str) -> tuple[Piece, ...]:
        """Lay plain text out: every token is supervised, and that the text ends."""
        return ((text + self.eos, True),)

    def conversation(self, messages: Sequence[Message]) -> tuple[Piece, ...]:
        """Lay a conversation out: answers are supervised, each with its stop token.

        What follows the last stop token teaches nothing and is left out.
        """
        if self.kind == "plain":
            pieces = self._plain(messages)
        else:
            pieces = template.segments(self.tokenizer, messages)
        while pieces and not pieces[-1][1]:
            pieces.pop()
        if pieces and not self._stops(pieces[-1][0]):  # a template without a stop token
            pieces[-1] = (pieces[-1][0] + self.eos, True)
        return tuple(pieces)

    def _plain(self, messages: Sequence[Message]) -> list[Piece]:
        pieces: list[Piece] = []
        for message in messages:
            if message["role"] == "assistant":
                pieces += [(message["content"] + self.eos, True), ("\n", False)]
            else:
                pieces.append((message["content"] + "\n", False))
        return pieces

    def _stops(self, text: str) -> bool:
        return any(mark.end() == len(text) for mark in self.special.finditer(text))


def make_layout(
    tokenizer: Any,
    *,
    kind: Literal["chat", "plain"],
    chat_template: Literal["model", "chatml"],
    conversations: bool,
) -> Layout:
    """Return the layout of a recipe; the template is looked up only if there are conversations.

    Raises RecipeError if the tokenizer has no eos token, no fast version, or no chat template
    where one is needed.
    """
    if not tokenizer.is_fast:
        raise RecipeError(
            f"base.model: its tokenizer ({type(tokenizer).__name__}) has no tokenizer.json; "
            "use a base that has one"
        )
    if tokenizer.eos_token is None:
        raise RecipeError(
            "base.model: its tokenizer has no eos token, so a model could not learn to stop; "
            "use a base that has one"
        )
    used = None
    if conversations and kind == "chat":
        used = template.chat_template_of(tokenizer, chat_template)
    marks = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
    marks |= {tokenizer.eos_token}
    longest_first = sorted(marks, key=lambda mark: (-len(mark), mark))
    return Layout(
        tokenizer=tokenizer,
        kind=kind,
        eos=tokenizer.eos_token,
        special=re.compile("|".join(map(re.escape, longest_first))),
        chat_template=used,
    )


def laid_out(draft: Draft, *, layout: Layout) -> Result:
    """Return the document of a draft."""
    if draft.entry.use == "chat":
        return Result(_conversation(draft, layout))
    if draft.entry.use == "text":
        return Result(_document(draft, layout.text(draft.texts[0]), splittable=True))
    return Result(_translation(draft, layout))


def _conversation(draft: Draft, layout: Layout) -> Document:
    texts = draft.texts
    messages = [
        {"role": role, "content": text} for role, text in zip(draft.roles, texts, strict=True)
    ]
    question = next((m["content"] for m in messages if m["role"] == "user"), texts[0])
    return _document(
        draft,
        layout.conversation(messages),
        anchor=question,
        text_digests=frozenset([digest(question)]),
        target="\n".join(draft.answers),
        reference=texts[-1],
        source=question,
    )


def _translation(draft: Draft, layout: Layout) -> Document:
    corpus = draft.entry.corpus
    source, target = draft.texts
    asked = corpus.prompt.format(text=source, **draft.entry.names)
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": target}]
    return _document(
        draft,
        layout.conversation(messages),
        reference=target,
        source=source,
        direction=f"{corpus.source}>{corpus.target}",
    )


def _document(
    draft: Draft, pieces: tuple[Piece, ...], *, anchor: str | None = None, **facts: Any
) -> Document:
    """Return a document of pieces; `anchor`: the text whose hash decides the split."""
    texts = (part.text for part in draft.parts.values())
    values: dict[str, Any] = {
        "text_digests": frozenset(digest(text) for text in texts if text),
        "splittable": False,
        "target": draft.texts[-1],
    }
    return Document(
        id=text_id(_anchor(draft) if anchor is None else anchor),
        content=digest(*(text for text, _ in pieces)),
        card=draft.card,
        language=draft.language,
        where=draft.where,
        record=record_hash(draft.record.fields),
        contributor=draft.record.contributor,
        pieces=pieces,
        **(values | facts),
    )


def _anchor(draft: Draft) -> str:
    """Return the text whose hash decides the split.

    On a parallel card it is the language that the card lists first, whichever direction is trained,
    so that both directions of a pair stay together too.
    """
    first = draft.parts.get(draft.entry.card.corpus.languages[0])
    if draft.entry.is_parallel and first is not None and first.text:
        return first.text
    return draft.texts[0]
