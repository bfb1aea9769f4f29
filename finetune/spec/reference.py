"""The reference page of a model (recipe or card), written from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

from pydantic import BaseModel

HEADER = """\
# {title} reference

{about}

Written from the schema by `make docs`; edit the docstrings in `finetune/spec/`, not this page.
A key that is not on this page is an error.

"""

Schema = Mapping[str, Any]
WIDTH = 118
WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def markdown(model: type[BaseModel], *more: type[BaseModel]) -> str:
    """Return a Markdown page with one list per section: key, type, default, meaning.

    `more`: models of other files that belong to it, each under a heading with its name.
    """
    schema = model.model_json_schema()
    parts = [HEADER.format(title=model.__name__, about=_paragraph(schema))]
    parts += _lists(schema, top="The file", about="Top level.")
    for other in more:
        schema = other.model_json_schema()
        parts += _lists(schema, top=other.__name__, about=_paragraph(schema))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _lists(schema: Schema, *, top: str, about: str) -> list[str]:
    parts = []
    for depth, heading, section in _sections(schema):
        head, text = (heading, _paragraph(section)) if depth else (top, about)
        parts.append(f"## {head}\n\n{fill(text, WIDTH, **WHOLE_WORDS)}\n\n{_list(section, schema)}")
    return parts


def _sections(schema: Schema) -> Iterator[tuple[int, str, Schema]]:
    """Yield every section once, in the order in which the keys lead to them."""
    seen: set[str] = set()
    yield 0, "", schema
    waiting = _leads(schema, prefix="")
    while waiting:
        name, heading = waiting.pop(0)
        if name not in seen:
            heading = ", ".join([heading, *(h for n, h in waiting if n == name)])
            seen.add(name)
            section = schema["$defs"][name]
            yield 1, heading, section
            waiting += _leads(section, prefix=heading.partition(":")[0] + ".")


def _leads(section: Schema, *, prefix: str) -> list[tuple[str, str]]:
    """Return (section name, heading) of every key that leads to a section."""
    found = []
    for key, value in _keys(section):
        names = _references(value)
        for name in names:
            found.append((name, f"{prefix}{key}: {name}" if len(names) > 1 else prefix + key))
    return found


def _list(section: Schema, schema: Schema) -> str:
    """Return one item per key, wrapped: rows of a table would not fit a terminal."""
    needed = set(section.get("required", ()))
    items = []
    for key, value in _keys(section):
        default = "required" if key in needed else f"default: {_default(value)}"
        item = f"- `{key}` ({_takes(value)}; {default}): {_meaning(value, schema)}"
        items.append(fill(item, WIDTH, subsequent_indent="  ", **WHOLE_WORDS))
    return "\n".join(items) + "\n"


def _keys(section: Schema) -> list[tuple[str, Schema]]:
    return list(section.get("properties", {}).items())


def _references(value: Schema) -> list[str]:
    """Return the names of the sections that a value leads to."""
    if "$ref" in value:
        return [str(value["$ref"]).rsplit("/", 1)[-1]]
    inner = [value["items"]] if isinstance(value.get("items"), dict) else []
    options = [*value.get("anyOf", ()), *value.get("oneOf", ()), *inner]
    return [name for option in options for name in _references(option)]


def _takes(value: Schema) -> str:
    """Say in words what a key takes.

    >>> _takes({"type": "integer", "minimum": 16})
    'integer, at least 16'
    >>> _takes({"anyOf": [{"enum": ["auto"]}, {"type": "integer"}]})
    '`auto` or integer'
    """
    options = [*value.get("anyOf", ()), *value.get("oneOf", ())]
    options = [option for option in options if option.get("type") != "null"]
    if options:
        return " or ".join(dict.fromkeys(_takes(option) for option in options))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "$ref" in value:
        return f"section {_references(value)[0]}"
    if value.get("type") == "array":
        return f"list of {_takes(value.get('items', {}))}"
    words = {"boolean": "`true` or `false`", "object": "keys and values", "string": "text"}
    kind = str(value.get("type", "anything"))
    return ", ".join([words.get(kind, kind), *_limits(value)])


def _limits(value: Schema) -> list[str]:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
    }
    limits = [text.format(value[key]) for key, text in words.items() if key in value]
    return limits + ([f"matching `{value['pattern']}`"] if "pattern" in value else [])


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None:
        return "none"
    if isinstance(default, Mapping):
        return "see below" if default else "none"
    text = default if isinstance(default, str) else json.dumps(default)
    return f"`{json.dumps(text) if text == '' or chr(10) in text else text}`"


def _meaning(value: Schema, schema: Schema) -> str:
    own = _paragraph(value)
    names = _references(value)
    return own or (_paragraph(schema["$defs"][names[0]]) if names else "")


def _paragraph(value: Schema) -> str:
    return " ".join(str(value.get("description", "")).split())
