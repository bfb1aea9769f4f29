"""Texts of a record: one text, one per language, or the turns of a conversation.

`cards check` and `prepare` read records here alike. A record that holds no texts of the card's kind
is a Rejection: malformed, or with a reason of its own (finetune.readers.reasons).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.readers.json_stream import not_json
from finetune.readers.reasons import MALFORMED, NON_TEXT_PART, UNSUPPORTED_ROLE
from finetune.readers.record import Record, Rejection
from finetune.spec.card import CorpusBlock
from finetune.text.shown import masked

ROLES: Mapping[str, str] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model"), "assistant"),
}
"""Spelling of a role (`role` or `from`) -> role."""
TOOL_ROLES = frozenset(
    {"tool", "tools", "function", "function_call", "function_response", "observation", "ipython"}
)
TOOL_KEYS = ("tool_calls", "function_call")
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
"""Types of parts of a content that hold text."""
CONTENT_KEYS = ("content", "value", "text")
SPEAKER_KEYS = ("role", "from", "name")
"""Keys of a turn whose values may be names of people, and are shown nowhere."""
TURN = '{"role": "system" | "user" | "assistant", "content": "text"}'
OTHER_TURN = '{"from": "human" | "gpt", "value": "text"}'
KINDS: Mapping[type, Sentence] = {
    str: sentence("text"),
    bool: sentence("true or false"),
    int: sentence("a number"),
    float: sentence("a number"),
    list: sentence("a list"),
    dict: sentence("an object"),
    bytes: sentence("binary data"),
    type(None): sentence("nothing"),
}
"""Type of a value -> its name for people."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a record: a field, or a turn of a conversation."""

    text: str
    language: str
    role: str = ""
    """Its speaker, in a conversation."""


Texts = Mapping[str, Text]
"""The texts of a record by name: `text`, a language, or the number of a turn."""


class _Unsupported(Exception):
    """A conversation that can be read but not trained on; its argument is the reason."""


def texts_of(record: Record, corpus: CorpusBlock) -> Texts | Rejection:
    """Return the texts of a record, an empty one where a value is missing, or its rejection."""
    try:
        if corpus.kind == "chat":
            return _turns(record, corpus.languages[0])
        parallel = corpus.kind == "parallel"
        return {
            name: Text(_text(record, name, value), name if parallel else corpus.languages[0])
            for name, value in record.fields.items()
        }
    except _Unsupported as reason:
        return Rejection(record.place, str(reason), _shown(record))
    except DataError as error:
        [first, *_] = error.problems
        return Rejection(first.place or record.place, MALFORMED, _shown(record), first)


def trained_turns(texts: Texts) -> tuple[str, ...]:
    """Return the names of the turns up to the last answer: what follows it teaches nothing.

    All of them if there is no answer.
    """
    names = tuple(texts)
    answers = [number for number, name in enumerate(names) if texts[name].role == "assistant"]
    return names[: answers[-1] + 1] if answers else names


def claims(texts: Texts) -> Iterator[tuple[str, str]]:
    """Yield the texts that are claimed to be in a language: (language, text).

    Of a conversation the answers, joined by line ends: questions and instructions may be in another
    language.
    """
    if any(text.role for text in texts.values()):
        answers = [text for text in texts.values() if text.role == "assistant"]
        if answers:
            yield answers[0].language, "\n".join(answer.text for answer in answers)
        return
    for text in texts.values():
        yield text.language, text.text


def _shown(record: Record) -> str:
    """Return the texts of a record that was not understood, for a list of rejected ones."""
    return masked("\n".join(_strings(list(record.fields.values()))), names=record.names)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if key not in SPEAKER_KEYS:
                yield from _strings(part)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for part in value:
            yield from _strings(part)


def _turns(record: Record, language: str) -> Texts:
    fields = record.fields
    turns: list[tuple[str, str]] = []
    if system := _text(record, "system", fields.get("system")):
        turns.append(("system", system))
    if "messages" in fields:
        turns += _conversation(record, "messages", fields["messages"], role="")
    else:
        turns += _instruction(record)
    return {str(number): Text(text, language, role) for number, (role, text) in enumerate(turns)}


