"""Streaming XML reader: the elements of given names, one at a time, in bounded memory.

Parsing is defusedxml's, without entities. All other elements are dropped as they end, and the size
of an element is bounded, so that a file of any size is read in the memory of its largest element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError
from xml.parsers import expat

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.readers.guards import (
    SPLIT,
    cannot_read,
    defines_entities,
    library,
    opened,
    too_much,
)
from finetune.sources.files import SourceFile

MAX_ELEMENTS = 500_000
"""Elements in memory: inside a wanted element, or between two of them."""
MAX_TOTAL_ELEMENTS = 40_000_000
"""Elements in one member of an office file: half a minute to count them."""
MAX_PIECE_BYTES = 4 * 2**20
MAX_UNIT_BYTES = 64 * 2**20
"""Bytes of a file from one wanted element to the next."""


FAULTS = {
    expat.errors.XML_ERROR_NO_ELEMENTS: sentence("it ends before its elements do"),
    expat.errors.XML_ERROR_SYNTAX: sentence("it does not begin as XML"),
    expat.errors.XML_ERROR_INVALID_TOKEN: sentence("a sign stands where none may stand"),
    expat.errors.XML_ERROR_UNCLOSED_TOKEN: sentence("a tag is not closed"),
    expat.errors.XML_ERROR_TAG_MISMATCH: sentence(
        "a closing tag has another name than its element"
    ),
    expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE: sentence("an attribute stands there twice"),
    expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: sentence("something stands behind its end"),
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: sentence("an entity is not known"),
    expat.errors.XML_ERROR_UNKNOWN_ENCODING: sentence("its encoding is not known here"),
}
"""Messages of the parser, in words that are translated."""
OTHER_FAULT = sentence("it breaks a rule of XML")
NEAREST = 6
"""Elements around a wanted one that are named, besides the two outermost."""


@dataclass(slots=True)
class _Metered:
    """A stream that raises DataError once too much was read since the last wanted element."""

    stream: BinaryIO
    at: Place
    taken_bytes: int = 0

    def read(self, size: int = -1) -> bytes:
        if self.taken_bytes > MAX_UNIT_BYTES:
            limit = MAX_UNIT_BYTES // 2**20
            raise too_much(self.at, what=sentence("MiB in one part"), limit=limit, instead=SPLIT)
        # more at a time the longer nothing ends: the parser begins a long tag anew for each piece
        data = self.stream.read(max(size, min(self.taken_bytes // 16, MAX_PIECE_BYTES)))
        self.taken_bytes += len(data)
        return data


def elements(
    file: SourceFile, *names: str, form: str
) -> Iterator[tuple[tuple[Element, ...], Element]]:
    """Yield (the elements around it, element) of every outermost element of a name.

    Names are without their namespace. A document type may be named; it is never read. Raises
    DataError for a file that is no XML, defines entities, nests too deeply or has too much in one
    element.
    """
    defused = library("defusedxml.ElementTree", form=form)
    with opened(file) as raw, clear_xml(file.place()):
        stream = _Metered(raw, file.place())
        around: list[Element] = []
        ended: list[int] = []
        live = inside = 0
        for event, element in defused.iterparse(
            stream, events=("start", "end"), forbid_dtd=False, forbid_entities=True
        ):
            wanted = local(element) in names
            if event == "start":
                live += 1
                if live > MAX_ELEMENTS:
                    what = sentence("elements in one part")
                    raise too_much(file.place(), what=what, limit=MAX_ELEMENTS, instead=SPLIT)
                around.append(element)
                inside += wanted
                continue
            around.pop()
            inside -= wanted
            if inside:
                continue
            if wanted:
                # the outermost ones name languages, the nearest ones hold for the element
                yield (*around[:2], *around[max(2, len(around) - NEAREST) :]), element
                live = len(around)
                stream.taken_bytes = 0
            element.clear()
            if around:
                drop_ended(around, ended)


def drop_ended(around: Sequence[Element], ended: list[int]) -> None:
    """Drop the children of the innermost element that have ended, one of them just now.

    `ended`: number of those still there, by depth. They are dropped once they are half of its
    children: the parser is ahead by a block, and each drop moves all that follow.
    """
    ended += [0] * (len(around) - len(ended))
    del ended[len(around) :]
    ended[-1] += 1
    if 2 * ended[-1] >= len(around[-1]):
        del around[-1][: ended[-1]]
        ended[-1] = 0


@contextmanager
def clear_xml(at: Place) -> Iterator[None]:
    """Turn exceptions of the parser into DataError; our own errors pass."""
    from defusedxml.common import DefusedXmlException

    try:
        yield
    except DataError:
        raise
    except DefusedXmlException:
        raise defines_entities(at) from None
    except OSError as error:
        raise cannot_read(at, error) from None
    except (ParseError, LookupError, ValueError) as error:
        if isinstance(error, ParseError) and at.part is None:
            at = replace(at, line=error.position[0])
        raise DataError(
            problem(
                "damaged-xml",
                "is not XML that can be read ({why}); export the file again",
                at=at,
                why=_fault(error),
            )
        ) from None


def _fault(error: ParseError | LookupError | ValueError) -> Sentence:
    """Return what the parser found wrong."""
    if isinstance(error, ParseError):
        return FAULTS.get(expat.ErrorString(error.code), OTHER_FAULT)
    return sentence("its encoding is not known here")


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def named(parent: Element, name: str) -> list[Element]:
    """Return the elements of a name directly inside another one."""
    return [child for child in parent if local(child) == name]


def refuse_large(stream: Any, *, at: Place, unit: str, what: Sentence, limit: int) -> None:
    """Count the elements of XML, for a library that builds all of a unit at once.

    Raises DataError for more than `limit` elements outside of `unit`, or in one of it (`what` in
    the message), and for any document type; expat.ExpatError for what is no XML.
    """
    live = total = 0

    def begin(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal live, total
        live += 1
        total += 1
        if live > limit or total > MAX_TOTAL_ELEMENTS:
            instead = sentence("export the text alone")
            raise too_much(at, what=what, limit=limit, instead=instead)

    def end(name: str) -> None:
        nonlocal live
        if name.rpartition(":")[2] == unit:
            live = 0

    def refuse(*_: object) -> None:
        raise defines_entities(at)

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.ParseFile(stream)
