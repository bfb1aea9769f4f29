"""Lines of the pages of a PDF file: heads and feet are taken away, and cut words joined.

Both are guesses by rules that are stated here, and both are counted. A PDF file has no paragraphs
and no words, only marks on a page.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune.readers.record import Edit

EDGE_LINES = 2
"""Lines at the top, and at the bottom, that may be the head or foot of a page."""
MIN_PAGES = 3
"""Pages that must have the same head or foot."""
MAX_HEAD_CHARACTERS = 120
JOINED = "cut-words"
"""Key of the change (finetune.text.normalize.CHANGES)."""
HYPHENS = "-\u2010\u00ad"
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"[ivx]|[IVX]|[ivxlcdm]{2,8}|[IVXLCDM]{2,8}")


@dataclass(frozen=True, slots=True)
class Heads:
    """Lines at the edges of pages that are no text."""

    top: frozenset[tuple[int, str]]
    """(0 for all pages, 1 for odd and 2 for even ones, line with `#` for numbers)."""
    bottom: frozenset[tuple[int, str]]

    def parted(self, number: int, lines: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the lines of a page without its head and foot, and these; `number` from 0."""
        kept, heads = list(lines), list[str]()
        for known, at in ((self.top, 0), (self.bottom, -1)):
            for _ in range(EDGE_LINES):
                if kept and any((which, _key(kept[at])) in known for which in (0, _side(number))):
                    heads.append(kept.pop(at))
        return kept, heads


def heads_of(pages: Sequence[Sequence[str]]) -> Heads:
    """Return the heads and feet of a file; `pages`: the filled lines of each page.

    They are the lines that stand, but for numbers, among the first (or last) two of more than
    half of all pages, or of all even or all odd pages, and of at least three. Of two pages only
    the numbers are known, if the second is one more than the first. What would take all text from
    more than half of the pages is no head.

    >>> pages = [["A tale", "one", "12"], ["A tale", "two", "13"], ["A tale", "three", "14"]]
    >>> heads_of(pages).parted(0, pages[0])
    (['one'], ['A tale', '12'])
    """
    if len(pages) < MIN_PAGES:
        return Heads(_numbers(pages, first=True), _numbers(pages, first=False))
    heads = Heads(_repeated(pages, first=True), _repeated(pages, first=False))
    emptied = sum(bool(lines) and not heads.parted(at, lines)[0] for at, lines in enumerate(pages))
    if 2 * emptied > sum(map(bool, pages)):  # pages of one line each, all alike
        return Heads(frozenset(), frozenset())
    return heads


def _repeated(pages: Sequence[Sequence[str]], *, first: bool) -> frozenset[tuple[int, str]]:
    seen: Counter[tuple[int, str]] = Counter()
    sizes: Counter[int] = Counter()
    for number, lines in enumerate(pages):
        if not lines:
            continue
        edge = lines[:EDGE_LINES] if first else lines[-EDGE_LINES:]
        sides = (0, _side(number))
        sizes.update(sides)
        seen.update((side, key) for side in sides for key in {_key(line) for line in edge} if key)
    return frozenset(
        (side, key)
        for (side, key), count in seen.items()
        if count >= MIN_PAGES and 2 * count > sizes[side]
    )


def _numbers(pages: Sequence[Sequence[str]], *, first: bool) -> frozenset[tuple[int, str]]:
    """Return the numbers of two pages, each alone in its line."""
    if len(pages) != 2 or not all(pages):
        return frozenset()
    one, other = (lines[0] if first else lines[-1] for lines in pages)
    alone = _key(one) == _key(other) and _key(one).strip("-\u2013\u2014[]() ") == "#"
    numbers = [int(found[0]) for line in (one, other) if (found := _NUMBER.search(line[:20]))]
    counting = len(numbers) == 2 and numbers[1] == numbers[0] + 1
    return frozenset({(0, _key(one))} if alone and counting else ())


def _side(number: int) -> int:
    return 1 + number % 2


def _key(line: str) -> str:
    """Return a line for comparison; empty for one that is too long to be a head.

    >>> _key("Labari  12"), _key("xii"), _key("Ina kwana")
    ('Labari #', '#', 'Ina kwana')
    """
    text = " ".join(line.split())
    if len(text) > MAX_HEAD_CHARACTERS:
        return ""
    return "#" if _ROMAN.fullmatch(text) else _NUMBER.sub("#", text)


def words_of(pages: Iterable[Sequence[str]]) -> Counter[str]:
    """Return the words of all pages, those that a line end cuts excepted."""
    words: Counter[str] = Counter()
    for lines in pages:
        cut = False
        for line in lines:
            found = line.split()
            whole = found[1:] if cut else found
            cut = _is_cut(line)
            words.update(_bare(word) for word in (whole[:-1] if cut else whole))
    return words


def joined(lines: Sequence[str], words: Counter[str]) -> tuple[list[str], tuple[Edit, ...]]:
    """Return lines in which cut words are whole, and the changes.

    A word is joined if it stands elsewhere without the hyphen, or with it; a soft hyphen always
    means one word. What is not known stays as it is.

    >>> joined(["sun tafi makar-", "anta, domin"], Counter({"makaranta": 1}))[0]
    ['sun tafi makaranta,', 'domin']
    >>> joined(["sun tafi makar-", "anta domin"], Counter())[0]
    ['sun tafi makar-', 'anta domin']
    """
    whole: list[str] = []
    edits: list[Edit] = []
    for line in lines:
        before = whole[-1] if whole else ""
        rest = line.split(None, 1)
        if not (rest and _is_cut(before) and _continues(rest[0])):
            whole.append(line)
            continue
        head = before.split()[-1]
        word = _whole(head, rest[0], words)
        if word is None:
            whole.append(line)
            continue
        whole[-1] = before[: len(before.rstrip()) - len(head)] + word
        edits.append(Edit(JOINED, f"{head}\n{rest[0]}", word))
        if len(rest) > 1:
            whole.append(rest[1])
    return whole, tuple(edits)


def _whole(head: str, tail: str, words: Counter[str]) -> str | None:
    plain = head[:-1] + tail
    if head.endswith("\u00ad") or words[_bare(plain)]:
        return plain
    return head + tail if words[_bare(head + tail)] else None


def _is_cut(line: str) -> bool:
    """Return whether a line ends in a word with a hyphen behind it."""
    text = line.rstrip()
    return len(text) > 1 and text[-1] in HYPHENS and _is_letter(text[-2])


def _continues(word: str) -> bool:
    return _is_letter(word[0]) and not word[0].isupper()


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"


def _bare(word: str) -> str:
    """Return a word for comparison: composed, in small letters, without signs around it.

    >>> _bare("(Makaranta),"), _bare("--")
    ('makaranta', '')
    """
    signs = [at for at, one in enumerate(word) if unicodedata.category(one)[0] in "LMN"]
    inside = word[signs[0] : signs[-1] + 1] if signs else ""
    return unicodedata.normalize("NFC", inside).casefold()
