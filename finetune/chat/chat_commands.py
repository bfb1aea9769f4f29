"""Commands of a chat: lines that begin with a slash."""

from __future__ import annotations

from finetune.chat.histories import Histories
from finetune.messages import sentence
from finetune.output.console import Console

HELP = sentence(
    "/help shows the commands, /reset starts a new conversation, Ctrl-C stops an answer, /quit or "
    "Ctrl-D ends."
)
_COMMANDS = (
    ("/help", sentence("shows this list")),
    ("/reset", sentence("starts a new conversation: what was said is forgotten")),
    ("/adapters", sentence("lists the adapters (--adapter) with their memory")),
    ("/use NAME", sentence("lets another adapter answer; each has its own history")),
    ("/quit, Ctrl-D", sentence("ends")),
    ("Ctrl-C", sentence("stops an answer; what was said before it stays, the answer is forgotten")),
    ('"""', sentence("begins a text of several lines, and ends it, on a line of its own")),
    ("//...", sentence("a text that begins with a slash")),
)
MIB = 2**20


def obey(line: str, histories: Histories, *, console: Console) -> None:
    """Obey a command of the user; one that is not known is answered with those that are."""
    command, *words = line.split(maxsplit=1)
    if command == "/reset":
        histories.forget()
        console.say(sentence("New conversation."))
    elif command == "/help":
        _show_help(console)
    elif command == "/adapters":
        show_adapters(histories, console=console)
    elif command == "/use":
        _use(words[0].strip() if words else "", histories, console=console)
    else:
        console.say(sentence("Unknown command {command}. {help}", command=command, help=HELP))


def show_adapters(histories: Histories, *, console: Console) -> None:
    """Show each adapter with its memory, and which one answers."""
    adapters = histories.systems.adapters
    if not adapters:
        console.say(sentence("There is one adapter at most; --adapter NAME=FOLDER adds others."))
    for name, loaded in adapters.items():
        active = name in histories.answering
        facts = {"adapter": name, "active": active, "size_bytes": loaded.size_bytes}
        facts |= {"load_seconds": round(loaded.load_seconds, 3)}
        megabytes, seconds = loaded.size_bytes / MIB, loaded.load_seconds
        if active:
            said = sentence(
                "{name}: {size:.1f} MiB, loaded in {seconds:.2f} s (answers now)",
                name=name,
                size=megabytes,
                seconds=seconds,
            )
        else:
            said = sentence(
                "{name}: {size:.1f} MiB, loaded in {seconds:.2f} s",
                name=name,
                size=megabytes,
                seconds=seconds,
            )
        console.say(said, **facts)


def _use(name: str, histories: Histories, *, console: Console) -> None:
    adapters = histories.systems.adapters
    if name not in adapters:
        known = list(adapters) or "-"
        console.say(
            sentence("There is no adapter {name!r}; known: {known}", name=name, known=known)
        )
        return
    seconds = histories.use(name)
    console.say(
        sentence(
            "Now answering: {name} (switched in {milliseconds:.1f} ms).",
            name=name,
            milliseconds=1000 * seconds,
        ),
        adapter=name,
        switch_seconds=round(seconds, 6),
    )


def _show_help(console: Console) -> None:

    for command, what in _COMMANDS:
        console.say(sentence("{command}: {what}", command=command, what=what))
