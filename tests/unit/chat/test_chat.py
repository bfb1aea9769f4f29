"""The conversation in the terminal, with scripted input and tiny models."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune.chat.histories import Conversation, OnText, Systems
from finetune.chat.question import Question, chosen_question
from finetune.chat.systems import load_systems
from finetune.chat.talk import Manner, talk
from finetune.chat.typed_texts import BLOCK, typed_questions
from finetune.errors import DataError, RecipeError
from finetune.models import kinds
from finetune.models.kinds import CAUSAL
from finetune.models.load import load_tokenizer
from finetune.output.console import Console
from finetune.output.fields import filled
from finetune.output.folding import settled
from finetune.spec.load import load_project
from tests.support.project import write_project
from tests.support.tiny import tiny_model, write_tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("chat") / "model")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("chat") / "adapter", seed=1)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("chat") / "second", seed=2, target=["q_proj"])


def write_adapter(
    directory: Path, *, seed: int, target: str | list[str] = "all-linear", **settings: Any
) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=target, **settings)
    adapted = get_peft_model(tiny_model(), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter)
    adapted.save_pretrained(directory)
    return directory


class Terminal(io.StringIO):
    """Output to a terminal."""

    def isatty(self) -> bool:
        return True


def script(*lines: str) -> Callable[[str], str]:
    """Return a stand-in for input() that ends like Ctrl-D."""
    waiting = list(lines)

    def read(prompt: str) -> str:
        if not waiting:
            raise EOFError
        return waiting.pop(0)

    return read


def said(
    base: Path,
    adapter: Path | None,
    *lines: str,
    side_by_side: bool = True,
    beside: dict[str, Path] | None = None,
    **manner: Any,
) -> list[dict]:
    """Return what is emitted with --json, without the greeting."""
    console = Console(json_lines=True, out=io.StringIO())
    talk(
        base,
        adapter,
        console=console,
        manner=Manner(**{"max_new_tokens": 6} | manner),
        side_by_side=side_by_side,
        beside=beside,
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

    def answer(prompt: str, _: OnText) -> str:
        prompts.append(prompt)
        return "yes"

    conversation = Conversation(answer, lambda m: "|".join(t["content"] for t in m), lambda _: True)
    conversation.say("one")
    conversation.say("two")
    assert prompts == ["one", "one|yes|two"]


def test_a_full_context_drops_the_oldest_turns():
    """History that no longer fits loses its oldest question with its answer."""
    conversation = Conversation(
        lambda *_: "a", lambda m: "|".join(t["content"] for t in m), lambda p: len(p) <= 9
    )
    for line in ("one", "two", "six"):
        conversation.say(line)
    assert [m["content"] for m in conversation.messages] == ["two", "a", "six", "a"]


def test_an_interrupted_answer_is_not_kept(base, adapter, monkeypatch):
    """Ctrl-C in the second system's answer leaves both histories as they were, and the chat open.

    What was written until then is shown to people.
    """
    prompts: list[str] = []

    def systems(*_: Any, **__: Any) -> Systems:
        def generate(prompt: str, on_text: OnText) -> str:
            prompts.append(prompt)
            return "yes"

        def interrupted(prompt: str, on_text: OnText) -> str:
            on_text("some words")
            if len(prompts) == 1:
                raise KeyboardInterrupt
            return "no"

        return Systems({"base": generate, "adapter": interrupted}, lambda _: True)

    monkeypatch.setattr("finetune.chat.systems.load_systems", systems)
    console = Console(out=io.StringIO())
    talk(base, adapter, console=console, manner=Manner(), read=script("first", "second"))
    text = console.out.getvalue()
    assert "some word" in text
    assert "Generation stopped." in text
    assert "yes" in text.partition("Generation stopped.")[2]
    assert "first" not in prompts[1]


def test_commands_are_listed_and_unknown_ones_named(base):
    """/help lists every command, /quit ends; two slashes begin a text with one."""
    found = said(base, None, "/help me", "/hlep", "//hi", "/quit", "hi")
    messages = [one["message"] for one in found]
    assert {"/help", "/reset", "/use NAME", "/quit, Ctrl-D", "Ctrl-C", BLOCK} <= {
        message.partition(":")[0] for message in messages
    }
    assert messages[-2].startswith("Unknown command /hlep. /help shows")
    assert [one["system"] for one in found if "system" in one] == ["base"]


def test_a_block_is_one_text():
    """Lines between two marks, a text of one line between them, and a block that is not ended."""
    typed = script(BLOCK, "one", "", " two", BLOCK, f"{BLOCK}three{BLOCK}", "four", BLOCK, "five")
    assert list(typed_questions(typed, prompt="> ")) == ["one\n\n two", "three", "four", "five"]


def test_answers_are_streamed(base, adapter):
    """Each system's text grows sign by sign; what was shown stays the beginning of the answer."""
    systems = load_systems(
        base, adapter, tokenizer=load_tokenizer(base), manner=Manner(12, temperature=2.0)
    )
    for generate in systems.generators.values():
        texts: list[str] = []
        whole = generate("Ina kwana?", texts.append)
        shown = [settled(text) for text in texts]
        assert len(set(shown)) > 3
        for before, after in pairwise([*shown, whole]):
            assert after.startswith(before)


