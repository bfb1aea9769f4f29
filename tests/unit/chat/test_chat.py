"""The conversation in the terminal, with scripted input and tiny models."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.chat.talk import Conversation, Manner, talk
from finetune.errors import DataError, RecipeError
from finetune.models import kinds
from finetune.models.kinds import CAUSAL
from finetune.output.console import Console
from tests.support.tiny import tiny_model, write_tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("chat") / "model")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    directory = tmp_path_factory.mktemp("chat") / "adapter"
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    adapted = get_peft_model(tiny_model(), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter)
    adapted.save_pretrained(directory)
    return directory


def script(*lines: str) -> Callable[[str], str]:
    """Return a stand-in for input() that ends like Ctrl-D."""
    waiting = list(lines)

    def read(prompt: str) -> str:
        if not waiting:
            raise EOFError
        return waiting.pop(0)

    return read


def said(
    base: Path, adapter: Path | None, *lines: str, side_by_side: bool = True, **manner: Any
) -> list[dict]:
    """Return what is emitted with --json, without the greeting."""
    console = Console(json_lines=True, out=io.StringIO())
    talk(
        base,
        adapter,
        console=console,
        manner=Manner(**{"max_new_tokens": 6} | manner),
        side_by_side=side_by_side,
        read=script(*lines),
    )
    return [json.loads(line) for line in console.out.getvalue().splitlines()][1:]


def test_both_systems_answer_every_line(base, adapter):
    """A line gets one answer of the base and one of the adapter, and they differ."""
    found = said(base, adapter, "Ina kwana?", "", "Na gode")
    assert [f["system"] for f in found] == ["base", "adapter"] * 2
    assert found[0]["message"] != found[1]["message"]


def test_one_system_alone(base, adapter):
    """Not side by side the adapter answers; without an adapter the base does, as it did beside."""
    assert [f["system"] for f in said(base, adapter, "hi", side_by_side=False)] == ["adapter"]
    alone, beside = said(base, None, "hi"), said(base, adapter, "hi")
    assert alone == beside[:1]


def test_reset_forgets(base):
    """After /reset the same line gets the first answer again; without it history counts."""
    first, _, again = said(base, None, "hi", "/reset", "hi")
    assert first == again
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "yes"

    conversation = Conversation(answer, lambda m: "|".join(t["content"] for t in m), lambda _: True)
    conversation.say("one")
    conversation.say("two")
    assert prompts == ["one", "one|yes|two"]


def test_a_full_context_drops_the_oldest_turns():
    """History that no longer fits loses its oldest question with its answer."""
    conversation = Conversation(
        lambda _: "a", lambda m: "|".join(t["content"] for t in m), lambda p: len(p) <= 9
    )
    for line in ("one", "two", "six"):
        conversation.say(line)
    assert [m["content"] for m in conversation.messages] == ["two", "a", "six", "a"]


def test_an_interrupted_answer_is_not_kept():
    """Ctrl-C during an answer leaves the history as it was."""

    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    conversation = Conversation(interrupted, lambda m: m[-1]["content"], lambda _: True)
    with pytest.raises(KeyboardInterrupt):
        conversation.say("one")
    assert conversation.messages == []


def test_quit_ends_and_unknown_commands_are_named(base):
    """/quit stops reading; another slash is answered with the commands there are."""
    found = said(base, None, "/help me", "/quit", "hi")
    assert len(found) == 1
    assert found[0]["message"].startswith("Unknown command /help. /reset")


def test_text_is_shown_side_by_side(base, adapter):
    """For people the answers stand in two columns, markup in them shown as it is."""
    console = Console(out=io.StringIO())
    talk(base, adapter, console=console, manner=Manner(6), read=script("[bold]hi"))
    text = console.out.getvalue()
    assert "Chat with base and adapter." in text
    assert "│" in text


def test_sampling_repeats_with_the_session(base):
    """Answers at a temperature are the same for the same session, and not the greedy ones."""
    sampled = said(base, None, "hi", "you", temperature=1.5)
    assert sampled == said(base, None, "hi", "you", temperature=1.5)
    assert sampled != said(base, None, "hi", "you")


def test_a_base_without_template_is_refused_before_loading(tmp_path):
    """chat_template `model` on a base that has none is a RecipeError; None and plain still work."""
    bare = write_tiny_model(tmp_path / "bare", chat_template=False)
    with pytest.raises(RecipeError) as refused:
        said(bare, None, "hi")
    assert refused.value.codes == ("no-chat-template",)
    assert len(said(bare, None, "hi", chat_template=None)) == 1
    assert len(said(bare, None, "hi", chat_template="plain")) == 1


def test_bytes_that_are_no_utf8_are_a_clear_error(base):
    """A lone surrogate, as a C locale makes of stray bytes, is a DataError."""
    with pytest.raises(DataError) as refused:
        said(base, None, "caf\udce9")
    assert refused.value.codes == ("input-not-utf8",)


def test_the_recipes_quantization_and_threads_are_used(base, adapter, constants):
    """One talks to the base in the bits that the adapter was trained on, on so many threads."""
    loaded: list[Any] = []

    def load(*args: Any, **settings: Any) -> Any:
        loaded.append(CAUSAL.load_base(*args, **settings))
        return loaded[-1]

    constants(kinds, KINDS=(replace(CAUSAL, load_base=load),))
    before = torch.get_num_threads()
    try:
        found = said(base, adapter, "hi", quantization="4bit", threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert [f["system"] for f in found] == ["base", "adapter"]
    assert "Linear4bit" in {type(module).__name__ for module in loaded[0].modules()}
