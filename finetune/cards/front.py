"""Values -> YAML front matter that means the same to the Hub (YAML 1.1) and to us (1.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*(?: [A-Za-z0-9][A-Za-z0-9_.,+-]*)*")
_WORDS_OF_1_1 = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
)
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
"""Characters that JSON leaves bare and YAML reads as line ends or refuses."""


def front_matter(values: Mapping[str, Any]) -> str:
    """Return the block between the two `---`, without them.

    >>> print(front_matter({"language": ["no"], "corpus": {"kind": "text"}}), end="")
    language:
      - "no"
    corpus:
      kind: text
    """
    return "".join(_lines(values, indent=0))


def _lines(value: Mapping[str, Any], *, indent: int) -> list[str]:
    lines = []
    for key, entry in value.items():
        lines += _entry(f"{' ' * indent}{key}:", entry, indent=indent)
    return lines


def _entry(head: str, value: Any, *, indent: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [f"{head}\n", *_lines(value, indent=indent + 2)]
    if isinstance(value, list) and value:
        return [f"{head}\n", *(line for item in value for line in _item(item, indent=indent + 2))]
    return [f"{head} {_scalar(value)}\n"]


def _item(value: Any, *, indent: int) -> list[str]:
    if not isinstance(value, Mapping) or not value:
        return [f"{' ' * indent}- {_scalar(value)}\n"]
    first, *rest = _lines(value, indent=indent + 2)
    return [f"{' ' * indent}- {first.lstrip()}", *rest]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_1_1
        return value if plain else quoted(value)
    return json.dumps(value, ensure_ascii=False)


def quoted(text: str) -> str:
    r"""Return text between quotation marks, as JSON and YAML both read it.

    >>> quoted("a\u2028b"), quoted('ñaar "x"')
    ('"a\\u2028b"', '"ñaar \\"x\\""')
    """
    return _UNSAFE.sub(
        lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False)
    )
