"""The system prompt of a conversation: the data's own, the recipe's, or the template's default.

Training, evaluation and chat arrange their messages here, so that they see the same prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.errors import DataError, RecipeError
from finetune.messages import Place, problem
from finetune.models.template import conversation_text

BASE, NONE = "base", "none"
"""Values of `prepare.system_prompt`: what the template adds, or nothing. All others are text."""
_PROBE = "finetune probe"
_QUESTION = {"role": "user", "content": "a"}
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    """System prompt of conversations, by recipe and chat template."""

    wanted: str = BASE
    """`prepare.system_prompt` of the recipe."""
    default: str = ""
    """Text that the template adds where a conversation has no system message."""
    has_role: bool = True
    """False: the template has no system role, so the text stands before the first question."""

    @property
    def added(self) -> str | None:
        """Content of the system message that conversations without one get; None for none."""
        if self.wanted == NONE:
            return "" if self.default else None
        return None if self.wanted == BASE else self.wanted

    @property
    def shown(self) -> str:
        """The system prompt of a conversation without a system message."""
        return self.default if self.added is None else self.added

    def arranged(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages that the template is given for a conversation.

        >>> SystemPrompt("Short.", has_role=False).arranged([{"role": "user", "content": "Hi"}])
        [{'role': 'user', 'content': 'Short.\\n\\nHi'}]
        """
        arranged = [dict(message) for message in messages]
        if self.added is not None and (not arranged or arranged[0]["role"] != "system"):
            arranged.insert(0, {"role": "system", "content": self.added})
        if self.has_role or not arranged or arranged[0]["role"] != "system":
            return arranged
        system, *others = arranged
        if not others or others[0]["role"] != "user":
            return [{"role": "user", "content": system["content"]}, *others]
        first, *rest = others
        texts = [text for text in (system["content"], first["content"]) if text]
        return [first | {"content": "\n\n".join(texts)}, *rest]


def system_prompt_of(tokenizer: Any, wanted: str) -> SystemPrompt:
    """Return the system prompt for a tokenizer's template.

    Raises RecipeError if the template's own default cannot be dropped.
    """
    try:
        probe = [{"role": "system", "content": _PROBE}, _QUESTION]
        before, found, after = conversation_text(tokenizer, probe).partition(_PROBE)
    except DataError:
        found = ""
    if not found:
        return SystemPrompt(wanted, has_role=False)
    default = _default(tokenizer, before=before, after=after)
    made = SystemPrompt(wanted, default)
    if not default or made.added is None:
        return made
    if default in conversation_text(tokenizer, made.arranged([_QUESTION])):
        raise RecipeError(
            problem(
                "system-prompt-stays",
                "the base's chat template adds its system prompt {default!r} all the same; write "
                "`system_prompt: base`, another text, or `chat_template: chatml`",
                at=Place(key="prepare.system_prompt"),
                default=default,
            )
        )
    return made


def _default(tokenizer: Any, *, before: str, after: str) -> str:
    """Return the text that a template adds between what stands around a system message."""
    try:
        plain = conversation_text(tokenizer, [_QUESTION])
    except DataError:  # a template that insists on a system message adds none
        return ""
    fits = plain.startswith(before) and plain.endswith(after)
    return plain[len(before) : len(plain) - len(after)] if fits else ""
