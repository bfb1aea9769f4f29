"""The system prompt: kept, dropped or replaced, and the same in training and use."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.errors import DataError, RecipeError
from finetune.models import template
from finetune.models.system_prompt import system_prompt_of
from tests.support.problems import raises
from tests.support.tiny import tiny_tokenizer

DEFAULT = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are Probe.<|im_end|>\n"
    "{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_ROLE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STAYS = (  # an empty system message counts as none
    "<|im_start|>system\n{% if messages[0]['role'] == 'system' and messages[0]['content'] %}"
    "{{ messages[0]['content'] }}{% else %}You are Probe.{% endif %}<|im_end|>\n"
    "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}"
)
REWRITES = (  # a thought is written into the last answer and taken out of the others
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think></think>{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PAIR = [{"role": "user", "content": "Sannu"}, {"role": "assistant", "content": "Lafiya"}]
OWN = [{"role": "system", "content": "Own."}, *PAIR]


def tokenizer_with(chat_template: str) -> Any:
    """Return the tiny tokenizer with another chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = chat_template
    return tokenizer


@pytest.mark.parametrize(
    ("chat_template", "wanted", "begins", "shown"),
    [
        (DEFAULT, "base", "<|im_start|>system\nYou are Probe.", "You are Probe."),
        (DEFAULT, "none", "<|im_start|>system\n<|im_end|>", ""),
        (DEFAULT, "Kai mataimaki ne.", "<|im_start|>system\nKai mataimaki ne.", None),
        (NO_ROLE, "base", "<|im_start|>user\nSannu", ""),
        (NO_ROLE, "none", "<|im_start|>user\nSannu", ""),
        (NO_ROLE, "Gajere.", "<|im_start|>user\nGajere.\n\nSannu", None),
        (template.CHATML, "none", "<|im_start|>user\nSannu", ""),
    ],
)
def test_the_default_is_kept_dropped_or_replaced(
    chat_template: str, wanted: str, begins: str, shown: str | None
) -> None:
    """And the prompt of training is the prompt of use, to the character."""
    tokenizer = tokenizer_with(chat_template)
    system = system_prompt_of(tokenizer, wanted)
    assert system.shown == (wanted if shown is None else shown)
    (trained, _), *_ = template.segments(tokenizer, system.arranged(PAIR))
    assert trained.startswith(begins)
    assert trained == template.prompt_text(tokenizer, system.arranged(PAIR[:1]))


@pytest.mark.parametrize("wanted", ["base", "none", "Other."])
def test_a_system_message_of_the_data_stays(wanted: str) -> None:
    """In its own role, or before the first question where the template has none."""
    for chat_template in (DEFAULT, NO_ROLE):
        tokenizer = tokenizer_with(chat_template)
        arranged = system_prompt_of(tokenizer, wanted).arranged(OWN)
        text = template.conversation_text(tokenizer, arranged)
        assert text.count("Own.") == 1
        assert "Other." not in text
        assert "Probe" not in text


def test_a_default_that_cannot_be_dropped_is_refused() -> None:
    """A key that would do nothing is an error with its place."""
    with raises(RecipeError, code="system-prompt-stays", at="prepare.system_prompt"):
        system_prompt_of(tokenizer_with(STAYS), "none")
    assert system_prompt_of(tokenizer_with(STAYS), "base").shown == "You are Probe."


def test_the_last_answer_can_be_learned_alone() -> None:
    """A template that rewrites earlier turns is refused for all answers, and cut for the last."""
    tokenizer = tokenizer_with(REWRITES)
    turns = [
        *PAIR,
        {"role": "user", "content": "Ina kwana?"},
        {"role": "assistant", "content": "b"},
    ]
    with pytest.raises(DataError) as refused:
        template.segments(tokenizer, turns)
    [found] = refused.value.problems
    assert found.code == "template-changes-turns"
    assert "think" in str(found.facts["now"])
    assert found.facts["now"] != found.facts["later"]
    pieces = template.segments(tokenizer, turns, last_only=True)
    assert [text for text, wanted in pieces if wanted] == ["<think></think>b<|im_end|>"]
    assert "".join(text for text, _ in pieces) == template.conversation_text(tokenizer, turns)
