"""YAML with line numbers: text -> plain values plus the place of every value.

YAML 1.2 (`no` is a string, `1e-4` a number). Aliases, tags and duplicate keys are refused: a
recipe or card means what a reader sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError, shortened
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.digits import whole_number
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.output.terminal import CONTROLS
from finetune.spec.values.yaml_nodes import MAX_DEPTH, Node, compose, too_deep

MAX_SIZE_BYTES = 4 * 2**20
MAX_YAML_CHARACTERS = 2**20
"""More than the front matter of a card with thousands of files."""
_HIDDEN = re.compile(CONTROLS)
_HALF = re.compile("[\ud800-\udfff]")
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column of a value (from 1), and the scalar as written."""

    line: int
    column: int
    raw: str | None
    source: str | None = None
    """Origin of a value that is not in the document itself (`--set ...`)."""


@dataclass(slots=True)
class Document:
    """Plain values of a YAML text and the place of each, by path."""

    values: Any
    places: dict[Path_, Position]
    source: str

    def at(self, path: Path_) -> Place:
        """Return file, line and column of a path, or of its nearest parent, with its key."""
        key = shown(path)
        while path and path not in self.places:
            path = path[:-1]
        written = self.places.get(path)
        if written is None:
            return Place(self.source, key=key)
        if written.source:
            return Place(written.source, key=key)
        return Place(self.source, written.line, written.column, key=key)

    def located(self, found: Problem, path: Path_) -> Problem:
        """Return a problem of the value at `path`; a key that it has is one inside that value."""
        inner = typed_place(found.place.key) if found.place and found.place.key else ()
        return found.at(self.at((*path, *inner)))


def shown(path: Path_) -> str:
    """Return a path in the notation of `--set`.

    >>> shown(("corpora", 1, "card"))
    'corpora[1].card'
    """
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if at else part
        for at, part in enumerate(path)
    )


