"""Reader of USFM files (Paratext): one text per verse or paragraph, or pairs by verse.

Titles are texts of their own. Notes, references, remarks and verses that are still empty are
rejected and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from finetune.errors import DataError
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.readers.fieldwork.groups import join, root_of
from finetune.readers.fieldwork.usfm_markers import POETRY, Step, is_usfm, steps
from finetune.readers.guards import SPLIT, listed, too_much
from finetune.readers.numbered_lines import MAX_LINE_BYTES
from finetune.readers.reasons import PLACEHOLDER, UNPAIRED
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.translated.language_files import of_one_language
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_BRIDGE = 200
"""Verses of one bridge; no chapter has more."""
MAX_VERSES = 1_000_000
"""Verses of a pair of languages, which are in memory at once; a Bible has 31,000."""
Walk = Callable[[SourceFile, CorpusBlock], Iterator[Step]]
"""Walk through a file of one of the two forms."""
_SPACES = re.compile(r"[ \t\r\n\f\v]+")  # not the no-break space


@dataclass(slots=True)
class _Text:
    """Text of a verse, paragraph or title."""

    place: Place
    reference: tuple[str, str, str] = ("", "", "")
    """Book, chapter and verse; no verse for a title, and for text before the first verse."""
    lines: list[list[str]] = field(default_factory=lambda: [[]])
    """Pieces of each line: a line of poetry is one."""
    characters: int = 0

    @property
    def text(self) -> str:
        """The text; lines of poetry are lines of it."""
        lines = (_SPACES.sub(" ", "".join(line)).strip(" ") for line in self.lines)
        return "\n".join(line for line in lines if line)

    @property
    def is_empty(self) -> bool:
        """Return whether there is no letter or digit in it: `...` stands for a missing verse."""
        return not any(map(str.isalnum, self.text))


def read_usfm(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Verses (or paragraphs, with `unit: paragraph`) of USFM files; or pairs, by verse.

    For pairs, `columns` names a part of the path that gives the language. A verse bridge is paired
    with all verses that it covers.
    """
    return units_of_books(files, corpus, _usfm)


def units_of_books(files: Sequence[SourceFile], corpus: CorpusBlock, walk: Walk) -> Iterator[Unit]:
    """Yield the units of books that are walked through in steps."""
    if corpus.kind == "parallel":
        yield from _pairs(files, corpus, walk)
        return
    for file in files:
        for one in _texts(file, corpus, walk):
            if isinstance(one, Rejection):
                yield one
            elif not one.is_empty:
                yield Record(one.place, {"text": one.text}, part_of=one.reference[0])
            elif one.reference[2]:
                yield Rejection(one.place, PLACEHOLDER, one.text)


