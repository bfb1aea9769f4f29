"""The seal of the withdrawal list in its card: the line `corpus.withdrawals`."""

from __future__ import annotations

import re
from pathlib import Path

from finetune.cards.rewrite import rewrite
from finetune.spec.sections.people import Withdrawals

_BLOCK = re.compile(r"^corpus:[ \t]*(#.*)?\r?$")
_FLOW = re.compile(r"^(corpus:[ \t]*\{)(.*)$", re.DOTALL)
_OWN = re.compile(r"^[ \t]+withdrawals:[ \t]*\{[^}]*\}[ \t]*(#.*)?\r?$")
_INNER = re.compile(r"(?<=[{,])[ \t]*withdrawals:[ \t]*\{[^}]*\}[ \t]*,?")


def seal_card(path: Path, seal: Withdrawals) -> str | None:
    """Write number and checksum of the entries of the withdrawal list into the card.

    Returns None, or, where the line cannot be written (a read-only card, an unusual layout), the
    line that its owner has to write under `corpus:`; the card then stays as it was.
    """
    line = f'withdrawals: {{entries: {seal.entries}, sha256: "{seal.sha256}"}}'
    written = rewrite(path, lambda text: _with_line(text, line), corpus={"withdrawals": seal})
    return None if written else line


def _with_line(text: str, line: str) -> str | None:
    """Return a card with the line under `corpus:`, or None if there is no place for it."""
    lines = text.split("\n")
    ends = [i for i, one in enumerate(lines) if i and one.rstrip() == "---"]
    head = lines[: ends[0]] if ends else []
    ending = "\r" if lines[0].endswith("\r") else ""
    for number, one in enumerate(head):
        if _BLOCK.match(one):
            inside = next((i for i in range(number + 1, len(head)) if _OWN.match(head[i])), None)
            after = number + 1 if inside is None else inside + 1
            below = (o for o in head[number + 1 :] if o.strip() and o.lstrip()[0] != "#")
            model = next(below, "") if inside is None else head[inside]
            indent = model[: len(model) - len(model.lstrip())]
            before = lines[: number + 1 if inside is None else inside]
            return "\n".join([*before, indent + line + ending, *lines[after:]])
        if flow := _FLOW.match(one):
            whole = "\n".join([one, *lines[number + 1 :]])
            rest = _INNER.sub("", whole, count=1).removeprefix(flow[1])
            return "\n".join([*lines[:number], f"{flow[1]}{line}, {rest.lstrip(' ')}"])
    return None
