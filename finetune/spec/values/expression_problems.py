"""Errors of regular expressions in cards, each with what to write instead."""

from __future__ import annotations

import re

from finetune.errors import Unfit
from finetune.messages import problem, sentence

REFUSED = {
    "ASSERT": (
        sentence("look-ahead and look-behind"),
        sentence("match the text around it as well, in one expression"),
    ),
    "ASSERT_NOT": (
        sentence("look-ahead and look-behind"),
        sentence("write what may stand there, for example [^a] for anything but a"),
    ),
    "GROUPREF": (sentence("a back reference"), sentence("write out what may come twice")),
    "GROUPREF_EXISTS": (
        sentence("a condition on a group"),
        sentence("write both cases with | between them"),
    ),
    "ATOMIC_GROUP": (sentence("an atomic group"), sentence("write a plain group: (?:...)")),
    "POSSESSIVE_REPEAT": (
        sentence("a possessive repeat"),
        sentence("remove the + behind the repeat"),
    ),
}
"""Part of an expression that cannot be searched in linear time -> (its name, a replacement)."""


class ExpressionError(Unfit):
    """An expression that cannot be used, with what to write instead."""


def too_long(written: str, *, most: int) -> ExpressionError:
    """Return the error of an expression of too many characters."""
    return ExpressionError(
        problem(
            "long-expression",
            "{expression!r} has {count} characters; {most} are allowed. List short words, or "
            "search for what they have in common",
            expression=written[:40] + "...",
            count=len(written),
            most=most,
        )
    )


def ambiguous(written: str, warning: Warning) -> ExpressionError:
    """Return the error of notation with another meaning in other tools: [[:alpha:]], [a&&b]."""
    return ExpressionError(
        problem(
            "ambiguous-expression",
            "{expression!r} contains signs with another meaning elsewhere ({why}); a literal sign "
            "needs a \\ before it",
            expression=_short(written),
            why=str(warning),
        )
    )


def not_parsed(written: str, error: Exception) -> ExpressionError:
    """Return the error of what Python cannot parse."""
    if not isinstance(error, re.error):
        return ExpressionError(
            problem(
                "no-expression",
                "{expression!r} cannot be read: {why}",
                expression=_short(written),
                why=str(error),
            )
        )
    return ExpressionError(
        problem(
            "no-expression",
            "{expression!r} is no regular expression: {why} at character {character:d}; a literal "
            "sign needs a \\ before it",
            expression=_short(written),
            why=error.msg,
            character=(error.pos or 0) + 1,
        )
    )


def many_boundaries(written: str, count: int, *, most: int) -> ExpressionError:
    """Return the error of too many word boundaries."""
    return ExpressionError(
        problem(
            "many-boundaries",
            "{expression!r} has {count} word boundaries or ends, repeats included; {most} are "
            "allowed. Put the boundary outside of the repeated group",
            expression=_short(written),
            count=count,
            most=most,
        )
    )


def too_deep(written: str, *, most: int) -> ExpressionError:
    """Return the error of too many groups inside groups."""
    return ExpressionError(
        problem(
            "deep-expression",
            "{expression!r} has more than {most} levels of groups; write it flatter",
            expression=_short(written),
            most=most,
        )
    )


def refused(written: str, part: str) -> ExpressionError:
    """Return the error of a part that cannot be searched in linear time (a key of REFUSED)."""
    name, instead = REFUSED[part]
    return ExpressionError(
        problem(
            "slow-expression",
            "{expression!r} contains {part}, which cannot be searched in linear time; {instead}",
            expression=_short(written),
            part=name,
            instead=instead,
        )
    )


def too_large(written: str, *, repeats: int | None = None) -> ExpressionError:
    """Return the error of an expression that is too large; `repeats`: the maximum of a repeat."""
    if repeats is not None:
        return ExpressionError(
            problem(
                "large-expression",
                "{expression!r} is too large: it repeats more than {most} times; use smaller "
                "numbers of repeats, or none (x+)",
                expression=_short(written),
                most=repeats,
            )
        )
    return ExpressionError(
        problem(
            "large-expression",
            "{expression!r} is too large when its repeats are written out; use smaller numbers of "
            "repeats, or none (x+)",
            expression=_short(written),
        )
    )


def unknown_part(part: str) -> ExpressionError:
    """Return the error of a part that this version does not know."""
    return ExpressionError(
        problem("unknown-part", "an expression contains {part}, which is unknown", part=part)
    )


def _short(written: str) -> str:
    return written if len(written) <= 60 else written[:60] + "…"