def usfm_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return the book, and how many texts it has, with words for it."""
    found = [one for one in _texts(file, corpus, _usfm) if isinstance(one, _Text)]
    filled = [one for one in found if not one.is_empty]
    books = dict.fromkeys(one.reference[0] for one in found)
    verses = sum(bool(one.reference[2]) for one in filled)
    by_verse = corpus.kind == "parallel" or _unit(corpus) == "verse"
    unit = sentence("a verse is a text") if by_verse else sentence("a paragraph is a text")
    return [
        (sentence("book"), listed(books)),
        (sentence("unit"), unit),
        (sentence("verses or paragraphs"), phrase(f"{verses:,}")),
        (sentence("titles"), phrase(f"{len(filled) - verses:,}")),
    ]


def _usfm(file: SourceFile, corpus: CorpusBlock) -> Iterator[Step]:
    if not is_usfm(file, corpus.encoding):
        raise DataError(
            problem(
                "no-usfm",
                r"is not USFM: it must begin with \id and the code of a book, e.g. \id MAT",
                at=file.place(1),
            )
        )
    return steps(file, corpus.encoding)


def _texts(file: SourceFile, corpus: CorpusBlock, walk: Walk) -> Iterator[_Text | Rejection]:
    by_verse = corpus.kind == "parallel" or _unit(corpus) == "verse"
    found = walk(file, corpus)
    return _by_verse(file, found) if by_verse else _by_paragraph(file, found)


def _unit(corpus: CorpusBlock) -> str:
    """Return `verse`, or the `unit` of the card; a file is made of its paragraphs."""
    return {"file": "paragraph", None: "verse"}.get(corpus.unit, str(corpus.unit))


def _by_verse(file: SourceFile, found: Iterable[Step]) -> Iterator[_Text | Rejection]:
    """Yield verses, titles, text before the first verse of a chapter, and what is rejected."""
    book = chapter = verse = ""
    open_text: _Text | None = None
    for step in found:
        if step.kind in ("book", "chapter", "verse"):
            if open_text is not None:
                yield open_text
            open_text = None
            book = step.text if step.kind == "book" else book
            chapter = (
                step.text if step.kind == "chapter" else chapter if step.kind != "book" else ""
            )
            verse = step.text if step.kind == "verse" else ""
        if step.kind in ("title", "left"):
            yield _beside(file, step, book)
        elif step.kind == "verse" or (open_text is None and _has_text(step)):
            place = _place(file, step.line, book, chapter, verse)
            open_text = _Text(place, (book, chapter, verse))
        if open_text is not None:
            _add(open_text, step)
    if open_text is not None:
        yield open_text


def _by_paragraph(file: SourceFile, found: Iterable[Step]) -> Iterator[_Text | Rejection]:
    """Yield paragraphs, titles and what is rejected; lines of poetry in a row are one paragraph."""
    book = chapter = verse = ""
    open_text: _Text | None = None
    poetry = False
    for step in found:
        if step.kind == "book":
            book = step.text
        elif step.kind == "chapter":
            chapter, verse = step.text, ""
        elif step.kind == "verse":
            verse = step.text
        now = bool(POETRY.match(step.text)) if step.kind == "paragraph" else poetry
        ends = step.kind in ("chapter", "book", "title")
        ends = ends or (step.kind == "paragraph" and not (poetry and now))
        if ends and open_text is not None:
            yield open_text
            open_text = None
        poetry = now and step.kind not in ("chapter", "book", "title")
        if step.kind in ("title", "left"):
            yield _beside(file, step, book)
        elif open_text is None and _has_text(step):
            place = _place(file, step.line, book, chapter, verse)
            open_text = _Text(place, (book, chapter, verse or "0"))
        if open_text is not None:
            _add(open_text, step)
    if open_text is not None:
        yield open_text


def _has_text(step: Step) -> bool:
    return step.kind == "text" and bool(step.text.strip())


def _add(text: _Text, step: Step) -> None:
    if step.kind == "text":
        text.lines[-1].append(step.text)
    elif step.kind == "paragraph" and POETRY.match(step.text):
        text.lines.append([])
    elif step.kind in ("verse", "paragraph"):
        text.lines[-1].append(" ")
    text.characters += len(step.text)
    if text.characters > MAX_LINE_BYTES:
        what, instead = sentence("characters in one verse or paragraph"), sentence("is it USFM?")
        raise too_much(text.place, what=what, limit=MAX_LINE_BYTES, instead=instead)


def _beside(file: SourceFile, step: Step, book: str) -> _Text | Rejection:
    place = file.place(step.line, part=phrase(book) if book else None)
    if step.kind == "left":
        return Rejection(place, step.reason, step.text)
    return _Text(place, (book, "", ""), [[step.text]])


def _place(file: SourceFile, line: int | None, book: str, chapter: str, verse: str) -> Place:
    number = f"{chapter}:{verse}" if verse else chapter
    return file.place(line, part=phrase(f"{book} {number}".strip()))


def _pairs(files: Sequence[SourceFile], corpus: CorpusBlock, walk: Walk) -> Iterator[Unit]:
    """Yield pairs of verses; what the other language lacks is rejected and counted."""
    verses: dict[str, list[_Text]] = {language: [] for language in corpus.languages}
    for file in files:
        language = of_one_language(file.name, corpus)
        for one in _texts(file, corpus, walk):
            if isinstance(one, Rejection):
                yield one
            elif not one.reference[2]:
                if not one.is_empty:
                    yield Rejection(one.place, UNPAIRED, one.text)
            elif one.is_empty:
                yield Rejection(one.place, PLACEHOLDER, one.text)
            else:
                verses[language].append(one)
                if len(verses[language]) > MAX_VERSES:
                    what = sentence("verses")
                    raise too_much(one.place, what=what, limit=MAX_VERSES, instead=SPLIT)
    for together in _same_verses(verses):
        if len(together) > 1:
            fields = {x: "\n".join(one.text for one in together.get(x, ())) or None for x in verses}
            first = next(iter(together.values()))[0]
            yield Record(first.place, fields, part_of=first.reference[0])
        else:
            yield from (Rejection(one.place, UNPAIRED, one.text) for one in _all(together))


def _all(together: Mapping[str, Sequence[_Text]]) -> Iterator[_Text]:
    return (one for texts in together.values() for one in texts)


def _same_verses(verses: Mapping[str, Sequence[_Text]]) -> list[dict[str, list[_Text]]]:
    """Return language -> texts for each verse, or for all verses that bridges bind together."""
    first: dict[tuple[str, str, int], int] = {}
    owner: list[int] = []
    placed: list[tuple[int, str, _Text]] = []
    for language, texts in verses.items():
        for one in texts:
            book, chapter, verse = one.reference
            numbers = [first.setdefault((book, chapter, n), len(owner)) for n in _covered(verse)]
            if len(owner) in numbers:
                owner.append(len(owner))
            for number in numbers[1:]:
                join(owner, numbers[0], number)
            placed.append((numbers[0], language, one))
    groups: dict[int, dict[str, list[_Text]]] = {}
    for number, language, one in placed:
        groups.setdefault(root_of(owner, number), {}).setdefault(language, []).append(one)
    return list(groups.values())


def _covered(verse: str) -> list[int]:
    """Return the numbers of the verses that a reference covers; parts of a verse count as it.

    >>> _covered("3-5"), _covered("3a"), _covered("7,9"), _covered("5-3")
    ([3, 4, 5], [3], [7, 9], [5, 3])
    """
    covered: dict[int, None] = {}
    for part in verse.split(","):
        ends = [int(digits) for digits in re.findall(r"[0-9]{1,4}", part)] or [0]
        bridge = range(ends[0], ends[-1] + 1)
        covered |= dict.fromkeys(bridge if 1 < len(bridge) <= MAX_BRIDGE else ends)
    return list(covered)
