"""Every error a user can meet.

    FinetuneError            exit code 1
      InputError             exit code 2: what a person wrote or supplied is wrong
        RecipeError          recipe, card, command line
        DataError            corpus unreadable, undecodable, empty after filtering
      StoreError             artefact torn, missing or in use; disk full
      TrainError             non-finite loss, nothing to train, out of memory
        LostContactError     another process of the training is gone; what became of it is the cause
      ClusterError           the scheduler is not there, does not answer or refuses
      ReleaseError           licences conflict, a file would leak, hub refused
      Stopped                exit code 75: stopped on request; the same command continues

A message says where (file:line:column), what (with the value) and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class FinetuneError(Exception):
    """Base of the family; the command line prints it without a traceback."""

    exit_code = 1


class InputError(FinetuneError, ValueError):
    """Something a person wrote or supplied is wrong; carries every problem found at once."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = problems
        super().__init__("\n".join(problems))


class RecipeError(InputError):
    """A recipe, data card or command-line value is wrong."""


class DataError(InputError):
    """A corpus cannot be read, or nothing is left of it."""


class StoreError(FinetuneError, RuntimeError):
    """An artefact is missing, damaged or in use, or the disk is full."""


class TrainError(FinetuneError, RuntimeError):
    """Training cannot go on: non-finite loss, no trainable parameters, out of memory."""


class LostContactError(TrainError):
    """Another process of the training is gone; this one is sound and the last checkpoint is too."""


class ClusterError(FinetuneError, RuntimeError):
    """The scheduler is not there, does not answer, or refuses."""


class ReleaseError(FinetuneError, RuntimeError):
    """A release is refused: licences conflict, a private fact would leak, or the hub said no."""


class Stopped(FinetuneError):
    """A stop was asked for (SIGTERM, SIGINT); state is saved and the same command continues."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `. Did you mean 'x'?` for the nearest known word, or nothing.

    >>> did_you_mean("rnak", ["rank", "alpha"])
    ". Did you mean 'rank'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f". Did you mean {near[0]!r}?" if near else ""


def first_line(error: BaseException, *, max_characters: int = 200) -> str:
    """Return what an error of a library says, in one line; its name if it says nothing.

    >>> first_line(ValueError("no such file\\nat line 3")), first_line(KeyboardInterrupt())
    ('no such file', 'KeyboardInterrupt')
    """
    return str(error).strip().partition("\n")[0][:max_characters] or type(error).__name__
