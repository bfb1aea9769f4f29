"""Reader of exported chats (WhatsApp, Telegram): a text per message, without date and sender.

The lines of Android (`01/05/2024, 09:12 - Name: text`), of iOS (`[01.05.24, 10:02:11] Name:
text`), and those copied from Telegram (`Name, [01.05.24 10:02]` above the text) are known in every
order of the date, with 12 and 24 hours. A line that does not begin so belongs to the message above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

from finetune.errors import DataError
from finetune.messages import counted, sentence
from finetune.messages.problem import Problem
from finetune.readers.guards import too_much
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.reasons import CHAT_NOTICE
from finetune.readers.record import Record, Rejection, Unit
from finetune.sources.files import SourceFile
from finetune.sources.zipped import uncompressed_name
from finetune.spec.card import CorpusBlock
from finetune.spec.formats import PLAIN
from finetune.spec.values.table_keys import Encoding

HEAD_LINES = 400
MIN_MESSAGES, MIN_SHARE = 3, 0.3
"""Lines at the top of a file that begin a message, at least: number, and share of the lines."""
MAX_SENDERS = 500
MAX_MESSAGE_LINES = 10_000
_MARKS = "[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*"
_DATE = rf"\d{{1,4}}{_MARKS}[./-]\d{{1,2}}{_MARKS}[./-]\d{{1,4}}"
_GAP = "[ \u00a0\u202f]"
_TIME = rf"\d{{1,2}}[:.h]\d{{2}}(?:[:.]\d{{2}})?(?:{_GAP}?[^\W\d_]\.?{_GAP}?[^\W\d_]{{0,4}}\.?)?"
_START = re.compile(
    rf"{_MARKS}\[?{_DATE}[,\u060c]?{_GAP}?(?:[^\W\d_]{{1,4}}{_GAP})?{_TIME}(?:\]|{_GAP}[-\u2013]){_GAP}(.*)",
    re.DOTALL,
)
_SENDER = re.compile(
    rf"{_MARKS}+(?:~{_GAP}?{_MARKS}+)?([^:]{{1,60}}?){_MARKS}+:(?:{_GAP}|$)(.*)", re.DOTALL
)
_AROUND = f"[{_MARKS[1:-2]}{_GAP[1:-1]}]"
_EDITED = re.compile(
    rf"(?:(?<!{_AROUND}){_AROUND}++)?<(?=[^<>\n]*+>{_MARKS}+$)"
    rf"[^<>\n]*?(?:edit|modifi|bearbeit)[^<>\n]*+>{_MARKS}+",
    re.IGNORECASE,
)
_ABOVE = re.compile(rf"{_MARKS}+([^\[\]\n]{{1,60}}?),{_GAP}\[{_DATE},?{_GAP}{_TIME}\]:?\s*$")
"""Sender and time in a line above the text, as Telegram copies messages."""
_NOTICE = re.compile(
    r"<[^<>\n]{3,80}>"
    r"|\S{1,80}\.\w{2,4}(?: \([^()\n]*\))"
    r"|(?:image|video|audio|sticker|gif|document|contact card)( \w+)? (?:omitted|absente?|omise?)"
    r"|(?:this message was deleted|you deleted this message|missed (?:voice|video) call"
    r"|waiting for this message.*|ce message a \u00e9t\u00e9 supprim\u00e9"
    r"|vous avez supprim\u00e9 ce message"
    r"|(?:se )?elimin\u00f3 este mensaje|mensagem apagada|essa mensagem foi apagada"
    r"|diese nachricht wurde gel\u00f6scht|null)\.?",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Message:
    line: int
    sender: str
    """Empty for a notice of the program."""
    lines: list[str]

    @property
    def text(self) -> str:
        """Return its text without marks of the program."""
        return _EDITED.sub("", "\n".join(self.lines)).strip("\u200e\u200f \n")


def is_chat_export(file: SourceFile) -> bool:
    """Return whether a file is called plain text and is an exported chat."""
    if PurePosixPath(uncompressed_name(file.name)).suffix.lower() not in PLAIN.suffixes:
        return False
    return _begins_as_chat(file, "utf-8")


def refuse_chat_export(file: SourceFile, *, encoding: Encoding) -> None:
    """Raise DataError for plain text that is an exported chat: it names its senders."""
    if _begins_as_chat(file, encoding):
        senders = len(_senders(file, encoding))
        raise DataError(
            Problem(
                "text-is-a-chat",
                counted(
                    "is an exported chat with {count} sender; write `format: chat-export` in the "
                    "card, which reads the messages without dates and names",
                    "is an exported chat with {count} senders; write `format: chat-export` in the "
                    "card, which reads the messages without dates and names",
                    senders,
                ),
                file.place(),
            )
        )


def read_chat_export(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Messages of exported chats, each with its sender as contributor; senders' names are masked.

    Raises DataError while the card does not state `personal_names`, as a chat names people.
    """
    for file in files:
        senders = _senders(file, corpus.encoding)
        if senders and corpus.personal_names == "not-stated":
            raise DataError(_names_not_stated(file, len(senders)))
        names = tuple(sorted({name for sender in senders for name in parts_of_name(sender)}))
        for message in _messages(file, corpus.encoding):
            at, text = file.place(message.line), message.text
            if not message.sender or _NOTICE.fullmatch(text):
                yield Rejection(at, CHAT_NOTICE, text)
            else:
                yield Record(at, {"text": text}, message.sender, names)