def read_text(path: Path) -> str:
    """Read a UTF-8 text file; RecipeError if it is missing, too large or not UTF-8."""
    try:
        data = read_bytes(path, max_bytes=MAX_SIZE_BYTES)
    except UnreadableError as error:
        raise RecipeError(
            problem("unreadable-file", "{why}; is it this file?", at=Place(path), why=error.why)
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise RecipeError(
            problem("cannot-be-read", "cannot be read: {why}", at=Place(path), why=why)
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise RecipeError(
            problem(
                "not-utf-8",
                "byte 0x{byte:02x} is not UTF-8; save the file as UTF-8",
                at=Place(path, line, column),
                byte=data[error.start],
            )
        ) from None


def parse(text: str, *, source: str, as_hub_reads: bool = False) -> Document:
    """Parse YAML 1.2 text.

    `as_hub_reads` also demands that every scalar means the same under YAML 1.1, which is what
    the Hub reads cards with. Raises RecipeError with every problem found. Time grows with the
    length of the text: size, depth and number of values are bounded.
    """
    if len(text) > MAX_YAML_CHARACTERS:
        raise RecipeError(
            problem(
                "too-much-yaml",
                "{count} characters of YAML, and at most {most} are read; is it this file?",
                at=Place(source),
                count=len(text),
                most=MAX_YAML_CHARACTERS,
            )
        )
    root = compose(text, source=source)
    builder = _Builder(source=source, as_hub_reads=as_hub_reads)
    values = builder.build(root, ())
    if builder.problems:
        raise RecipeError(*builder.problems)
    return Document(values=values, places=builder.places, source=source)


def override(document: Document, given: str) -> None:
    """Change one value of a document with `KEY=VALUE` of `--set`; RecipeError if it cannot be."""
    source = f"--set {shortened(given, most=200)}"
    key, equals, text = given.partition("=")
    if not equals or not key.strip():
        raise RecipeError(
            problem(
                "no-key-value",
                "write it as key=value, for example train.max_steps=20",
                at=Place(source),
            )
        )
    value = parse(text if text.strip() else "''", source=source)
    path = typed_place(key.strip())
    if len(path) > MAX_DEPTH:
        raise RecipeError(
            problem(
                "key-too-deep",
                "a recipe has at most {most} levels, and this key {count}",
                at=Place(source),
                most=MAX_DEPTH,
                count=len(path),
            )
        )
    missing = RecipeError(
        problem(
            "no-such-key",
            "there is no {key!r} in the recipe",
            at=Place(source),
            key=shortened(key.strip(), most=80),
        )
    )
    target = document.values
    for part in path[:-1]:
        if isinstance(target, dict) and isinstance(part, str):
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            target = target[part]
        else:
            raise missing
    last = path[-1]
    if not isinstance(target, dict) and not (
        isinstance(target, list) and isinstance(last, int) and last < len(target)
    ):
        raise missing
    target[last] = value.values  # type: ignore[index]  # checked just above
    for known in [p for p in document.places if p[: len(path)] == path]:
        del document.places[known]
    for place, written in value.places.items():
        document.places[(*path, *place)] = replace(written, source=source)


def typed_place(key: str) -> Path_:
    """Return the path of a key as it is typed on the command line.

    >>> typed_place("corpora[1].card")
    ('corpora', 1, 'card')
    """
    parts = key.replace("[", ".").replace("]", "").split(".")
    return tuple(part if (n := whole_number(part)) is None else n for part in parts)


def hidden_controls(document: Document, *, but: Collection[str] = ()) -> list[Problem]:
    """Return a problem for each value with an invisible control that disguises text.

    Bidirectional embeddings, overrides and isolates (Boucher and Anderson 2021, "Trojan Source")
    and C0 and C1 controls; the marks that scripts need (joiners, left-to-right mark) are none of
    them. `but` are keys whose values are no text for people.
    """
    problems = []
    for path, written in document.places.items():
        match = _HIDDEN.search(written.raw or "")
        if match and not (path and path[-1] in but):
            control = match.group()[0]
            problems.append(
                problem(
                    "hidden-control",
                    "contains U+{code:04X} ({name}), which makes text look like other text; "
                    "remove it",
                    at=document.at(path),
                    code=ord(control),
                    name=unicodedata.name(control, "control character"),
                )
            )
    return problems


def _read_int(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if digits[:2].lower() in ("0x", "0o") else int(digits)


def _read_float(text: str) -> float:
    return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


_READ: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _read_int,
    "float": _read_float,
}


@cache
def _resolver_of_1_1() -> Any:
    from yaml.resolver import Resolver  # only cards need it

    return Resolver()


def _tag_under_1_1(text: str) -> str:
    from yaml.nodes import ScalarNode

    tag: str = _resolver_of_1_1().resolve(ScalarNode, text, (True, False))
    return tag.removeprefix("tag:yaml.org,2002:")


class _Builder:
    """Walks the node tree once, collecting values, places and problems."""

    def __init__(self, *, source: str, as_hub_reads: bool) -> None:
        self.source = source
        self.as_hub_reads = as_hub_reads
        self.places: dict[Path_, Position] = {}
        self.problems: list[Problem] = []

    def build(self, node: Node, path: Path_) -> Any:
        raw: str | None = node.value if isinstance(node.value, str) else None
        if raw and (half := _HALF.search(raw)):
            node.value = raw = _HALF.sub("?", raw)
            self._half(node, half[0])
        self.places[path] = Position(node.line, node.column, raw)
        if node.kind == "alias":
            why = sentence("aliases (*name) are not supported; write the value out")
            return self._refuse(path, problem("yaml-alias", why))
        if len(path) > MAX_DEPTH:
            return self._refuse(path[:MAX_DEPTH], too_deep())
        if node.kind == "mapping":
            return self._mapping(node, path)
        if node.kind == "sequence":
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: Node, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, child in node.value:
            at = Place(self.source, key.line, key.column)
            if not isinstance(key.value, str):
                self.problems.append(problem("no-plain-key", "a key must be a plain word", at=at))
                continue
            if half := _HALF.search(key.value):
                key.value = _HALF.sub("?", key.value)
                self._half(key, half[0])
            if key.value in values:
                at = replace(at, key=shown((*path, key.value)))
                self.problems.append(problem("key-twice", "key given twice", at=at))
            inner = (*path, key.value)
            values[key.value] = self.build(child, inner)
            if child.line > key.line and child.kind in ("mapping", "sequence"):
                # a section is where its key is, not where what stands below it begins
                self.places[inner] = Position(key.line, key.column, None)
        return values

    def _half(self, node: Node, letter: str) -> None:
        """Refuse half of a character: no file, key or checksum can contain one."""
        self.problems.append(
            problem(
                "half-character",
                "contains U+{code:04X}, which is half a character; remove it",
                at=Place(self.source, node.line, node.column),
                code=ord(letter),
            )
        )

    def _scalar(self, node: Node, path: Path_) -> Any:
        if self.as_hub_reads and node.is_plain:
            self._same_under_1_1(node.value, node.tag, path)
        if not node.is_plain or node.tag in ("str", "timestamp", "merge", "value"):
            return node.value
        if node.tag in _READ:
            try:
                return _READ[node.tag](node.value)
            except ValueError:  # e.g. an octal with a 9: a word after all
                return node.value
        why = sentence("the tag {tag!r} is not supported", tag=node.tag)
        return self._refuse(path, problem("yaml-tag", why))

    def _same_under_1_1(self, value: str, tag: str, path: Path_) -> None:
        old = _tag_under_1_1(value)
        octal = tag == "int" and len(value) > 1 and value.lstrip("+-").startswith("0")
        if (old != tag and not (old == "null" and value == "")) or octal:
            self._refuse(
                path,
                problem(
                    "unquoted-value",
                    "{value!r} is read by the Hub as {old} (YAML 1.1) and by this program as "
                    "{new}; quote it",
                    value=value,
                    old=old,
                    new=tag,
                ),
            )

    def _refuse(self, path: Path_, found: Problem) -> None:
        written = self.places[path] if path in self.places else Position(1, 1, None)
        at = Place(self.source, written.line, written.column, key=shown(path))
        self.problems.append(found.at(at))
