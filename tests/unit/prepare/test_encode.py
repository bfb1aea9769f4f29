from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import RecipeError
from finetune.models import template
from finetune.models.encode import Encoded, Encoder
from finetune.prepare.reading.document_layout import make_layout
from tests.support.problems import raises
from tests.support.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
ENCODER = Encoder(TOKENIZER)
LAYOUT = make_layout(TOKENIZER, kind="chat", chat_template="model", conversations=True)
PLAIN = make_layout(TOKENIZER, kind="plain", chat_template="model", conversations=True)
# many bytes a character, joiners, digits, and characters that merge across borders
TEXTS = st.text(st.sampled_from("ab ƙọ\u0323\u200dक्षሰ፡😀12\n'"), min_size=1, max_size=40).filter(
    str.strip
)
STOP = "<|im_end|>"


def talk(*texts: str) -> list[dict[str, str]]:
    """Return a conversation of user and assistant in turn."""
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


def tokens(text: str) -> list[int]:
    """Return the tokenizer's own tokens of a whole text."""
    return list(TOKENIZER.encode(text, add_special_tokens=False))


def learned(encoded: Encoded) -> str:
    """Return the text that the supervised tokens spell."""
    return str(TOKENIZER.decode(encoded.tokens_n[encoded.supervised_n == 1].tolist()))


@given(TEXTS)
def test_every_token_of_plain_text_is_learned_and_that_it_ends(text: str) -> None:
    """All tokens but the first are targets, the eos token among them."""
    (encoded,) = ENCODER.document(LAYOUT.text(text), row_tokens=512)
    assert encoded.tokens_n.tolist() == [*tokens(text), TOKENIZER.eos_token_id]
    assert encoded.supervised_n.tolist() == [0] + [1] * (len(encoded.tokens_n) - 1)
    assert encoded.supervised_bytes <= len(text.encode())


@given(TEXTS)
def test_bytes_are_those_that_the_learned_tokens_spell(text: str) -> None:
    """Bytes learned and bytes of the first token, which is not learned, make up the text."""
    (encoded,) = ENCODER.document(LAYOUT.text(text), row_tokens=512)
    first = TOKENIZER.convert_ids_to_tokens([int(encoded.tokens_n[0])])[0]
    spelled = len(text.encode()) - encoded.supervised_bytes
    whole_character = "\ufffd" not in TOKENIZER.decode(encoded.tokens_n[:1].tolist())
    # a byte-level token has a letter a byte; part of a character counts with its last token
    assert spelled == (len(first) if whole_character else 0)


@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
@settings(max_examples=80)
def test_a_conversation_has_the_tokenizers_own_tokens(turns: list[str], last: str) -> None:
    """Ids equal the tokenizer's on the whole text, and only answers and stops are supervised."""
    texts = [t for turn in turns for t in (turn, turn[::-1])] + [last, last]
    pieces = LAYOUT.conversation(talk(*texts))
    (encoded,) = ENCODER.document(pieces, row_tokens=100_000)
    whole = "".join(text for text, _ in pieces)
    answers = [text for text, wanted in pieces if wanted]
    assert TOKENIZER.decode(encoded.tokens_n.tolist()) == whole
    assert learned(encoded) == "".join(answers)
    assert len(answers) == len(texts) // 2
    assert all(answer.endswith(STOP) for answer in answers)
    assert encoded.supervised_bytes == sum(len(a.removesuffix(STOP).encode()) for a in answers)
    # where nothing merges across "assistant\n", that is exactly the tokenizer's output
    if not any(answer[0].isspace() for answer in answers):
        assert encoded.tokens_n.tolist() == tokens(whole)


def test_every_answer_of_a_plain_conversation_ends_with_a_supervised_stop() -> None:
    """Not only the last one: a model must learn to stop after each."""
    pieces = PLAIN.conversation(talk("a", "b", "c", "d"))
    assert [text for text, supervised in pieces if supervised] == ["b" + STOP, "d" + STOP]


@given(TEXTS, TEXTS)
@settings(max_examples=80)
def test_a_prompt_has_the_tokens_it_has_when_the_model_is_used(asked: str, answer: str) -> None:
    """The unlearned beginning equals what generation gives the model, in both layouts."""
    for layout in (LAYOUT, PLAIN):
        pieces = layout.conversation(talk(asked, answer))
        (encoded,) = ENCODER.document(pieces, row_tokens=100_000)
        prompt = pieces[0][0]
        given_n = encoded.tokens_n[encoded.supervised_n == 0].tolist()
        assert given_n == template.encode(TOKENIZER, prompt)
    assert prompt == asked + "\n"
    assert LAYOUT.conversation(talk(asked, answer))[0][0] == template.prompt_text(
        TOKENIZER, talk(asked)
    )


