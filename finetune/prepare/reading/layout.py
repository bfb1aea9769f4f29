"""How pairs and conversations are laid out as text, and where the model learns.

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
from finetune.prepare.reading.document import Piece

Message = dict[str, str]


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
        """Lay plain text out: every token is learned, and that the text ends."""
        return ((text + self.eos, True),)

    def conversation(self, messages: Sequence[Message]) -> tuple[Piece, ...]:
        """Lay a conversation out: answers are learned, each with its stop token.

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
