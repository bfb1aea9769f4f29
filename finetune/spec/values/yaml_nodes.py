"""YAML 1.2 text as a tree of nodes with their places.

Ordinary documents are parsed by libyaml's event parser, in C. Anything else (anchors, tags,
directives, rare line ends, every error) is left to ruamel.yaml, whose messages people see. What
both accept has the same tree; only the place of an empty value differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence

MAX_DEPTH = 40
MAX_NODES = 40_000
"""Keys and values together; a second or two of reading."""


@dataclass(slots=True)
class Node:
    """A value of a document and its place."""

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    line: int
    """1-based, as `column`."""
    column: int
    value: Any
    """A scalar's text, a sequence's nodes, a mapping's pairs of nodes."""
    tag: str = ""
    """Of a scalar under YAML 1.2: `str`, `int`, `float`, `bool`, `null`, ..."""
    is_plain: bool = False
    """True if a scalar is written without quotation marks and is no block."""


def compose(text: str, *, source: str) -> Node:
    """Return the root of a document.

    Raises RecipeError with file:line:column for what is not YAML, nested too deeply, too much, or
    empty.
    """
    root = _composed_by_libyaml(text, source=source) or _composed_by_ruamel(text, source=source)
    if root is None:
        raise RecipeError(problem("empty-file", "the file is empty", at=Place(source)))
    return root


_RARE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]|^%",
    re.MULTILINE,
)
"""Controls, tabs, other line ends, byte order marks, directives: rare in YAML."""

# YAML 1.2 as ruamel.yaml resolves plain scalars: first letters -> (tag, pattern)
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|[0-9_]+|0x[0-9a-fA-F_]+)")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?"
)
_NUMBERS: Sequence[tuple[str, re.Pattern[str]]] = (
    ("float", _FLOAT),
    ("int", _INT),
    ("timestamp", _TIMESTAMP),
)
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), "bool"),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), "null"),
    "<<": "merge",
    "=": "value",
}


def tag_of(text: str) -> str:
    """Return what a plain scalar is under YAML 1.2.

    >>> [tag_of(text) for text in ("no", "1e-4", "0o17", "12:30:00", "true", "", "2026-01-31")]
    ['str', 'float', 'int', 'str', 'bool', 'null', 'timestamp']
    """
    if tag := _WORDS.get(text):
        return tag
    if text[0] in "-+.0123456789":
        for tag, pattern in _NUMBERS:
            if pattern.fullmatch(text):
                return tag
    return "str"


class _Rare(Exception):
    """Something that ruamel.yaml has to judge."""


def _composed_by_libyaml(text: str, *, source: str) -> Node | None:
    """Return the root of an ordinary document; None for any other and for one with an error.

    Raises RecipeError for one that is nested too deeply or too much.
    """
    if _RARE.search(text):
        return None
    import yaml

    if not yaml.__with_libyaml__:
        return None
    parser = yaml.cyaml.CParser(text)
    try:
        return _Events(parser.get_event).document()
    except _TooMuchError as error:
        raise error.refused(source) from None
    except (_Rare, yaml.YAMLError):
        return None
    finally:
        parser.dispose()


