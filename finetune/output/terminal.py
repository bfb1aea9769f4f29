"""Escaping of untrusted text for terminals and logs, and rendering of error messages.

Escapes are written in Python's notation (`\\x1b`, `\\u202e`). Letters, combining marks, joiners and
the marks of right-to-left scripts are kept.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from finetune.errors import (
    MOST_PROBLEMS,
    OTHER,
    FinetuneError,
    InputError,
    more_problems,
    shortened,
)
from finetune.messages import ENGLISH, Problem, sentence
from finetune.output.folding import width_of, wrapped
from finetune.output.secrets import hide

CONTROLS = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 but tab and line ends, DEL, C1 (U+009B: a sequence)
    "\u2028\u2029"  # line and paragraph separator
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides, isolates
    "\ufff9-\ufffb\U000e0000-\U000e001f"  # annotations
    "\ud800-\udfff]"  # half a character
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"  # tags, but those of
    "|(?<=\U0001f3f4)[\U000e0020-\U000e007f]{9,}"  # a flag: Wales, Scotland
)
"""Characters that no readable text needs (a pattern): terminal controls, bidi overrides."""
UNSAFE = f"{CONTROLS}|[\r\xad\ufeff\u2060-\u2064\u206a-\u206f]"
"""Characters escaped for a terminal: also carriage returns and invisible ones (soft hyphens)."""
_UNSAFE = re.compile(UNSAFE)
_UNSAFE_OR_END = re.compile(f"\n|{UNSAFE}")


def safe(text: str) -> str:
    r"""Return multi-line text without control sequences that a terminal would execute.

    >>> safe("a\x1b[2J\nb\u202ec"), safe("ક્\u200dષ ߒߞߏ عربي")
    ('a\\x1b[2J\nb\\u202ec', 'ક્\u200dષ ߒߞߏ عربي')
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    r"""Return text as one safe line; line breaks are escaped as `\n`.

    >>> one_line("x\nrecipe.yaml: fine")
    'x\\nrecipe.yaml: fine'
    """
    return _UNSAFE_OR_END.sub(_escape, text)


def json_safe(line: str) -> str:
    r"""Return the same JSON value on one line, with control characters escaped.

    Control characters occur only inside JSON strings, where an escape is equivalent.

    >>> json_safe('{"a": "\x9b\u202e"}')
    '{"a": "\\u009b\\u202e"}'
    """
    return _UNSAFE.sub(_json_escape, line)


def message(text: str) -> str:
    """Return a message as one safe line of bounded length, with secrets redacted."""
    return one_line(shortened(hide(text)))


def problems_of(error: FinetuneError, *, language: str = ENGLISH) -> list[str]:
    """Return the problems of an error as messages: the first hundred and the number of more."""
    shown = [message(text) for one in _shown(error) for text in _texts(one, error, language)]
    more = len(error.problems) - MOST_PROBLEMS
    return [*shown, more_problems(more).in_language(language)] if more > 0 else shown


def problems_as_json(error: FinetuneError, *, language: str = ENGLISH) -> list[dict[str, Any]]:
    """Return the problems of an error as code, place, facts and message: the first hundred."""
    return [
        _as_json(one, text, language)
        for one in _shown(error)
        for text in _texts(one, error, language)
    ]


def _as_json(one: Problem, text: str, language: str) -> dict[str, Any]:
    values = one.as_json(language)
    given = {} if one.code == OTHER else values["facts"]
    facts = {k: shortened(v) if isinstance(v, str) else v for k, v in given.items()}
    return values | {"facts": facts, "message": message(text)}


def _shown(error: FinetuneError) -> Sequence[Problem]:
    return error.problems[:MOST_PROBLEMS]


def _texts(one: Problem, error: FinetuneError, language: str) -> list[str]:
    """Return the message of a problem; text of a library may have several lines."""
    text = one.in_language(language)
    return text.split("\n") if one.code == OTHER and not isinstance(error, InputError) else [text]


def is_one() -> bool:
    """Return whether standard error is a terminal, which a person reads."""
    return sys.stderr.isatty()


def aside(text: str) -> None:
    """Write one message to standard error, apart from the verb's output."""
    write_lines([message(text)])


def write_lines(lines: Sequence[str]) -> None:
    """Write messages that are already safe to standard error, one per line.

    Does nothing if standard error is closed or full.
    """
    with suppress(OSError, ValueError):
        text = "\n".join(wrapped(line, width_of(sys.stderr)) for line in lines)
        print(text, file=sys.stderr, flush=True)


def write_traceback(error: BaseException) -> None:
    """Write the traceback of an error to standard error, for `-v`."""
    text = "".join(traceback.format_exception(error))
    print(safe(hide(text)), end="", file=sys.stderr, flush=True)


def guard_libraries(*, language: str = ENGLISH) -> None:
    """Escape logs and warnings of libraries, and tracebacks of unexpected errors.

    Our own warnings are printed in `language`.
    """
    PlainWarning.language = language
    logging.setLogRecordFactory(_SafeRecord)
    if warnings.formatwarning is not _safe_warning:
        global _formatted  # noqa: PLW0603  # the previous formatter
        _formatted = warnings.formatwarning
        warnings.formatwarning = _safe_warning
    sys.excepthook = _write_unforeseen


class _SafeRecord(logging.LogRecord):
    """A log record whose message is escaped for every handler."""

    def getMessage(self) -> str:
        return safe(hide(super().getMessage()))


_formatted = warnings.formatwarning


class PlainWarning(FutureWarning):
    """A warning for users: printed as one message, without a source line."""

    language = ENGLISH
    """Language it is printed in; `str(warning)` is English."""

    def __init__(self, what: Problem) -> None:
        self.sentence = sentence("warning: {what}", what=what)
        super().__init__(str(self.sentence))


def _safe_warning(*arguments: object, **more: object) -> str:
    if isinstance(arguments[0], PlainWarning):
        return f"{message(arguments[0].sentence.in_language(PlainWarning.language))}\n"
    return safe(hide(_formatted(*arguments, **more)))  # type: ignore[arg-type]  # passed on


def _write_unforeseen(
    kind: type[BaseException],  # noqa: ARG001, the signature is given
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    write_traceback(error.with_traceback(trace))


def _json_escape(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", errors="surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return character.encode("unicode_escape", errors="surrogatepass").decode("ascii")
