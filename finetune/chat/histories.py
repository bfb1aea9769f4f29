"""Systems of a chat with their histories: those that answer, and those that wait for their turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Messages = list[dict[str, str]]
OnText = Callable[[str], None]
Generator = Callable[[str, OnText], str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Cost of an adapter beside its base."""

    size_bytes: int
    """Memory of its matrices."""
    load_seconds: float


@dataclass(frozen=True, slots=True)
class Systems:
    """Generators by system, and the limit of their prompts."""

    generators: dict[str, Generator]
    fits: Callable[[str], bool]
    """True if a prompt and its generation fit into the model's context."""
    adapters: dict[str, Loaded] = field(default_factory=dict)
    """Adapters that stand beside each other; empty for one alone."""
    switch: Callable[[str], float] = lambda _: 0.0
    """Make an adapter the active one; returns the seconds that it took."""


@dataclass(slots=True)
class Conversation:
    """One system and its history."""

    generate: Generator
    lay_out: Callable[[Messages], str]
    fits: Callable[[str], bool]
    messages: Messages = field(default_factory=list)

    def say(self, text: str, on_text: OnText = lambda _: None) -> str:
        """Return the generation for a question; the oldest turns are dropped from a full context.

        `on_text` is called with the answer so far. An interrupted generation leaves the history
        unchanged.
        """
        messages = [*self.messages, {"role": "user", "content": text}]
        while len(messages) > 1 and not self.fits(self.lay_out(messages)):
            messages = messages[2:]
        reply = self.generate(self.lay_out(messages), on_text)
        self.messages = [*messages, {"role": "assistant", "content": reply}]
        return reply


@dataclass(slots=True)
class Histories:
    """Conversations by system, and the names of those that answer now."""

    conversations: dict[str, Conversation]
    answering: list[str]
    systems: Systems

    def answers(self) -> dict[str, Conversation]:
        """Return the conversations that get the next question."""
        return {name: self.conversations[name] for name in self.answering}

    def use(self, name: str) -> float:
        """Let another adapter answer in the place of the last one; return the seconds it took."""
        seconds = self.systems.switch(name)
        self.answering[-1] = name
        return seconds

    def forget(self) -> None:
        """Begin new conversations, in all systems."""
        for conversation in self.conversations.values():
            conversation.messages = []
