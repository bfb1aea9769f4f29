"""Jinja environments: for web pages that open offline, for Markdown, for shell scripts.

Every page extends `base.html.j2`, which holds the style sheet, and draws with the macros of
`parts.html.j2`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from finetune.messages import available
from finetune.output import markdown

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

    Values are escaped; an unknown name raises jinja2.UndefinedError. `filters` and `names` are for
    the templates of `package`, beside the shared macros.
    """
    from jinja2 import ChoiceLoader, PackageLoader

    loader = ChoiceLoader([PackageLoader(package, "."), PackageLoader(_ROOM, ".")])
    made = _strict(loader=loader, autoescape=True)  # texts of a corpus are data, whatever they hold
    made.filters |= {"number": number, "autonym": autonym, "bcp47": bcp47}
    made.globals["message_languages"] = available()  # a page may have `languages` of its own
    made.filters.update(filters or {})
    made.globals.update(names or {})
    return made


def markdown_environment(
    package: str, *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> Environment:
    """Return the environment of templates in `package` that are Markdown.

    What is filled in is text, shown as it was written and never markup, unless a function made
    `Markdown` of it: `link`, `literal` and `code_block` do (finetune/output/markdown.py).
    """
    from jinja2 import PackageLoader

    made = _strict(loader=PackageLoader(package, "."), autoescape=False, finalize=markdown.inline)
    made.filters["literal"] = markdown.literal
    made.filters["code_block"] = markdown.code_block
    made.filters["link"] = markdown.link
    made.filters.update(filters or {})
    return made


def text_environment(
    package: str, *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> Environment:
    """Return the environment of templates in `package` that are a shell's.

    Nothing is escaped: `filters` quote what people wrote.
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


def autonym(language: str) -> str:
    """Return the name of a language in that language, for the switch of a page.

    >>> autonym("fr"), autonym("en")
    ('Français', 'English')
    """
    import langcodes  # loaded on use: costs 80 ms

    name = langcodes.Language.get(language).autonym()
    return name[:1].upper() + name[1:]


def bcp47(language: str) -> str:
    """Return the tag of a language of messages (`pt_BR`) for HTML (`pt-BR`)."""
    return language.replace("_", "-")


def number(value: float) -> str:
    """Return a count with a narrow space between thousands, as both English and French read it.

    >>> number(1234567)
    '1\\u202f234\\u202f567'
    """
    return f"{value:,}".replace(",", "\u202f")
