"""User-supplied templates: named fields in braces, no other feature of `format`.

`{text[a]}`, `{text.x}`, `{text!r}` and `{text:>999999999}` reach into values or cost what they
like, so they are refused; `{{` and `}}` are braces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from string import Formatter

from finetune.errors import Unfit
from finetune.messages import Problem, problem


def field_problem(template: str, *, known: Collection[str]) -> Problem | None:
    """Return what of a template is no named field of `known`; None if it can be filled.

    >>> field_problem("{text} in {name}", known=["text", "name"]) is None
    True
    >>> print(field_problem("{text!r}", known=["text"]))
    {text!r}: a field is a name alone, for example {text}, without `!`
    """
    try:
        for shown, name, odd in _fields(template):
            if odd:
                example = "{" + next(iter(known)) + "}"
                return problem(
                    "no-plain-field",
                    "{field}: a field is a name alone, for example {example}, without `{odd}`",
                    field=shown,
                    example=example,
                    odd=odd,
                )
            if name not in known:
                return problem(
                    "unknown-field",
                    "{field}: there is no such field; known: {known}",
                    field=shown,
                    known=["{" + one + "}" for one in known],
                )
    except ValueError as error:
        return problem(
            "no-template",
            "{why}; write {{{{ and }}}} for braces that stay",
            why=str(error),
        )
    return None


def named_fields(template: str) -> set[str]:
    """Return the names of the fields of a template that has no problem."""
    return {name for _, name, _ in _fields(template)}


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its fields filled in; ValueError for one that has a problem.

    >>> filled("{{{a}}}: {a}", {"a": "x"})
    '{x}: x'
    """
    if unfit := field_problem(template, known=values):
        raise Unfit(unfit)
    return "".join(
        literal + ("" if name is None else values[name])
        for literal, name, _, _ in Formatter().parse(template)
    )


def _fields(template: str) -> Iterator[tuple[str, str, str]]:
    """Yield each field as (as written, shortened; its name; what it must not have)."""
    for _, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        odd = "!" if conversion else ":" if spec else ""
        odd = odd or next((sign for sign in ".[" if sign in name), "")
        shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        yield f"{{{shown[:40]}}}", name, odd
