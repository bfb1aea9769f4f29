"""Chat layout: pieces, stop tokens, ChatML on a base that has none."""

from __future__ import annotations

import pytest

from finetune.errors import DataError, RecipeError
from finetune.models import template
from tests.support.tiny import tiny_tokenizer

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Sannu"},
    {"role": "assistant", "content": "Sannu, 12!"},
    {"role": "user", "content": "Sannu, 12!"},
    {"role": "assistant", "content": "b"},
]


def test_pieces_make_the_conversation_and_only_answers_are_supervised() -> None:
    """Pieces join to the template's text; each answer is supervised with its stop token."""
    tokenizer = tiny_tokenizer()
    pieces = template.segments(tokenizer, TURNS)
    assert "".join(text for text, _ in pieces) == template.conversation_text(tokenizer, TURNS)
    assert [t for t, wanted in pieces if wanted] == ["Sannu, 12!<|im_end|>", "b<|im_end|>"]


def test_prompt_is_what_stands_before_the_answer() -> None:
    """The text before the first supervised piece is exactly the prompt used to generate."""
    tokenizer = tiny_tokenizer()
    first = template.segments(tokenizer, TURNS)[0]
    assert first == (template.prompt_text(tokenizer, TURNS[:2]), False)


def test_trimmed_answers_and_spaces_before_the_stop_token() -> None:
    """A template that trims, and one that does not, are both cut behind the stop token."""
    tokenizer = tiny_tokenizer()
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": " yes \n"}]
    assert ("".join(t for t, w in template.segments(tokenizer, turns) if w)) == " yes \n<|im_end|>"
    tokenizer.chat_template = tokenizer.chat_template.replace("m['content']", "m['content']|trim")
    assert ("".join(t for t, w in template.segments(tokenizer, turns) if w)) == "yes<|im_end|>"


def test_conversation_that_begins_with_the_assistant() -> None:
    """A greeting by the assistant is supervised too."""
    turns = [{"role": "assistant", "content": "Barka!"}, {"role": "user", "content": "x"}]
    pieces = template.segments(tiny_tokenizer(), turns)
    assert [text for text, wanted in pieces if wanted] == ["Barka!<|im_end|>"]


def test_template_that_rewrites_earlier_turns_is_refused() -> None:
    """If a later turn changes an earlier one, the answer cannot be cut out: DataError."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages|length }}" + tokenizer.chat_template
    with pytest.raises(DataError) as refused:
        template.segments(tokenizer, TURNS)
    assert refused.value.codes == ("template-changes-turns",)


def test_template_that_refuses_a_role_is_a_data_error() -> None:
    """A template's own exception is explained, not passed on."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(DataError) as refused:
        template.prompt_text(tokenizer, TURNS)
    assert refused.value.codes == ("template-refuses-roles",)


def test_base_without_template() -> None:
    """`model` is refused with advice; `chatml` sets ChatML, ended by <|im_end|>."""
    tokenizer = tiny_tokenizer(chat_template=False)
    with pytest.raises(RecipeError) as refused:
        template.chat_template_of(tokenizer, "model")
    assert refused.value.codes == ("no-chat-template",)
    assert template.chat_template_of(tokenizer, "chatml") == tokenizer.chat_template
    assert template.stop_token_ids(tokenizer) == [tokenizer.eos_token_id]


def test_chatml_without_its_mark_ends_turns_with_eos() -> None:
    """A base that has no <|im_end|> token ends a turn with eos, which is one token."""
    tokenizer = tiny_tokenizer(chat_template=False)
    tokenizer.eos_token = "<|endoftext|>"
    encode = tokenizer.encode
    tokenizer.encode = lambda text, **k: [1, 2] if text == "<|im_end|>" else encode(text, **k)
    assert "<|endoftext|>" in template.chat_template_of(tokenizer, "chatml")
    assert template.segments(tokenizer, TURNS[1:3])[1] == ("Sannu, 12!<|endoftext|>", True)


def test_stop_tokens_are_eos_and_the_templates_own() -> None:
    """A base whose eos is not the template's end mark stops at both."""
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "<|endoftext|>"
    assert template.stop_token_ids(tokenizer) == [0, 2]


def test_opening_mark_is_written_once() -> None:
    """A tokenizer that opens texts with <bos> does so once, also before a laid-out prompt."""
    from tokenizers import processors

    tokenizer = tiny_tokenizer()
    assert template.opening(tokenizer) == []
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    assert template.opening(tokenizer) == [1]
    assert template.encode(tokenizer, "ab") == [
        1,
        *tokenizer.encode("ab", add_special_tokens=False),
    ]
    prompt = template.prompt_text(tokenizer, TURNS[:2])
    assert template.encode(tokenizer, prompt).count(1) == prompt.count("<|im_start|>")
