"""Texts as a person types them: lines, blocks of several lines, and lines of a file or pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from finetune.errors import DataError
from finetune.messages import Place, problem

BLOCK = '"""'
"""Begins and ends a text of several lines, on a line of its own or at either end of the text."""
QUIT = "/quit"


def typed_questions(read: Callable[[str], str], *, prompt: str) -> Iterator[str]:
    """Yield texts that are not empty until /quit, Ctrl-D or Ctrl-C.

    Lines that were typed before come again with the arrow keys. They are kept for this process
    alone: what a person asks may be personal, and no file of it is written. Ctrl-C in a block
    discards the block. Raises DataError for bytes that are no UTF-8.
    """
    if read is input and sys.stdin.isatty():
        _edit_lines()
    else:
        prompt = ""
    while True:
        try:
            text = _line(read, prompt).strip()
        except (EOFError, KeyboardInterrupt):
            return
        if text.startswith(BLOCK):
            try:
                text = _block(read, text.removeprefix(BLOCK), prompt="... " if prompt else "")
            except KeyboardInterrupt:
                continue
        if text == QUIT:
            return
        if text:
            yield text


def _edit_lines() -> None:
    """Give input() editing and history; a text of several lines that is pasted stays one text."""
    import readline

    readline.set_auto_history(True)
    if "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set enable-bracketed-paste on")


def _block(read: Callable[[str], str], first: str, *, prompt: str) -> str:
    """Return the lines up to the end of a block, or of the input."""
    lines, line = [], first
    while not line.rstrip().endswith(BLOCK):
        lines.append(line)
        try:
            line = _line(read, prompt)
        except EOFError:
            return "\n".join(lines).strip()
    return "\n".join([*lines, line.rstrip().removesuffix(BLOCK)]).strip()


def _line(read: Callable[[str], str], prompt: str) -> str:
    line = read(prompt)
    try:
        line.encode("utf-8")
    except UnicodeError as error:
        raise DataError(
            problem(
                "input-not-utf8",
                "the input is not UTF-8 ({why}); convert it, or use a UTF-8 terminal",
                at=Place(key="chat"),
                why=str(error),
            )
        ) from error
    return line
