"""Sets of prompts: a table of languages and prompts, whose answers speakers judge.

The same format for health, for requests that should be refused, and for what a community cares
about: UTF-8, a line each, `language`, a tab, `prompt`, with these two names in the first line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.spec.language import language_problem

HEADER = "language\tprompt"
HEALTH = "health.tsv"
"""Our set: 30 prompts in English and French."""
MAX_BYTES = 2**20
MOST_PROMPTS = 1000
MOST_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and the language that it is in, which its answer should be in."""

    language: str
    text: str


def health_file() -> Path:
    """Return our set of prompts on health."""
    return Path(str(files("finetune.spec.tables") / HEALTH))


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """Return the prompts of a set. Raises RecipeError with every line that is none."""
    try:
        text = read_bytes(path, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError(_unreadable(path, sentence("is no UTF-8"))) from None
    except (OSError, UnreadableError) as error:
        why = error.why if isinstance(error, UnreadableError) else error.strerror
        raise RecipeError(_unreadable(path, why)) from None
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if lines[0] != HEADER:
        raise RecipeError(
            problem(
                "no-prompt-set",
                "is no set of prompts: its first line has to be {header!r}, with a tab",
                at=Place(path, 1),
                header=HEADER,
            )
        )
    numbered = [(n, line) for n, line in enumerate(lines[1:], start=2) if line.strip()]
    problems = list(_problems(path, numbered))
    if not numbered or len(numbered) > MOST_PROMPTS:
        problems.append(
            problem(
                "number-of-prompts",
                "has {n} prompts; a set has 1 to {most}",
                at=Place(path),
                n=len(numbered),
                most=MOST_PROMPTS,
            )
        )
    if problems:
        raise RecipeError(*problems)
    return tuple(Prompt(*line.split("\t")) for _, line in numbered)


def _problems(path: Path, numbered: list[tuple[int, str]]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for number, line in numbered:
        at, cells = Place(path, number), line.split("\t")
        if len(cells) != 2 or not cells[1].strip():
            yield problem("no-prompt", "write a language, a tab and a prompt in each line", at=at)
            continue
        if unfit := language_problem(cells[0]):
            yield unfit.at(at)
        if len(cells[1]) > MOST_CHARACTERS:
            yield problem(
                "long-prompt", "is longer than {most} characters", at=at, most=MOST_CHARACTERS
            )
        if (first := seen.setdefault(line, number)) != number:
            yield problem("prompt-twice", "stands in line {first:d} already", at=at, first=first)


def _unreadable(path: Path, why: object) -> Problem:
    return problem("unreadable-prompts", "cannot be read ({why})", at=Place(path), why=why)
