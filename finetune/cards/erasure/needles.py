"""Withdrawn texts as a search looks for them: runs of words, comparable and distinctive.

Texts are compared as contamination is (finetune.prepare.overlap.shingles.comparable): case, spaces,
punctuation, markup and equivalent spellings do not count. An excerpt of a long text is found by any
run of its words that no other text of the card has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

RUN = 8
"""Words of a run."""
RUN_OF_LETTERS = 24
"""The same in scripts without spaces, where each letter counts as a word."""
SHORT = 12
"""Characters; a shorter text is found only where it is a whole line or value."""
_WITHOUT_SPACES = re.compile(
    "([\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u3040-\u30ff"
    "\u3400-\u9fff\ua980-\ua9ff\U00020000-\U0003ffff])"
)
_LINES = re.compile(r'[\r\n\v\f\x85\u2028\u2029"<>\t]+')


@dataclass(frozen=True, slots=True)
class Needles:
    """Runs of words, short texts and record hashes of withdrawn texts."""

    runs: Mapping[int, frozenset[str]]
    """Number of words -> runs of that many."""
    whole: frozenset[str] = frozenset()
    """Short texts."""
    hashes: frozenset[str] = frozenset()
    """Record hashes."""
    shared: int = 0
    """Texts without a run of their own: another record that is not withdrawn says the same."""

    def inside(self, text: str) -> bool:
        """Return whether a text has any of them."""
        words = words_of(text)
        firsts = {run.partition(" ")[0] for runs in self.runs.values() for run in runs}
        for start, word in enumerate(words):
            if word in firsts and any(
                " ".join(words[start : start + size]) in runs for size, runs in self.runs.items()
            ):
                return True
        if not self.whole:
            return False
        return any(" ".join(words_of(line)) in self.whole for line in _LINES.split(text) if line)


def words_of(text: str) -> list[str]:
    """Return the words of a text in their comparable form; letters where a script has no spaces.

    >>> words_of("Ina  KWANA?! *lafiya*"), words_of("สวัสดี")[:2]
    (['ina', 'kwana', 'lafiya'], ['ส', 'ว'])
    """
    from finetune.prepare.overlap.shingles import comparable

    if not text.strip():
        return []
    [plain] = comparable([text])
    return _WITHOUT_SPACES.sub(r" \1 ", plain).split()


def needles_of(
    texts: Iterable[str], others: Iterable[str] = (), *, hashes: Iterable[str] = ()
) -> Needles:
    """Return what finds these texts, and nothing that one of `others` says as well."""
    by_text: dict[str, set[tuple[int, str]]] = {}
    whole: set[str] = set()
    for text in texts:
        words = words_of(text)
        if not words:
            continue
        if len(" ".join(words)) < SHORT:
            whole.add(" ".join(words))
        else:
            by_text[" ".join(words)] = set(_runs(words))
    wanted = {run for runs in by_text.values() for run in runs}
    sizes = {size for size, _ in wanted}
    for text in others:
        words = words_of(text)
        whole.discard(" ".join(words))
        if wanted:
            wanted -= {
                (size, " ".join(words[start : start + size]))
                for size in sizes
                for start in range(len(words) - size + 1)
            }
    return Needles(
        runs={size: frozenset(run for n, run in wanted if n == size) for size in sizes},
        whole=frozenset(whole),
        hashes=frozenset(hashes),
        shared=sum(not runs & wanted for runs in by_text.values()),
    )


def _runs(words: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the runs of a text, one behind the other, and its last."""
    letters = sum(len(word) == 1 for word in words)
    size = min(len(words), RUN_OF_LETTERS if 2 * letters > len(words) else RUN)
    for start in (*range(0, len(words) - size, size), len(words) - size):
        yield size, " ".join(words[start : start + size])
