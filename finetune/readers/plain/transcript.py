"""Reader of transcripts of speech: a text per turn, without the name of its speaker.

A turn begins with a name and a colon (`Awa: Nanga def?`), perhaps behind a time (`[00:01:10]`). A
name is one that begins at least two lines of the file; other lines belong to the turn above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from finetune.errors import DataError
from finetune.messages import Sentence, counted, phrase, sentence
from finetune.messages.problem import Problem
from finetune.readers.chat_export import MAX_SENDERS, parts_of_name
from finetune.readers.guards import SPLIT, too_much
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.plain.line_shapes import turn_of, without_time
from finetune.readers.reasons import PERIPHERAL
from finetune.readers.record import Record, Rejection, Unit
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_TURN_CHARACTERS = 2**20


def read_transcript(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Turns of speech, each with its speaker as contributor; the names of speakers are masked.

    Lines above the first turn are rejected. Raises DataError for a file without turns, and while
    the card does not state `personal_names`, as a transcript names people.
    """
    for file in files:
        speakers = _speakers(file, corpus)
        if not speakers:
            raise DataError(_no_turns(file))
        if corpus.personal_names == "not-stated":
            raise DataError(_names_not_stated(file, len(speakers)))
        names = tuple(sorted({part for name in speakers for part in parts_of_name(name)}))
        yield from _turns(file, corpus, speakers, names)


def transcript_understood(
    file: SourceFile, *, corpus: CorpusBlock
) -> list[tuple[Sentence, Sentence]]:
    """Return how many speakers a transcript has; their names are not shown."""
    return [(sentence("speakers"), phrase(str(len(_speakers(file, corpus)))))]


def _turns(
    file: SourceFile, corpus: CorpusBlock, speakers: frozenset[str], names: tuple[str, ...]
) -> Iterator[Unit]:
    at, speaker, words, size = 0, "", list[str](), 0
    for number, line in numbered_lines(file, encoding=corpus.encoding):
        turn = turn_of(line)
        if turn is not None and turn[0] in speakers:
            if words:
                yield Record(file.place(at), {"text": "\n".join(words)}, speaker, names)
            (speaker, text), at, words, size = turn, number, [], 0
        elif not at and line.strip():
            yield Rejection(file.place(number), PERIPHERAL, line)
            continue
        else:
            text = without_time(line)
        if text.strip():
            words.append(text.strip())
        size += len(text)
        if size > MAX_TURN_CHARACTERS:
            what = sentence("characters in one turn")
            raise too_much(file.place(at), what=what, limit=MAX_TURN_CHARACTERS, instead=SPLIT)
    if words:
        yield Record(file.place(at), {"text": "\n".join(words)}, speaker, names)


def _speakers(file: SourceFile, corpus: CorpusBlock) -> frozenset[str]:
    """Return the names that begin at least two lines. DataError for more than a meeting has."""
    counts: Counter[str] = Counter()
    for _, line in numbered_lines(file, encoding=corpus.encoding):
        if turn := turn_of(line):
            counts[turn[0]] += 1
    speakers = frozenset(name for name, count in counts.items() if count > 1)
    if len(speakers) > MAX_SENDERS:
        what, instead = sentence("speakers"), sentence("is it a transcript?")
        raise too_much(file.place(), what=what, limit=MAX_SENDERS, instead=instead)
    return speakers


def _no_turns(file: SourceFile) -> Problem:
    return Problem(
        "no-turns",
        sentence(
            "no two lines begin with the same name and a colon, so it is no transcript; write "
            "`format: text`"
        ),
        file.place(),
    )


def _names_not_stated(file: SourceFile, speakers: int) -> Problem:
    return Problem(
        "transcript-names-not-stated",
        counted(
            "is a transcript with {count} speaker, and the card does not state whether people are "
            "named in it; ask them, and write `personal_names` (`finetune cards new "
            "--personal-names`)",
            "is a transcript with {count} speakers, and the card does not state whether people are "
            "named in it; ask them, and write `personal_names` (`finetune cards new "
            "--personal-names`)",
            speakers,
        ),
        file.place(),
    )
