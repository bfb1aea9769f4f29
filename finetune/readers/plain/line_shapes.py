"""Plain text whose lines hold more than text: speakers, numbers, references, times, single words.

Only what most lines have is reported: prose, verse, lists of questions, questions with answers,
and references inside sentences are none of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

from finetune.errors import DataError
from finetune.readers.numbered_lines import numbered_lines
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding
from finetune.text.wrapping import is_unspaced

Kind = Literal["speakers", "numbers", "references", "times", "words"]
HEAD_LINES = 1000
MAX_CHARACTERS = 1000
"""Of a line that is looked at."""
MIN_LINES = 8
MIN_SHARE = 0.8
MIN_SPEAKERS = 0.6
"""Share of lines that begin with a name: the other ones go on."""
MIN_TURNS = 3
"""Mean number of turns per name, at least."""
MIN_WORDS = 0.95
MAX_WORD = 12
"""Mean length of single words, at most; longer ones are sentences of a script without spaces."""
MAX_STEP = 3
"""Between two numbers of a list of which some are missing."""
_CLOCK = r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?"
_TIME = re.compile(
    rf"\s*(?:[\[(<]{_CLOCK}(?:\s*[-–>]+\s*{_CLOCK})?[\])>]|\d{{1,2}}:\d\d:\d\d)[\s:-]*"
)
_REFERENCE = re.compile(
    r"\s*\(?(?:(?:[1-4]\s?)?[^\W\d_][\w'’]{0,19}\.?\s\d{1,3}\s?[:.,፡፥]\s?|\d{1,3}[:፡፥])\d{1,3}"
    r"(?:[-–]\d{1,3})?\)?[.:–-]?\s+(?=\S)"
)
_NUMBER = re.compile(r"\s*[\[(]?(\d{1,6})(?:\s?[.)\]:、．。]\s*|\s+[-–—]\s+|\s+)(?=\D)")
_SPEAKER = re.compile(
    r"[\s*\[(–—-]*+([^\W\d_][^:：፦?!,;\n]{0,39}?)[\])*]*\s?(?::\s+|[：፦]\s*)(?=\S)"
)
_TAG = re.compile(r"\s*</?\w[^<>]*>\s*")
_QUESTION = ("?", "？", "؟", ";", "፧", "՞", "⸮", "߉")
_ASKED = """
question answer réponse pregunta respuesta pergunta resposta domanda risposta frage antwort vraag
tambaya amsa swali jibu ibeere idahun ajụjụ azịza laaj tontu umbuzo impendulo ikibazo igisubizo
ekibuuzo mubvunzo su'aal jawaab fanontaniana valiny pertanyaan jawaban tanong sagot вопрос ответ
питання відповідь soru cevap سؤال جواب سوال پاسخ प्रश्न उत्तर सवाल जवाब প্রশ্ন উত্তর ప్రశ్న జవాబు கேள்வி
பதில் ചോദ്യം ഉത്തരം ጥያቄ መልስ ሕቶ 问 答 問 问题 回答 質問 질문 답변 คำถาม คำตอบ
"""
ASKED = frozenset(_ASKED.split())
"""Words for question and answer, in small letters."""
PATTERNS = {
    "numbers": r"^\s*[\[(]?\d+\s*[.)\]:]?\s*",
    "references": r"^\(?.{0,24}?\d+\s?[:.,]\s?\d+(-\d+)?\)?[.:]?\s+",
    "times": r"^\s*[\[(<]?[\d:.,]+[\])>]?\s*",
}
"""Kind -> regular expression of what stands before the text, for an editor."""


@dataclass(frozen=True, slots=True)
class LineShape:
    """A part of most lines of a file beside their text."""

    kind: Kind
    count: int
    """Lines of this shape."""
    of: int
    """Lines that were looked at, without blank ones."""
    line: int
    """Number of the first one."""
    example: str
    names: tuple[str, ...] = ()
    """Names of speakers, to be masked in what is shown."""


def line_shape(file: SourceFile, *, encoding: Encoding) -> LineShape | None:
    """Return what most of the first lines have beside their text, or None for plain text."""
    try:
        found = numbered_lines(file, encoding=encoding)
        filled = ((number, line[:MAX_CHARACTERS]) for number, line in found if line.strip())
        head = list(islice(filled, HEAD_LINES))
    except DataError:  # an error of reading, which is reported there
        return None
    if len(head) < MIN_LINES:
        return None
    for look in (_speakers, _times, _references, _numbers, _words):
        if shape := look(head):
            return shape
    return None


def without_time(line: str) -> str:
    """Return a line without the time that it begins with.

    >>> without_time("[00:01:10] Awa: Waaw"), without_time("Waaw 3:15")
    ('Awa: Waaw', 'Waaw 3:15')
    """
    time = _TIME.match(line)
    return line[time.end() :] if time else line


def turn_of(line: str) -> tuple[str, str] | None:
    """Return the name of a speaker and the words of a line that begins with both.

    >>> turn_of("Awa Ndiaye : Nanga def?"), turn_of("Il est 10:30")
    (('Awa Ndiaye', 'Nanga def?'), None)
    """
    spoken = without_time(line)
    found = _SPEAKER.match(spoken)
    if found is None or len(found[1].split()) > 4:
        return None
    return found[1].strip(), spoken[found.end() :]


Head = Sequence[tuple[int, str]]


def _speakers(head: Head) -> LineShape | None:
    turns = [(n, line, turn) for n, line in head if (turn := turn_of(line))]
    counts = Counter(name for _, _, (name, _) in turns)
    often = {name for name, count in counts.items() if count > 1}
    spoken = [(n, line, turn) for n, line, turn in turns if turn[0] in often]
    if len(spoken) < max(MIN_LINES, MIN_SPEAKERS * len(head), MIN_TURNS * len(often)):
        return None
    if _are_questions_and_answers([turn for _, _, turn in spoken], often):
        return None
    number, line, _ = spoken[0]
    return LineShape("speakers", len(spoken), len(head), number, line, tuple(sorted(often)))


def _are_questions_and_answers(turns: Sequence[tuple[str, str]], names: set[str]) -> bool:
    """Return whether one of two words before a colon stands before all questions, and only there.

    They are single letters, or one is a word for question or answer: an interview keeps its
    questions and answers apart in the same way.
    """
    if len(names) != 2 or not (
        all(len(name) == 1 for name in names) or any(n.casefold() in ASKED for n in names)
    ):
        return False
    asked = {
        name: [text.rstrip(" \"'»”").endswith(_QUESTION) for who, text in turns if who == name]
        for name in names
    }
    low, high = sorted(sum(one) / len(one) for one in asked.values())
    return low <= 1 - MIN_SHARE and high >= MIN_SHARE


def _times(head: Head) -> LineShape | None:
    return _prefixed("times", head, lambda line: bool(_TIME.match(line)))


def _references(head: Head) -> LineShape | None:
    return _prefixed("references", head, lambda line: bool(_REFERENCE.match(line)))


def _numbers(head: Head) -> LineShape | None:
    numbers = [int(found[1]) for _, line in head if (found := _NUMBER.match(line))]
    rising = sum(
        0 < after - before <= MAX_STEP or after == 1 for before, after in pairwise(numbers)
    )
    if rising < MIN_SHARE * (len(numbers) - 1):
        return None
    return _prefixed("numbers", head, lambda line: bool(_NUMBER.match(line)))


def _prefixed(kind: Kind, head: Head, has: Callable[[str], bool]) -> LineShape | None:
    found = [(number, line) for number, line in head if has(line)]
    if len(found) < max(MIN_LINES, MIN_SHARE * len(head)):
        return None
    return LineShape(kind, len(found), len(head), *found[0])


def _words(head: Head) -> LineShape | None:
    lines = [(number, line.strip()) for number, line in head if not _TAG.fullmatch(line)]
    single = [(n, word) for n, line in lines if " " not in (word := line.partition("\t")[0])]
    if len(single) < max(MIN_LINES, MIN_WORDS * len(lines)):
        return None
    letters = "".join(word for _, word in single)
    unspaced = sum(map(is_unspaced, letters))
    if len(letters) > MAX_WORD * len(single) or 2 * unspaced > len(letters):
        return None
    return LineShape("words", len(single), len(head), *single[0])