def _instruction(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the turns of a record of instruction, input and answer, after earlier ones."""
    fields = record.fields
    yield from _history(record, fields.get("history"))
    asked = fields.get("instruction")
    if isinstance(asked, list):  # prompt and completion as lists of turns
        yield from _conversation(record, "instruction", asked, role="user")
    else:
        question = _text(record, "instruction", asked)
        context = _text(record, "input", fields.get("input"))
        yield "user", "\n\n".join(text for text in (question, context) if text)
    answer = fields.get("answer")
    if isinstance(answer, list):
        yield from _conversation(record, "answer", answer, role="assistant")
    else:
        yield "assistant", _text(record, "answer", answer)


def _history(record: Record, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the turns of earlier pairs of question and answer."""
    for pair in _list(record, "history", value):
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise _no_conversation(record, "history", pair)
        for role, text in zip(("user", "assistant"), pair, strict=True):
            yield role, _text(record, "history", text)


def _conversation(record: Record, name: str, value: Any, *, role: str) -> Iterator[tuple[str, str]]:
    """Yield role and text of the turns of a list; `role`: of a turn that states none."""
    for turn in _list(record, name, value):
        if not isinstance(turn, Mapping):
            raise _no_conversation(record, name, turn)
        written = turn.get("role", turn.get("from"))
        said_by = str(written).strip().lower() if written is not None else role
        if said_by in TOOL_ROLES or any(turn.get(key) for key in TOOL_KEYS):
            raise _Unsupported(UNSUPPORTED_ROLE)
        content = next((key for key in CONTENT_KEYS if key in turn), None)
        if said_by not in ROLES:
            raise _unknown_role(record, name, said_by)
        if content is None:
            raise _no_conversation(record, name, turn)
        yield ROLES[said_by], _content(record, f"{name}.{content}", turn[content])


def _list(record: Record, name: str, value: Any) -> Sequence[Any]:
    """Return a list, also one that is written as JSON in a column of a table."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise not_json(_field(record, name), error, column=0) from None
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        raise _no_conversation(record, name, value)
    return value


def _content(record: Record, name: str, value: Any) -> str:
    """Return the text of a content: a text, nothing, or parts."""
    if not isinstance(value, list | tuple):
        return _text(record, name, value)
    texts = []
    for part in value:
        is_typed = isinstance(part, Mapping)
        if is_typed and (part.get("type", "text") not in TEXT_PARTS or "text" not in part):
            raise _Unsupported(NON_TEXT_PART)
        texts.append(_text(record, name, part["text"] if is_typed else part))
    return "\n".join(texts)


def _text(record: Record, name: str, value: Any) -> str:
    """Return a text; nothing for a missing value, which tables write as NaN too."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        raise DataError(_not_text(record, name, value))
    return value


def kind_of(value: Any) -> Sentence:
    """Return the kind of a value, for people."""
    return KINDS.get(type(value)) or sentence(
        "a value of the type {name}", name=type(value).__name__
    )


def _unknown_role(record: Record, name: str, role: str) -> DataError:
    return DataError(
        problem(
            "unknown-role",
            "a turn has a role (length: {characters:d}) that is none of {known}; it is not "
            "shown, as it may be the name of a person; write `user` or `assistant` there",
            at=_field(record, name),
            characters=len(role),
            known=list(ROLES),
        )
    )


def _no_conversation(record: Record, name: str, value: Any) -> DataError:
    return DataError(
        problem(
            "no-conversation",
            "{kind} where the turns of a conversation are expected; write a list of {example} or "
            "{other}",
            at=_field(record, name),
            kind=kind_of(value),
            example=TURN,
            other=OTHER_TURN,
        )
    )


def _not_text(record: Record, name: str, value: Any) -> Problem:
    return problem(
        "field-without-text",
        "{kind} instead of a text; correct the record, or `columns` in the card",
        at=_field(record, name),
        kind=kind_of(value),
    )


def _field(record: Record, name: str) -> Place:
    """Return the place of a field of a record."""
    key = record.place.key
    return replace(record.place, key=f"{key}.{name}" if key else name)
