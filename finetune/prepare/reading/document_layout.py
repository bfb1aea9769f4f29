"""Layout of texts, pairs and conversations as documents, and which of it is supervised.

`chat` follows the base's chat template (finetune.models.template); `plain` joins prompt and answer
with a newline and ends an answer with the eos token. Plain text is never wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from finetune.errors import DataError, RecipeError
from finetune.messages import Place, problem
from finetune.models import template
from finetune.models.system_prompt import BASE, SystemPrompt, system_prompt_of
from finetune.models.template import Piece
from finetune.output.fields import filled
from finetune.prepare.reading.document import (
    PART_OF_DIGITS,
    Document,
    digest,
    id_of,
    text_id,
)
from finetune.prepare.reading.drafts import Draft, Message
from finetune.prepare.step import NotLaidOut, Result
from finetune.spec.withdrawn import record_hash
from finetune.text.shown import masked
from finetune.text.spellings import one_spelling

_OF_TEMPLATE = {"template-changes-turns", "template-refuses-roles"}
"""Codes of problems that one conversation has with a template."""


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
    system_prompt: SystemPrompt = SystemPrompt()  # noqa: RUF009, frozen
    mask_history: bool = False
    """Train on the last answer only."""

    def text(self, text: str) -> tuple[Piece, ...]:
        """Lay plain text out: every token is supervised, and that the text ends."""
        return ((text + self.eos, True),)

    def conversation(self, messages: Sequence[Message]) -> tuple[Piece, ...]:
        """Lay a conversation out: answers are supervised, each with its stop token.

        Tokens after the last stop token are not trained on and are removed.
        """
        if self.kind == "plain":
            pieces = self._plain(messages)
        else:
            arranged = self.system_prompt.arranged(messages)
            pieces = template.segments(self.tokenizer, arranged, last_only=self.mask_history)
        while pieces and not pieces[-1][1]:
            pieces.pop()
        if pieces and not self._stops(pieces[-1][0]):  # a template without a stop token
            pieces[-1] = (pieces[-1][0] + self.eos, True)
        return tuple(pieces)

    def _plain(self, messages: Sequence[Message]) -> list[Piece]:
        pieces: list[Piece] = []
        last = max((n for n, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                supervised = number == last or not self.mask_history
                pieces += [(message["content"] + self.eos, supervised), ("\n", False)]
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
    system_prompt: str = BASE,
    mask_history: bool = False,
) -> Layout:
    """Return the layout of a recipe; the template is looked up only if there are conversations.

    Raises RecipeError if the tokenizer has no eos token, no fast version, or no chat template
    where one is needed.
    """
    if not tokenizer.is_fast:
        raise RecipeError(
            problem(
                "no-fast-tokenizer",
                "its tokenizer ({kind}) has no tokenizer.json; use a base that has one",
                at=Place(key="base.model"),
                kind=type(tokenizer).__name__,
            )
        )
    if tokenizer.eos_token is None:
        raise RecipeError(
            problem(
                "no-eos-token",
                "its tokenizer has no eos token, so the model cannot learn to end a text; use a "
                "base that has one",
                at=Place(key="base.model"),
            )
        )
    used, system = None, SystemPrompt()
    if conversations and kind == "chat":
        used = template.chat_template_of(tokenizer, chat_template)
        system = system_prompt_of(tokenizer, system_prompt)
    marks = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
    marks |= {tokenizer.eos_token}
    longest_first = sorted(marks, key=lambda mark: (-len(mark), mark))
    return Layout(
        tokenizer=tokenizer,
        kind=kind,
        eos=tokenizer.eos_token,
        special=re.compile("|".join(map(re.escape, longest_first))),
        chat_template=used,
        system_prompt=system,
        mask_history=mask_history,
    )


def laid_out(draft: Draft, *, layout: Layout) -> Result:
    """Return the document of a draft, rejected if the base's template cannot lay it out."""
    try:
        return _laid_out(draft, layout)
    except DataError as error:
        if not set(error.codes) <= _OF_TEMPLATE:
            raise
        found = [one.at(draft.record.place) for one in error.problems]
        return Result(draft, "template-unfit", notes=(NotLaidOut(tuple(found)),))


def _laid_out(draft: Draft, layout: Layout) -> Result:
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
    question = draft.anchor
    return _document(
        draft,
        layout.conversation(messages),
        text_digests=frozenset([digest(one_spelling(masked(question)))]),
        target="\n".join(draft.answers),
        reference=texts[-1],
        source=question,
    )


def _translation(draft: Draft, layout: Layout) -> Document:
    corpus = draft.entry.corpus
    source, target = draft.texts
    asked = filled(corpus.prompt, {"text": source, **draft.entry.names})
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": target}]
    return _document(
        draft,
        layout.conversation(messages),
        reference=target,
        source=source,
        direction=f"{corpus.source}>{corpus.target}",
    )


def _document(draft: Draft, pieces: tuple[Piece, ...], **facts: Any) -> Document:
    """Return a document of pieces.

    Like its id, the digests of its texts are of those with the numbers of all countries masked.
    """
    texts = (masked(part.text) for part in draft.parts.values())
    values: dict[str, Any] = {
        "text_digests": frozenset(digest(one_spelling(text)) for text in texts if text),
        "splittable": False,
        "target": draft.texts[-1],
    }
    return Document(
        id=id_of(draft.anchor),
        content=digest(*(text for text, _ in pieces)),
        card=draft.card,
        language=draft.language,
        where=draft.where,
        record=record_hash(draft.record.fields),
        contributor=draft.record.contributor,
        tested=draft.tested,
        names=draft.record.names,
        part_of=text_id(draft.record.document)[:PART_OF_DIGITS],
        held_out=draft.held_out,
        pieces=pieces,
        **(values | facts),
    )