def test_a_token_never_reaches_from_prompt_into_answer() -> None:
    """If the tokenizer would merge across the boundary, ids and bytes are split there."""
    assert len(tokens(" cat")) == 1
    pieces = (("the ca", False), ("t sat" + STOP, True), (" on the m", False), ("at" + STOP, True))
    (encoded,) = ENCODER.document(pieces, row_tokens=99)
    ids = encoded.tokens_n.tolist()
    prompt = template.encode(TOKENIZER, "the ca")
    assert ids[: len(prompt)] == prompt
    assert TOKENIZER.decode(ids) == "".join(text for text, _ in pieces)
    assert learned(encoded) == f"t sat{STOP}at{STOP}"
    assert encoded.supervised_bytes == len("t sat") + len("at")


@given(TEXTS, st.integers(4, 12))
def test_a_split_text_predicts_every_token_once(text: str, row_tokens: int) -> None:
    """Parts fit a row, start with the last token of the part before, and lose nothing."""
    (whole,) = ENCODER.document(LAYOUT.text(text), row_tokens=1000)
    parts = ENCODER.document(LAYOUT.text(text), row_tokens=row_tokens)
    assert all(len(part.tokens_n) <= row_tokens for part in parts)
    joined = [*parts[0].tokens_n, *(t for part in parts[1:] for t in part.tokens_n[1:])]
    assert joined == whole.tokens_n.tolist()
    assert all(part.supervised_n[0] == 0 and part.supervised_n[1:].all() for part in parts)
    assert sum(part.supervised_bytes for part in parts) == whole.supervised_bytes
    assert sum(int(part.supervised_n.sum()) for part in parts) == len(joined) - 1


def with_bos() -> Any:
    """Return a tokenizer that opens every text with <|im_start|>, as Gemma's does with <bos>."""
    from tokenizers import processors

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.bos_token_id)]
    )
    return tokenizer


def test_a_bos_token_opens_plain_text_once() -> None:
    """With a bos the first token of the text is supervised; a template's bos is not doubled."""
    tokenizer = with_bos()
    encoder = Encoder(tokenizer)
    (encoded,) = encoder.document((("Ina kwana<|im_end|>", True),), row_tokens=99)
    assert encoded.tokens_n[0] == tokenizer.bos_token_id
    assert encoded.supervised_bytes == len("Ina kwana")
    assert encoded.supervised_n[0] == 0
    (talked,) = encoder.document(LAYOUT.conversation(talk("a", "b")), row_tokens=99)
    assert talked.tokens_n.tolist().count(tokenizer.bos_token_id) == 2  # one a turn


def test_truncation_of_a_tokenizer_file_is_switched_off() -> None:
    """A tokenizer.json that truncates does not lose text."""
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(4)
    (encoded,) = Encoder(tokenizer).document((("Ina kwana? " * 9, True),), row_tokens=999)
    assert tokenizer.decode(encoded.tokens_n.tolist()) == "Ina kwana? " * 9


def test_a_tokenizer_without_a_template_is_refused_where_one_is_needed() -> None:
    """The error names the settings that help; plain layout and plain text need no template."""
    bare = tiny_tokenizer(chat_template=False)
    with raises(RecipeError, code="no-chat-template", at="prepare.chat_template"):
        make_layout(bare, kind="chat", chat_template="model", conversations=True)
    assert make_layout(bare, kind="chat", chat_template="model", conversations=False)
    assert make_layout(bare, kind="plain", chat_template="model", conversations=True)
    made = make_layout(bare, kind="chat", chat_template="chatml", conversations=True)
    assert made.conversation(talk("a", "b"))[-1] == ("b" + STOP, True)


def test_a_tokenizer_without_eos_is_refused() -> None:
    """A model that cannot learn to stop is not trained."""
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    with raises(RecipeError, code="no-eos-token", at="base.model"):
        make_layout(tokenizer, kind="chat", chat_template="model", conversations=False)


def test_a_template_without_a_stop_token_gets_eos() -> None:
    """An answer always ends with a learned stop token."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    layout = make_layout(tokenizer, kind="chat", chat_template="model", conversations=True)
    (encoded,) = Encoder(tokenizer).document(layout.conversation(talk("a", "b")), row_tokens=99)
    assert encoded.tokens_n[-1] == tokenizer.eos_token_id
    assert encoded.supervised_n[-1] == 1
    assert np.issubdtype(encoded.tokens_n.dtype, np.uint32)