class _Events:
    """Builds nodes from the events of a parser."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        from yaml import events

        self._next = next_event
        self._kinds = events
        self._nodes = 0

    def document(self) -> Node:
        """Return the root of the one document."""
        self._expect(self._kinds.StreamStartEvent)
        start = self._expect(self._kinds.DocumentStartEvent)
        if start.version or start.tags:
            raise _Rare
        root = self._node(self._next(), depth=1)
        self._expect(self._kinds.DocumentEndEvent)
        self._expect(self._kinds.StreamEndEvent)
        return root

    def _expect(self, kind: type) -> Any:
        event = self._next()
        if type(event) is not kind:
            raise _Rare
        return event

    def _node(self, event: Any, *, depth: int) -> Node:
        self._nodes += 1
        kinds, kind, mark = self._kinds, type(event), event.start_mark
        if kind is kinds.AliasEvent or event.anchor or event.tag:
            raise _Rare
        place = mark.line + 1, mark.column + 1
        if depth > MAX_DEPTH + 1:
            raise _TooMuchError(too_deep(), Place("", *place))
        if self._nodes > MAX_NODES:
            raise _TooMuchError(_too_many(), Place("", *place))
        if kind is kinds.ScalarEvent:
            is_plain = not event.style
            tag = tag_of(event.value) if is_plain else "str"
            return Node("scalar", *place, event.value, tag=tag, is_plain=is_plain)
        if kind is kinds.SequenceStartEvent:
            items = []
            while type(item := self._next()) is not kinds.SequenceEndEvent:
                items.append(self._node(item, depth=depth + 1))
            return Node("sequence", *place, items)
        pairs = []
        while type(key := self._next()) is not kinds.MappingEndEvent:
            named = self._node(key, depth=depth + 1)
            pairs.append((named, self._node(self._next(), depth=depth + 1)))
        return Node("mapping", *place, pairs)


class _TooMuchError(Exception):
    """A document is deeper or larger than any recipe, card or site."""

    def __init__(self, found: Problem, at: Place) -> None:
        super().__init__(found)
        self.found, self.at = found, at

    def refused(self, source: str) -> RecipeError:
        """Return the error for people."""
        return RecipeError(self.found.at(replace(self.at, file=source)))


def too_deep() -> Problem:
    """Return the problem of a document with too many levels."""
    return problem("too-deep", "nested too deeply, more than {most} levels", most=MAX_DEPTH)


def _too_many() -> Problem:
    what = sentence("more than {most} keys and values", most=MAX_NODES)
    return problem("too-many-values", what)


def _not_yaml(at: Place, why: str | None, *, hint: Sentence) -> Problem:
    return problem("not-yaml", "not YAML: {why}{hint}", at=at, why=why or "", hint=hint)


def _composed_by_ruamel(text: str, *, source: str) -> Node | None:
    """Return the root of a document, None for an empty one; RecipeError as `compose`."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        root = _bounded_reader().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        has_tab = "\\t" in str(error.problem)
        hint = sentence("; indent with spaces, not tabs") if has_tab else phrase("")
        raise RecipeError(_not_yaml(at, error.problem or error.context, hint=hint)) from None
    except _TooMuchError as error:
        raise error.refused(source) from None
    except (YAMLError, ValueError, OverflowError, NotImplementedError) as error:
        # ValueError: the scanner on impossible escapes such as "\\UFFFFFFFF"
        why = " ".join(str(error).split())
        raise RecipeError(_not_yaml(Place(source), why, hint=phrase(""))) from None
    return None if root is None else _converted(root, seen=set())


def _bounded_reader() -> Any:
    """Return a reader that stops at what is nested too deeply or too much, before it is built."""
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer

    class Bounded(Composer):
        """Counts depth and nodes."""

        def __init__(self, loader: Any = None) -> None:
            super().__init__(loader=loader)
            self._depth = self._nodes = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            """Return the next node."""
            self._depth += 1
            self._nodes += 1
            if self._depth > MAX_DEPTH + 1:
                raise self._refused(too_deep())
            if self._nodes > MAX_NODES:
                raise self._refused(_too_many())
            node = super().compose_node(parent, index)
            self._depth -= 1
            return node

        def _refused(self, found: Problem) -> _TooMuchError:
            mark = self.loader.parser.peek_event().start_mark
            return _TooMuchError(found, Place("", mark.line + 1, mark.column + 1))

    reader = YAML(typ="rt", pure=True)
    reader.Composer = Bounded
    return reader


def _converted(node: Any, *, seen: set[int]) -> Node:
    """Return a node of ruamel.yaml as ours; one that was met before is an alias."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    place = node.start_mark.line + 1, node.start_mark.column + 1
    if isinstance(node, ScalarNode):
        # ruamel's own mark of a folded line end
        text = node.value.replace("\a", "") if node.style == ">" else node.value
        if id(node) in seen:
            return Node("alias", *place, text)
        seen.add(id(node))
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        return Node("scalar", *place, text, tag=tag, is_plain=node.style is None)
    if id(node) in seen:
        return Node("alias", *place, None)
    seen.add(id(node))
    if isinstance(node, MappingNode):
        pairs = [(_converted(k, seen=seen), _converted(v, seen=seen)) for k, v in node.value]
        return Node("mapping", *place, pairs)
    return Node("sequence", *place, [_converted(item, seen=seen) for item in node.value])
