"""Escaping of foreign text in Markdown files.

For CommonMark and what GitHub and the Hub add to it: tables, footnotes, strikethrough, autolinks,
formulas, emoji. A word that a renderer would link or typeset (an address, `@name`, `$x$`)
becomes code, the only form in which every renderer leaves it alone.
"""

from __future__ import annotations

import json
import re

from finetune.output.terminal import one_line, safe

_SPACE = re.compile("[ \\t\\n\\r\\f\\v\\x85\\u2028\\u2029]+")
"""Word separators of Markdown; a no-break space is a letter of its word."""
_STEP_IN = re.compile(r"://|www\.|[@$\\]|:[a-z0-9_+-]+:|\{[{%#]|\bmailto:|\bxmpp:", re.IGNORECASE)
"""Patterns that renderers link, typeset or replace after reading the escapes."""
_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;"}
_MARKUP = re.compile(r"[*\[\]~&<>|`]|(?<![^\W_])_|_(?![^\W_])|!(?=$)")
_LINE_START = re.compile(r"[#=:]|[+-](?!\d)|\d{1,9}(?=[.)](?:\s|$))")
"""Line starts that make a heading, a list or a table of this or the previous line."""


class Markdown(str):
    """Text that is Markdown already: a template shows it as it is."""

    __slots__ = ()


def inline(text: object) -> Markdown:
    r"""Return a text as one line of Markdown that shows it: in a table, a list, a paragraph.

    White space counts as one space; what a terminal would obey is shown as an escape.

    >>> inline("a|b <i> *c* [x](y)"), inline("- hau_Latn, 5 %"), inline("mail me@example.org")
    ('a\\|b &lt;i&gt; \\*c\\* \\[x\\](y)', '\\- hau_Latn, 5 %', 'mail `me@example.org`')
    """
    if isinstance(text, Markdown):
        return text
    words = [word for word in _SPACE.split(str(text)) if word]
    shown = " ".join(_word(one_line(word)) for word in words)
    shown = re.sub(r"^\s+|\s+$", lambda kept: "".join(f"&#{ord(c)};" for c in kept.group()), shown)
    shown = re.sub(r"(?<= )#+$", r"\\\g<0>", shown)  # or it closes a heading
    start = _LINE_START.match(shown)
    if start is None:
        return Markdown(shown)
    if start.group()[0].isdigit():
        return Markdown(f"{start.group()}\\{shown[start.end() :]}")
    return Markdown(f"\\{shown}")


def link(text: object, address: str | None) -> Markdown:
    """Return a link to a page, or the text alone if the address is none of http or https.

    >>> link("terms", "https://example.org/a"), link("terms", "javascript:alert(1)")
    ('[terms](https://example.org/a)', 'terms')
    """
    if address is None or not re.match(r"https?://[^/\s]", address):
        return inline(text)
    target = re.sub(r"[\s<>\\`|*_\[\]]", _percent, "".join(map(one_line, address)))
    pointed = f"<{target}>" if "(" in target or ")" in target else target
    return Markdown(f"[{inline(text)}]({pointed})")


def code_block(text: str, *, language: str = "text") -> Markdown:
    """Return a block that shows a text of several lines; no line of it can close the block."""
    lines = safe(text.replace("\r\n", "\n").replace("\r", "\n"))
    longest = max(map(len, re.findall("`+", lines)), default=0)
    fence = "`" * max(4, longest + 1)
    return Markdown(f"{fence}{language}\n{lines}\n{fence}")


def literal(text: str) -> Markdown:
    r"""Return a text as a literal of Python or JSON in a block of code; letters stay letters.

    >>> literal('say "hi"\n\x9b')
    '"say \\"hi\\"\\n\\x9b"'
    """
    return Markdown(safe(json.dumps(text, ensure_ascii=False)))


def plain(text: object) -> str:
    """Return a text as one line of a text file (NOTICE, LICENSE) in which nothing is a tag.

    >>> plain("Amina <amina@example.org>"), plain("<script>")
    ('Amina <amina@example.org>', '< script>')
    """
    words = (one_line(word) for word in _SPACE.split(str(text)) if word)
    return re.sub(
        r"<(?=[A-Za-z/!?])(?![\w.+-]+@[\w.-]+>|https?://[^\s<>]+>)", "< ", " ".join(words)
    )


def _word(word: str) -> str:
    if not _STEP_IN.search(word):
        return _MARKUP.sub(_escaped, word)
    return r"\|".join(_code(part) if part else "" for part in word.split("|"))


def _code(word: str) -> str:
    longest = max(map(len, re.findall("`+", word)), default=0)
    fence = "`" * (longest + 1)
    space = " " if word[0] == "`" or word[-1] == "`" else ""
    return f"{fence}{space}{word}{space}{fence}"


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    return _ENTITY.get(character, f"\\{character}")


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())