def _names_not_stated(file: SourceFile, senders: int) -> Problem:
    return Problem(
        "chat-names-not-stated",
        counted(
            "is an exported chat with {count} sender, and the card does not state whether people "
            "are named in it; ask them, and write `personal_names` (`finetune cards new "
            "--personal-names`)",
            "is an exported chat with {count} senders, and the card does not state whether people "
            "are named in it; ask them, and write `personal_names` (`finetune cards new "
            "--personal-names`)",
            senders,
        ),
        file.place(),
    )


def _begins_as_chat(file: SourceFile, encoding: Encoding) -> bool:
    lines = (line for _, line in numbered_lines(file, encoding=encoding) if line.strip())
    head = list(islice(lines, HEAD_LINES))
    messages = sum(bool((begun := _begun(line)) and begun[0]) for line in head)
    return messages >= max(MIN_MESSAGES, MIN_SHARE * len(head))


def _begun(line: str) -> tuple[str, str] | None:
    """Return sender and first line of the message that a line begins; no sender for a notice."""
    if above := _ABOVE.match(line):
        return above[1], ""
    start = _START.match(line)
    if start is None:
        return None
    sender = _SENDER.match(start[1])
    return (sender[1], sender[2]) if sender else ("", start[1])


def _messages(file: SourceFile, encoding: Encoding) -> Iterator[_Message]:
    message: _Message | None = None
    for number, line in numbered_lines(file, encoding=encoding):
        begun = _begun(line)
        if begun is None:
            if message is not None:
                message.lines.append(line)
                if len(message.lines) > MAX_MESSAGE_LINES:
                    what = sentence("lines in one message")
                    instead = sentence("is it an exported chat?")
                    raise too_much(
                        file.place(number), what=what, limit=MAX_MESSAGE_LINES, instead=instead
                    )
            elif line.strip():
                yield _Message(number, "", [line])
            continue
        if message is not None:
            yield message
        sender, first = begun
        message = _Message(number, sender, [first])
    if message is not None:
        yield message


def _senders(file: SourceFile, encoding: Encoding) -> set[str]:
    """Return the senders of a chat. DataError for more than any group has."""
    senders: set[str] = set()
    for message in _messages(file, encoding):
        if message.sender:
            senders.add(message.sender)
        if len(senders) > MAX_SENDERS:
            what, instead = sentence("senders"), sentence("is it an exported chat?")
            raise too_much(file.place(message.line), what=what, limit=MAX_SENDERS, instead=instead)
    return senders


def parts_of_name(sender: str) -> Iterator[str]:
    """Yield the name of a person, and its parts that look like names."""
    if any(character.isalpha() for character in sender):
        yield sender
        yield from (part for part in sender.split() if len(part) > 2 and part[:1].isupper())