def test_the_recipes_prompt_is_asked_as_in_the_evaluation(tmp_path):
    """A text gets the instruction of its direction; a direction that is not trained is refused."""
    write_project(tmp_path)
    project = load_project(tmp_path / "recipes/tiny.yaml")
    question = chosen_question(project)
    assert question is not None
    assert question.direction == "eng_Latn>hau_Latn"
    names = {"source_name": "English", "target_name": "Hausa"}
    prompt = project.recipe.corpora[0].prompt
    assert question.around("a b  ") == filled(prompt, {"text": "a b", **names})
    assert chosen_question(project, target="hau_Latn") == question
    with pytest.raises(RecipeError) as refused:
        chosen_question(project, source="hau_Latn")
    assert refused.value.codes == ("no-such-direction",)


def test_a_prompt_with_an_instruction_has_no_history(base, monkeypatch):
    """A text of a translation recipe, or one to be continued, stands alone, as it was trained."""
    prompts: list[str] = []

    def systems(*_: Any, **__: Any) -> Systems:
        return Systems({"base": lambda prompt, _: prompts.append(prompt) or "yes"}, lambda _: True)

    monkeypatch.setattr("finetune.chat.systems.load_systems", systems)
    question = Question("eng_Latn", "hau_Latn", "{source_name} {target_name}: {text}")
    said(base, None, "one", "two", "one", question=question)
    assert prompts[0] == prompts[2]
    assert "English Hausa: one" in prompts[0]
    said(base, None, "one", "two", chat_template=None)
    assert prompts[3:] == ["one", "two"]
    said(base, None, "one", "two")
    assert "yes" in prompts[6]


def test_adapters_on_one_base_answer_as_each_alone(base, adapter, second):
    """Switched to and fro, with the answers, history and memory of its own; the base stays it."""
    lines = ("Ina kwana?", "/use two", "Ina kwana?", "/use adapter", "Na gode", "/adapters")
    found = said(base, adapter, *lines, beside={"two": second})
    listed = [one for one in found if "size_bytes" in one]
    assert [(one["adapter"], one["active"]) for one in listed] == [
        *(("adapter", True), ("two", False)),
        *(("adapter", True), ("two", False)),
    ]
    assert [one["size_bytes"] for one in listed[:2]] == [size_of(adapter), size_of(second)]
    assert [one["adapter"] for one in found if "switch_seconds" in one] == ["two", "adapter"]
    answers = [(one["system"], one["message"]) for one in found if "system" in one]
    alone = said(base, adapter, "Ina kwana?", "Na gode"), said(base, second, "Ina kwana?")
    assert [text for name, text in answers if name == "adapter"] == [
        one["message"] for one in alone[0] if one["system"] == "adapter"
    ]
    assert [text for name, text in answers if name == "two"] == [alone[1][1]["message"]]
    assert answers[0] == ("base", alone[0][0]["message"])


def size_of(adapter: Path) -> int:
    tensors = load_file(adapter / "adapter_model.safetensors")
    return sum(tensor.nbytes for tensor in tensors.values())


def test_an_adapter_that_is_not_there_is_named_with_those_that_are(base, adapter, second):
    """/use without a name, or of another one, changes nothing; without --adapter it says so."""
    found = said(base, adapter, "/use three", "/use", "hi", beside={"two": second})
    assert found[2]["message"] == "There is no adapter 'three'; known: adapter, two"
    assert [one["system"] for one in found if "system" in one] == ["base", "adapter"]
    assert "--adapter NAME=FOLDER" in said(base, adapter, "/adapters")[0]["message"]


def test_new_tokens_stand_beside_no_other_adapter(base, adapter, tmp_path):
    """Their ids mean other tokens to another adapter."""
    rows = write_adapter(
        tmp_path / "rows", seed=3, target=["q_proj"], trainable_token_indices=[508, 509]
    )
    with pytest.raises(RecipeError) as refused:
        said(base, adapter, "hi", beside={"rows": rows})
    assert refused.value.codes == ("beside-with-new-tokens",)


def test_text_is_shown_side_by_side(base, adapter):
    """For people the answers stand in two columns, markup in them shown as it is."""
    console = Console(out=io.StringIO())
    talk(base, adapter, console=console, manner=Manner(6), read=script("[bold]hi"))
    text = console.out.getvalue()
    assert "Chat with base and adapter." in text
    assert "│" in text


def test_a_terminal_shows_both_columns_while_they_grow(monkeypatch):
    """Each state is drawn, and wiped in the end, so that the whole texts stand there once."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    console, texts = Console(out=Terminal()), {"base": "", "adapter": ""}
    with console.growing(texts):
        texts["base"] = "Ina"
        time.sleep(0.3)
    drawn = console.out.getvalue()
    assert re.search("base +│ adapter", drawn)
    assert "Ina" in drawn
    assert drawn.rstrip().endswith("\x1b[2K")


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
    [_, answer] = said(bare, None, "hi", chat_template=None)
    assert answer["system"] == "base"
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
