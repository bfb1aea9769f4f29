"""The chat loop in the terminal: a question in, generations of base and adapter side by side.

Each system keeps its own history, so that its second answer follows from its own first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.chat.chat_commands import HELP, obey, show_adapters
from finetune.chat.histories import Conversation, Histories, Messages
from finetune.chat.question import Question
from finetune.chat.typed_texts import typed_questions
from finetune.messages import sentence
from finetune.output.console import Console
from finetune.output.folding import settled
from finetune.spec.sections.base_model import Quantization

Template = Literal["model", "chatml", "plain"] | None


@dataclass(frozen=True, slots=True)
class Manner:
    """Loading, prompts and decoding of a chat."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy; above it, generations are sampled (nucleus 0.95)."""
    chat_template: Template = "model"
    """Without a template there is no history: `plain` appends a newline, as training did between
    prompt and target; None lets the model continue the text as it is."""
    system_prompt: str = "base"
    """`prepare.system_prompt` of the recipe."""
    question: Question | None = None
    """Instruction of the recipe around each text, which then stands alone, as in evaluation; None:
    a turn of a conversation."""
    quantization: Quantization = "none"
    threads: int | None = None

    @property
    def has_history(self) -> bool:
        """True if a prompt holds the turns before it."""
        return self.question is None and self.chat_template in ("model", "chatml")


def talk(
    base_dir: Path,
    adapter_dir: Path | None,
    *,
    console: Console,
    manner: Manner,
    side_by_side: bool = True,
    beside: Mapping[str, Path] | None = None,
    read: Callable[[str], str] = input,
) -> None:
    """Read questions until /quit or the end of input, and show the generations of the systems.

    `base_dir` is a transformers folder. With an adapter and `side_by_side` both systems generate,
    else the adapter alone; without an adapter the base. `beside`: folders of other adapters on the
    base, by the names that `/use` takes. Raises RecipeError if the base has no chat template and
    one is asked for.
    """
    from finetune.models.load import load_tokenizer

    tokenizer = load_tokenizer(base_dir)
    lay_out = _lay_out(tokenizer, manner)  # refused here, before the model is loaded
    from finetune.chat.systems import MINE, load_systems

    systems = load_systems(base_dir, adapter_dir, tokenizer=tokenizer, manner=manner, beside=beside)
    answering = ["base"] if adapter_dir is None else ["base", MINE]
    histories = Histories(
        {
            name: Conversation(generate, lay_out, systems.fits)
            for name, generate in systems.generators.items()
        },
        answering if side_by_side else answering[-1:],
        systems,
    )
    _converse(histories, console=console, manner=manner, read=read)


def _lay_out(tokenizer: object, manner: Manner) -> Callable[[Messages], str]:
    """Return the function from messages to a prompt."""
    from finetune.models.conversation import lay_out_of

    if manner.chat_template is None:
        return lambda messages: messages[-1]["content"]
    lay_out = lay_out_of(
        tokenizer, template=manner.chat_template, system_prompt=manner.system_prompt
    )
    return lay_out if manner.has_history else lambda messages: lay_out(messages[-1:])


def _converse(
    histories: Histories, *, console: Console, manner: Manner, read: Callable[[str], str]
) -> None:
    _greet(histories.answering, console=console, manner=manner)
    if histories.systems.adapters:
        show_adapters(histories, console=console)
    for line in typed_questions(read, prompt="" if console.json_lines else "> "):
        if line.startswith("/") and not line.startswith("//"):
            obey(line, histories, console=console)
            continue
        conversations = histories.answers()
        text = line[1:] if line.startswith("//") else line
        asked = manner.question.around(text) if manner.question else text
        before = {name: each.messages for name, each in conversations.items()}
        generations: dict[str, str] = {}
        try:
            _answer(conversations, asked, console=console, generations=generations)
        except KeyboardInterrupt:
            for name, each in conversations.items():
                each.messages = before[name]
            if not console.json_lines:
                _show(console, generations)
            console.say(sentence("Generation stopped."))
        else:
            _show(console, generations)


def _greet(systems: list[str], *, console: Console, manner: Manner) -> None:
    """Show the systems, the commands and the instruction around each text."""
    if len(systems) == 1:
        console.say(sentence("Chat with {system}. {help}", system=systems[0], help=HELP))
    else:
        first, second = systems
        greeting = sentence(
            "Chat with {first} and {second}. {help}", first=first, second=second, help=HELP
        )
        console.say(greeting)
    if manner.question is not None:
        console.say(
            sentence(
                "Each text is asked as in the evaluation, without those before it: {prompt!r} "
                "({direction})",
                prompt=manner.question.around("..."),
                direction=manner.question.direction,
            )
        )
    elif manner.chat_template is None:
        console.say(sentence("Each text is continued as it is, without a chat template."))


def _answer(
    conversations: Mapping[str, Conversation],
    asked: str,
    *,
    console: Console,
    generations: dict[str, str],
) -> None:
    """Fill `generations` with the answers, one system after the other, and show them as they grow.

    After an interruption they hold what was written until then.
    """
    generations |= dict.fromkeys(conversations, "")
    with console.growing(generations):
        for name, conversation in conversations.items():

            def grow(text: str, name: str = name) -> None:
                generations[name] = settled(text)

            generations[name] = conversation.say(asked, grow)


def _show(console: Console, generations: Mapping[str, str]) -> None:
    if console.json_lines:
        for name, text in generations.items():
            console.show(text, system=name)
        return
    if len(generations) == 1:
        console.show(next(iter(generations.values())) or "(empty)")
        return
    console.side_by_side({name: text or "(empty)" for name, text in generations.items()})
