"""Talk to base and adapter in the terminal: one line in, both answers out, side by side.

Each system keeps its own history, so that its second answer follows from its own first one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from finetune.errors import DataError
from finetune.output.console import Console
from finetune.spec.recipe import Quantization

Messages = list[dict[str, str]]
Template = Literal["model", "chatml", "plain"] | None


@dataclass(frozen=True, slots=True)
class Manner:
    """How the models are loaded, what a line is wrapped in, and how they answer."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy; above it answers are sampled (nucleus 0.95)."""
    chat_template: Template = "model"
    """Without a template there is no history: `plain` puts a newline behind the line, as training
    did between prompt and answer; None lets the model continue the line."""
    quantization: Quantization = "none"
    threads: int | None = None


_HELP = "/reset forgets the conversation, /quit or Ctrl-D ends."


@dataclass(slots=True)
class Conversation:
    """One system and what was said with it."""

    answer: Callable[[str], str]
    lay_out: Callable[[Messages], str]
    fits: Callable[[str], bool]
    messages: Messages = field(default_factory=list)

    def say(self, text: str) -> str:
        """Return the system's answer to a new line; the oldest turns go when the context is full.

        If the answer is interrupted the line is not kept either.
        """
        asked = [*self.messages, {"role": "user", "content": text}]
        while len(asked) > 1 and not self.fits(self.lay_out(asked)):
            asked = asked[2:]
        reply = self.answer(self.lay_out(asked))
        self.messages = [*asked, {"role": "assistant", "content": reply}]
        return reply


def talk(
    base_dir: Path,
    adapter_dir: Path | None,
    *,
    console: Console,
    manner: Manner,
    side_by_side: bool = True,
    read: Callable[[str], str] = input,
) -> None:
    """Read lines until /quit or the end of input, and show what the systems answer.

    `base_dir` is a transformers folder. With an adapter and `side_by_side` both systems answer,
    else the adapter alone; without an adapter the base. Raises RecipeError if the base has no chat
    template and one is asked for.
    """
    from finetune.models.load import load_tokenizer
    from finetune.models.template import chat_template_of, prompt_text

    tokenizer = load_tokenizer(base_dir)
    template = manner.chat_template
    if template in ("model", "chatml"):
        chat_template_of(tokenizer, template)  # refused here, before the model is loaded

    def lay_out(messages: Messages) -> str:
        if template in ("model", "chatml"):
            return prompt_text(tokenizer, messages)
        return messages[-1]["content"] + ("\n" if template == "plain" else "")

    from finetune.chat.systems import load_systems

    systems = load_systems(base_dir, adapter_dir, tokenizer=tokenizer, manner=manner)
    names = list(systems.answers) if side_by_side else list(systems.answers)[-1:]
    _converse(
        {name: Conversation(systems.answers[name], lay_out, systems.fits) for name in names},
        console=console,
        read=read,
    )


def _converse(
    conversations: Mapping[str, Conversation], *, console: Console, read: Callable[[str], str]
) -> None:
    console.say(f"Talking to {' and '.join(conversations)}. {_HELP}")
    for line in _lines(read, prompt="" if console.json_lines else "> "):
        if line == "/reset":
            for conversation in conversations.values():
                conversation.messages = []
            console.say("The conversation is forgotten.")
        elif line.startswith("/"):
            console.say(f"There is no command {line.split()[0]}. {_HELP}")
        else:
            try:
                answers = {name: each.say(line) for name, each in conversations.items()}
            except KeyboardInterrupt:
                console.say("Stopped answering.")
                continue
            _show(console, answers)


def _lines(read: Callable[[str], str], *, prompt: str) -> Iterator[str]:
    """Yield lines that say something, until /quit, Ctrl-D or Ctrl-C."""
    if read is input and sys.stdin.isatty():
        import readline  # noqa: F401  # importing it gives input() editing and history
    else:
        prompt = ""
    while True:
        try:
            line = read(prompt).strip()
            line.encode("utf-8")
        except (EOFError, KeyboardInterrupt):
            return
        except UnicodeError as error:
            raise DataError(
                f"chat: the input is not UTF-8 ({error}); convert it, or use a UTF-8 terminal"
            ) from error
        if line == "/quit":
            return
        if line:
            yield line


def _show(console: Console, answers: Mapping[str, str]) -> None:
    if console.json_lines:
        for name, answer in answers.items():
            console.say(answer, system=name)
        return
    if len(answers) == 1:
        console.say(next(iter(answers.values())) or "(nothing)")
        return
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(expand=True)
    for name in answers:
        table.add_column(name, ratio=1, overflow="fold")
    table.add_row(*(answer or "(nothing)" for answer in answers.values()))
    RichConsole(file=console.out, markup=False, highlight=False).print(table, markup=False)
