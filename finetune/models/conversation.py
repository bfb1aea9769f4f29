"""Layout of a conversation as the prompt of its next answer, as a recipe trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from finetune.models.system_prompt import BASE, system_prompt_of
from finetune.models.template import Messages, chat_template_of, prompt_text

LayOut = Callable[[Messages], str]


def lay_out_of(
    tokenizer: Any, *, template: Literal["model", "chatml", "plain"], system_prompt: str = BASE
) -> LayOut:
    """Return the function from messages, the last one a question, to the text before the answer.

    `plain` is the layout without a template: a line for a question, an answer with its end mark.
    Raises RecipeError if the tokenizer has no chat template that can be used.
    """
    if template == "plain":
        return lambda messages: _plain(messages, eos=tokenizer.eos_token)
    chat_template_of(tokenizer, template)
    system = system_prompt_of(tokenizer, system_prompt)
    return lambda messages: prompt_text(tokenizer, system.arranged(messages))


def _plain(messages: Messages, *, eos: str) -> str:
    """Lay messages out without a template.

    >>> _plain([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], eos="<>")
    'a\\nb<>\\n'
    """
    ends = {"assistant": f"{eos}\n"}
    return "".join(one["content"] + ends.get(one["role"], "\n") for one in messages)
