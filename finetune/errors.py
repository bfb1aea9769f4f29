"""Exceptions of the package, by exit code.

    FinetuneError            exit code 1
      InputError             exit code 2: invalid input
        RecipeError          recipe, card, command line
        DataError            corpus unreadable, undecodable, empty after filtering
        MissingPackageError  an optional package is not installed
      StoreError             artefact damaged, missing or in use; disk full
      TrainError             non-finite loss, nothing to train, out of memory
        LostContactError     another rank failed or was killed; its exit record has the cause
        RendezvousError      the ranks could not meet: network, node or port
      ClusterError           the scheduler is unavailable, does not respond or rejects a request
      ReleaseError           licence conflict, private data in a file, upload rejected
      PackageError           a plug-in of an installed package failed
      MachineError           out of memory, too many open files, permission denied
      UnexpectedError        exit code 70: a bug in this program
      Stopped                exit code 75: stopped on request; the same command resumes

An error carries problems: each a code, a place (file:line:column) and facts, with a sentence that
states the fault and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from finetune.messages import ENGLISH, Problem, Sentence, counted, phrase, problem, sentence

MOST_PROBLEMS = 100
"""Maximum number of problems in a message."""
MOST_CHARACTERS = 4000
"""Maximum length of a problem in a message; a long path and a command fit."""
OTHER = "other"
"""Code of plain text."""


class FinetuneError(Exception):
    """Base class; the command line prints it without a traceback."""

    exit_code = 1

    def __init__(self, *problems: Problem | str) -> None:
        # installed packages raise these errors with plain text
        self.problems = tuple(
            one if isinstance(one, Problem) else problem(OTHER, phrase(one)) for one in problems
        )
        super().__init__(*self.problems)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the problems."""
        return tuple(one.code for one in self.problems)

    def in_language(self, language: str) -> str:
        """Return the message: one line per problem, at most 100, then the number of the rest."""
        first = self.problems[:MOST_PROBLEMS]
        shown = [shortened(one.in_language(language)) for one in first]
        more = len(self.problems) - len(shown)
        return "\n".join([*shown, *([more_problems(more).in_language(language)] if more else [])])

    def __str__(self) -> str:
        return self.in_language(ENGLISH)


def more_problems(count: int) -> Sentence:
    """Return the line that counts the problems beyond the limit of a message."""
    return counted("... and {count} more problem", "... and {count} more problems", count)


class InputError(FinetuneError, ValueError):
    """Invalid input; carries all problems found."""

    exit_code = 2


class Unfit(ValueError):
    """A value rejected by a model of a recipe, card or site; its reader adds the place."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found)
        self.problem = found


class RecipeError(InputError):
    """An invalid recipe, data card or command-line value."""


class DataError(InputError):
    """An unreadable corpus, or one that is empty after filtering."""


class MissingPackageError(InputError):
    """An optional package is not installed; the message has the pip command."""


class StoreError(FinetuneError, RuntimeError):
    """An artefact is missing, damaged or in use, or the disk is full."""


class TrainError(FinetuneError, RuntimeError):
    """Training failed: non-finite loss, no trainable parameters, out of memory."""


class LostContactError(TrainError):
    """Another rank of the run was lost; this rank and the last checkpoint are intact."""


class RendezvousError(TrainError):
    """The ranks of a launch could not meet: a fault of network, node or port, not of the recipe."""


class ClusterError(FinetuneError, RuntimeError):
    """The scheduler is unavailable, does not respond, or rejects a request."""


class ReleaseError(FinetuneError, RuntimeError):
    """A rejected release: licence conflict, private data in a file, or rejected by the hub."""


class PackageError(FinetuneError):
    """A plug-in reader, task, metric or export of an installed package failed."""


class MachineError(FinetuneError, RuntimeError):
    """A limit of the machine: out of memory, too many open files, permission denied."""


class UnexpectedError(FinetuneError):
    """An unexpected error: a bug in this program, to be reported."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class Stopped(FinetuneError):
    """Stopped on request (SIGTERM, SIGINT); state is saved and the same command resumes."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


MAX_GUESSED_CHARACTERS = 64
MAX_GUESSES = 2000
_NEAR = 0.6
"""Minimum similarity ratio of two words (difflib)."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `. Did you mean 'x'?` for the nearest known word, or an empty string.

    Comparison is quadratic in word length, so it is limited to words of 64 characters and 2,000
    known words, prefiltered by shared letters.

    >>> did_you_mean("rnak", ["rank", "alpha"])
    ". Did you mean 'rank'?"
    """
    near = nearest(word, known)
    return f". Did you mean {near!r}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest known word, or None; with the limits of `did_you_mean`."""
    if len(word) > MAX_GUESSED_CHARACTERS:
        return None
    possible = [one for one in islice(known, MAX_GUESSES) if _may_be_near(word, one)]
    near = difflib.get_close_matches(word, possible, n=1, cutoff=_NEAR)
    return near[0] if near else None


def suggestion(word: str, known: Iterable[str], *, listed: int = 0) -> Sentence:
    """Return the end of a message about an unknown word: the nearest known word.

    If none is near: the first `listed` known words, or nothing.

    >>> str(suggestion("x", ["rank", "alpha"], listed=1))
    '; known: rank'
    """
    words = list(islice(known, MAX_GUESSES))
    near = nearest(word, words)
    if near:
        return sentence(". Did you mean {near!r}?", near=near)
    if listed and words:
        return sentence("; known: {known}", known=words[:listed])
    return phrase("")


def shortened(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """Return a text, its middle elided if it is long: the ends hold place and remedy.

    >>> shortened("a" * 50 + "b" * 50, most=40)
    'aaaaaaaaaaaaaaa ... (80 more) bbbbb'
    """
    if len(text) <= most:
        return text
    head, tail = most // 2 - 5, most // 4 - 5
    return f"{text[:head]} ... ({len(text) - head - tail:,} more) {text[-tail:]}"


def _may_be_near(word: str, other: str) -> bool:
    """Return whether two words share enough letters, in any order."""
    if len(other) > MAX_GUESSED_CHARACTERS:
        return False
    enough = _NEAR * (len(word) + len(other)) / 2
    if min(len(word), len(other)) < enough:
        return False
    return sum(map(other.__contains__, word)) >= enough


def first_line(error: BaseException, *, max_characters: int = 200) -> str:
    """Return the first line of a library error's message, or its type if that is empty.

    >>> first_line(ValueError("no such file\\nat line 3")), first_line(KeyboardInterrupt())
    ('no such file', 'KeyboardInterrupt')
    """
    return str(error).strip().partition("\n")[0][:max_characters] or type(error).__name__
