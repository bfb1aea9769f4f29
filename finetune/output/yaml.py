"""YAML with the same meaning in versions 1.1 and 1.2: the Hub reads 1.1, this program 1.2."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

_HEAD = "%YAML 1.1\n---\n"


def yaml_text(values: Mapping[str, Any]) -> str:
    """Return mappings, lists and scalars as block YAML, in their order, one scalar per line.

    >>> print(yaml_text({"language": ["no", "wo"], "corpus": {"kind": "text"}}), end="")
    language:
      - 'no'
      - wo
    corpus:
      kind: text
    """
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.Resolver, writer.Representer = _classes()
    writer.version = (1, 1)  # numbers as 1.1 writes them, which 1.2 reads as well
    writer.default_flow_style = False
    writer.representer.sort_base_mapping_type_on_output = False
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 2**31  # a line of a person stays one line
    out = io.StringIO()
    writer.dump(values, out)
    return out.getvalue().removeprefix(_HEAD)


@cache
def _classes() -> tuple[Any, Any]:
    """Return what decides on quotation marks, and what gives every value its own place."""
    from ruamel.yaml.representer import SafeRepresenter
    from ruamel.yaml.resolver import VersionedResolver, implicit_resolvers

    patterns: dict[str, list[Any]] = {}
    for _, tag, pattern, firsts in implicit_resolvers:  # of YAML 1.1 and of 1.2
        for first in firsts:
            patterns.setdefault(first, []).append((tag, pattern))

    class BothVersions(VersionedResolver):
        """Says what a plain scalar would be to either version; a text that it is not is quoted."""

        versioned_resolver = patterns

    class Spelled(SafeRepresenter):
        """Writes a value out wherever it stands, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            """Say that no value refers to another."""
            return True

        def represent_str(self, data: str) -> Any:
            """Return a text, with escapes instead of line ends."""
            style = None if data.isprintable() else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Spelled.add_representer(str, Spelled.represent_str)
    return BothVersions, Spelled
