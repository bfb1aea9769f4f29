"""YAML with line numbers: text -> plain values plus the place of every value.

YAML 1.2 (`no` is a string, `1e-4` a number). Aliases, tags and duplicate keys are refused: a
recipe or card means what a reader sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from finetune.errors import RecipeError

MAX_SIZE_BYTES = 4 * 2**20
MAX_DEPTH = 40
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: 1-based line and column, and the scalar as written."""

    line: int
    column: int
    raw: str | None
    source: str | None = None
    """Where the value comes from if not from the document itself (`--set ...`)."""


@dataclass(slots=True)
class Document:
    """Plain values of a YAML text and the place of each, by path."""

    values: Any
    places: dict[Path_, Place]
    source: str

    def where(self, path: Path_) -> str:
        """Return `file:line:column` of a path, or of its nearest parent."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path)
        if place and place.source:
            return place.source
        return f"{self.source}:{place.line}:{place.column}" if place else self.source


def shown(path: Path_) -> str:
    """Spell a path as people do.

    >>> shown(("corpora", 1, "card"))
    'corpora[1].card'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_text(path: Path) -> str:
    """Read a UTF-8 file of a person; RecipeError if it is missing, too large or not UTF-8."""
    try:
        if path.stat().st_size > MAX_SIZE_BYTES:
            raise RecipeError(
                f"{path}: larger than {MAX_SIZE_BYTES // 2**20} MiB; is it this file?"
            )
        data = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise RecipeError(
            f"{path}:{line}:{column}: byte 0x{data[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from None


def parse(text: str, *, source: str, as_hub_reads: bool = False) -> Document:
    """Parse YAML 1.2 text.

    `as_hub_reads` also demands that every scalar means the same under YAML 1.1, which is what
    the Hub reads cards with. Raises RecipeError with every problem found.
    """
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        hint = "; indent with spaces, not tabs" if "\\t" in str(error.problem) else ""
        raise RecipeError(f"{at}: not YAML: {error.problem or error.context}{hint}") from None
    except YAMLError as error:
        raise RecipeError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise RecipeError(f"{source}: nested too deeply") from None
    except ValueError as error:  # the scanner on impossible escapes such as "\UFFFFFFFF"
        raise RecipeError(f"{source}: not YAML: {error}") from None
    if node is None:
        raise RecipeError(f"{source}: the file is empty")
    builder = _Builder(source=source, as_hub_reads=as_hub_reads)
    values = builder.build(node, ())
    if builder.problems:
        raise RecipeError(*builder.problems)
    return Document(values=values, places=builder.places, source=source)


def hidden_controls(document: Document) -> list[str]:
    """Say where a value holds an invisible control that makes text look like other text.

    Bidirectional embeddings, overrides and isolates (Boucher and Anderson 2021, "Trojan Source")
    and C0 controls; the marks that scripts need (joiners, left-to-right mark) are none of them.
    """
    problems = []
    for path, place in document.places.items():
        found = _HIDDEN.search(place.raw or "")
        if found:
            name = unicodedata.name(found.group(), "control character")
            problems.append(
                f"{document.where(path)}: {shown(path)}: holds U+{ord(found.group()):04X} "
                f"({name}), which makes text look like other text; remove it"
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


class _Builder:
    """Walks the node tree once, collecting values, places and problems."""

    def __init__(self, *, source: str, as_hub_reads: bool) -> None:
        self.source = source
        self.as_hub_reads = as_hub_reads
        self.places: dict[Path_, Place] = {}
        self.problems: list[str] = []
        self._seen: set[int] = set()

    def build(self, node: Node, path: Path_) -> Any:
        mark = node.start_mark
        if isinstance(node, ScalarNode) and node.style == ">":
            node.value = node.value.replace("\a", "")  # ruamel's own mark of a folded line end
        raw = node.value if isinstance(node, ScalarNode) else None
        self.places[path] = Place(mark.line + 1, mark.column + 1, raw)
        if id(node) in self._seen:
            return self._refuse(path, "aliases (*name) are not supported; write the value out")
        self._seen.add(id(node))
        if len(path) > MAX_DEPTH:
            return self._refuse(path[:MAX_DEPTH], "nested too deeply")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path) if isinstance(node, ScalarNode) else None

    def _mapping(self, node: MappingNode, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, child in node.value:
            at = f"{self.source}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            if not isinstance(key, ScalarNode):
                self.problems.append(f"{at}: a key must be a plain word")
                continue
            if key.value in values:
                self.problems.append(f"{at}: {shown((*path, key.value))}: key given twice")
            values[key.value] = self.build(child, (*path, key.value))
        return values

    def _scalar(self, node: ScalarNode, path: Path_) -> Any:
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if self.as_hub_reads and node.style is None:
            self._same_under_1_1(node.value, tag, path)
        if node.style is not None or tag in ("str", "timestamp", "merge", "value"):
            return node.value
        if tag in _READ:
            try:
                return _READ[tag](node.value)
            except ValueError:  # e.g. an octal with a 9: a word after all
                return node.value
        return self._refuse(path, f"the tag {tag!r} is not supported")

    def _same_under_1_1(self, value: str, tag: str, path: Path_) -> None:
        import yaml  # only cards need it

        old = yaml.SafeLoader("").resolve(yaml.ScalarNode, value, (True, False))
        old = old.removeprefix("tag:yaml.org,2002:")
        octal = tag == "int" and len(value) > 1 and value.lstrip("+-").startswith("0")
        if (old != tag and not (old == "null" and value == "")) or octal:
            self._refuse(
                path,
                f"{value!r} is read by the Hub as {old} (YAML 1.1) and by this program as {tag}; "
                f"quote it: '{value}'",
            )

    def _refuse(self, path: Path_, why: str) -> None:
        place = self.places[path] if path in self.places else Place(1, 1, None)
        name = f" {shown(path)}:" if path else ""
        self.problems.append(f"{self.source}:{place.line}:{place.column}:{name} {why}")
