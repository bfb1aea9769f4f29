"""Files that are called plain text and hold what no reader takes: named, with a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from finetune.errors import DataError
from finetune.messages import Sentence, problem, sentence
from finetune.readers.guards import opened
from finetune.readers.numbered_lines import numbered_lines
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding

HEAD_BYTES = 4096
HEAD_LINES = 300
MIN_LINES = 10
LABELLED_SHARE = 0.95
"""Share of lines with a word and its label, among those that are neither blank nor comments."""
_LABEL = re.compile(r"\S+(?:[ \t]+\S+){0,4}[ \t]+(?:O|[BIESLU]-\w{2,20})")
_TOKEN = re.compile(r"\d+(?:[-.]\d+)?(?:\t[^\t]*){9}")


@dataclass(frozen=True, slots=True)
class _Unread:
    """A kind of content, known by its first bytes."""

    begins: bytes
    what: Sentence
    instead: Sentence


_TO_WORD = sentence("open it in a word processor, and save it as .docx")
_UNREAD = (
    _Unread(rb"\{\\rtf\d", sentence("an RTF document"), _TO_WORD),
    _Unread(rb"\xd0\xcf\x11\xe0", sentence("a document of an old office program"), _TO_WORD),
    _Unread(
        rb"\s*<\?xml\b",
        sentence("XML"),
        sentence("give it the suffix of its kind, such as .tmx or .eaf, or export the texts alone"),
    ),
    _Unread(
        rb"7z\xbc\xaf|Rar!",
        sentence("an archive"),
        sentence("unpack it, and name the files in it"),
    ),
    _Unread(
        rb"SQLite format 3",
        sentence("a database"),
        sentence("export the table with the texts as CSV"),
    ),
)


def refuse_unread_content(file: SourceFile, *, encoding: Encoding) -> None:
    """Raise DataError for plain text that is a document of another program, or labelled words."""
    with opened(file) as stream:
        head = stream.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    for kind in _UNREAD:
        if re.match(kind.begins, head):
            raise _is_other(file, kind.what, kind.instead)
    lines = (line for _, line in numbered_lines(file, encoding=encoding) if line.strip())
    first = list(islice(lines, HEAD_LINES))
    bare = [line for line in first if not line.startswith(("#", "-DOCSTART-"))]
    if _all_but_few(bare, _TOKEN):
        instead = sentence(
            "keep its sentences, which stand behind `# text =`, each on a line of its own"
        )
        raise _is_other(file, sentence("a treebank (CoNLL-U)"), instead)
    if _all_but_few(bare, _LABEL):
        instead = sentence("join the words of each sentence, without the labels, to one line")
        raise _is_other(file, sentence("words with labels, one per line (CoNLL)"), instead)


def _all_but_few(lines: Sequence[str], pattern: re.Pattern[str]) -> bool:
    fitting = sum(pattern.fullmatch(line) is not None for line in lines)
    return len(lines) >= MIN_LINES and fitting >= LABELLED_SHARE * len(lines)


def _is_other(file: SourceFile, what: Sentence, instead: Sentence) -> DataError:
    return DataError(
        problem(
            "unread-content",
            "is no plain text but {what} by its content; {instead}",
            at=file.place(1),
            what=what,
            instead=instead,
        )
    )
