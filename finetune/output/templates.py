"""Jinja environments: one for web pages that open offline, one for Markdown and shell scripts.

Every page extends `base.html.j2`, which holds the style sheet, and draws with the macros of
`parts.html.j2`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_ROOM = "finetune.output"


def environment(
    package: str,
    *,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Environment:
    """Return the environment of the web pages whose templates lie in `package`.

    What is filled in is escaped; a name that nobody gave raises jinja2.UndefinedError. `filters`
    and `names` are what the templates of `package` may use beside the shared macros.
    """
    from jinja2 import ChoiceLoader, PackageLoader

    loader = ChoiceLoader([PackageLoader(package, "."), PackageLoader(_ROOM, ".")])
    made = _strict(loader=loader, autoescape=True)  # texts of a corpus are data, whatever they hold
    made.filters["number"] = number
    made.filters.update(filters or {})
    made.globals.update(names or {})
    return made


def text_environment(
    package: str, *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> Environment:
    """Return the environment of templates in `package` that are no HTML.

    Nothing is escaped: `filters` defuse what people wrote, for Markdown or for a shell.
    """
    from jinja2 import PackageLoader

    made = _strict(loader=PackageLoader(package, "."), autoescape=False)
    made.filters.update(filters or {})
    return made


def _strict(**options: Any) -> Environment:
    from jinja2 import Environment, StrictUndefined

    return Environment(  # noqa: S701, the callers above say for which kind of text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def number(value: float) -> str:
    """Return a count with a narrow space between thousands, as both English and French read it.

    >>> number(1234567)
    '1\\u202f234\\u202f567'
    """
    return f"{value:,}".replace(",", "\u202f")
