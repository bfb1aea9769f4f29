"""The chat loop in the terminal: one line in, generations of base and adapter side by side.

Each system keeps its own history, so that its second answer follows from its own first one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.spec.sections.base_model import Quantization

Messages = list[dict[str, str]]
Template = Literal["model", "chatml", "plain"] | None


@dataclass(frozen=True, slots=True)
class Manner:
    """Loading, chat format and decoding of a chat."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy; above it, generations are sampled (nucleus 0.95)."""
    chat_template: Template = "model"
    """Without a template there is no history: `plain` appends a newline, as training did between
    prompt and target; None lets the model continue the line."""
    system_prompt: str = "base"
    """`prepare.system_prompt` of the recipe."""
    quantization: Quantization = "none"
    threads: int | None = None


_HELP = "/reset starts a new conversation, /quit or Ctrl-D ends."


@dataclass(slots=True)
class Conversation:
    """One system and its history."""

    generate: Callable[[str], str]
    lay_out: Callable[[Messages], str]
    fits: Callable[[str], bool]
    messages: Messages = field(default_factory=list)

    def say(self, text: str) -> str:
        """Return the generation for a new line; the oldest turns are dropped from a full context.

        An interrupted generation leaves the history unchanged.
        """
        messages = [*self.messages, {"role": "user", "content": text}]
        while len(messages) > 1 and not self.fits(self.lay_out(messages)):
            messages = messages[2:]
        reply = self.generate(self.lay_out(messages))
        self.messages = [*messages, {"role": "assistant", "content": reply}]
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
    """Read lines until /quit or the end of input, and show the generations of the systems.

    `base_dir` is a transformers folder. With an adapter and `side_by_side` both systems generate,
    else the adapter alone; without an adapter the base. Raises RecipeError if the base has no chat
    template and one is asked for.
    """
    from finetune.models.load import load_tokenizer
    from finetune.models.system_prompt import SystemPrompt, system_prompt_of
    from finetune.models.template import chat_template_of, prompt_text

    tokenizer = load_tokenizer(base_dir)
    template = manner.chat_template
    system = SystemPrompt()
    if template in ("model", "chatml"):  # refused here, before the model is loaded
        chat_template_of(tokenizer, template)
        system = system_prompt_of(tokenizer, manner.system_prompt)

    def lay_out(messages: Messages) -> str:
        if template in ("model", "chatml"):
            return prompt_text(tokenizer, system.arranged(messages))
        return messages[-1]["content"] + ("\n" if template == "plain" else "")

    from finetune.chat.systems import load_systems

    systems = load_systems(base_dir, adapter_dir, tokenizer=tokenizer, manner=manner)
    names = list(systems.generators) if side_by_side else list(systems.generators)[-1:]
    _converse(
        {name: Conversation(systems.generators[name], lay_out, systems.fits) for name in names},
        console=console,
        read=read,
    )


def _converse(
    conversations: Mapping[str, Conversation], *, console: Console, read: Callable[[str], str]
) -> None:
    console.say(f"Chat with {' and '.join(conversations)}. {_HELP}")
    for line in _lines(read, prompt="" if console.json_lines else "> "):
        if line == "/reset":
            for conversation in conversations.values():
                conversation.messages = []
            console.say("New conversation.")
        elif line.startswith("/"):
            console.say(f"Unknown command {line.split()[0]}. {_HELP}")
        else:
            try:
                generations = {name: each.say(line) for name, each in conversations.items()}
            except KeyboardInterrupt:
                console.say("Generation stopped.")
                continue
            _show(console, generations)


def _lines(read: Callable[[str], str], *, prompt: str) -> Iterator[str]:
    """Yield non-empty lines until /quit, Ctrl-D or Ctrl-C."""
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
                problem(
                    "input-not-utf8",
                    "the input is not UTF-8 ({why}); convert it, or use a UTF-8 terminal",
                    at=Place(key="chat"),
                    why=str(error),
                )
            ) from error
        if line == "/quit":
            return
        if line:
            yield line


def _show(console: Console, generations: Mapping[str, str]) -> None:
    if console.json_lines:
        for name, text in generations.items():
            console.show(text, system=name)
        return
    if len(generations) == 1:
        console.show(next(iter(generations.values())) or "(empty)")
        return
    console.side_by_side({name: text or "(empty)" for name, text in generations.items()})
