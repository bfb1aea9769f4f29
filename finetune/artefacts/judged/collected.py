"""The file of collected judgements: written by `finetune judge collect`, read by a release.

Judges are numbers in it. Pseudonyms and comments are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem
from finetune.output.small_files import UnreadableError, read_json

MAX_BYTES = 64 * 2**20
ItemId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Choice = Literal["adapter", "other", "neither"]
InLanguage = Literal["yes", "partly", "no"]
Points = Annotated[int, Field(ge=0, le=100)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Marks(_Frozen):
    """Marks of a judge for one output."""

    adequacy: Points
    fluency: Points
    language: InLanguage
    """In the language and its spelling, or not."""


class Judged(_Frozen):
    """Judgement of one item by one judge."""

    judge: Annotated[int, Field(ge=1)]
    item: ItemId
    prefers: Choice
    adapter: Marks
    other: Marks


class Collected(_Frozen):
    """The judgements of a campaign."""

    format: Literal["finetune-judgements"] = "finetune-judgements"
    version: Literal[1] = 1
    campaign: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    evaluation: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Key of the evaluation whose outputs were judged."""
    language: str
    other: str
    """`base`, or the name of a model of `evaluate.models`."""
    task: Literal["translation", "answer"]
    health: bool = False
    """True if answers to prompts on health were judged."""
    items: Annotated[int, Field(ge=1)]
    """Items that were shown."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Reason -> items that were not shown."""
    not_counted: Annotated[int, Field(ge=0)] = 0
    """Judges whose answers do not count: they failed most attention items."""
    answers: Annotated[tuple[Judged, ...], Field(strict=False, min_length=1)]

    @property
    def judges(self) -> int:
        """Number of judges."""
        return len({one.judge for one in self.answers})

    @model_validator(mode="after")
    def _each_once(self) -> Collected:
        if len({(one.judge, one.item) for one in self.answers}) < len(self.answers):
            raise ValueError("a judge judged an item twice")
        return self


def read_collected(
    paths: Sequence[str | Path], *, evaluation: str | None, at: Place
) -> list[Collected]:
    """Return the judgements in files, which `at` names, of an evaluation (its key).

    Raises RecipeError for each that cannot be read, or is of another evaluation.
    """
    found, problems = [], []
    for path in paths:
        try:
            one = read_json(Path(path).expanduser(), Collected, max_bytes=MAX_BYTES)
        except (OSError, UnreadableError) as error:
            why = error.why if isinstance(error, UnreadableError) else error.strerror
            problems.append(_unreadable(path, why, at=at))
            continue
        found.append(one)
        if evaluation is not None and one.evaluation != evaluation:
            problems.append(
                problem(
                    "judgements-of-another-evaluation",
                    "{path}: the outputs of the evaluation {theirs} were judged, and this is "
                    "{ours}; take the file out, or have the new outputs judged: finetune judge "
                    "build",
                    at=at,
                    path=path,
                    theirs=one.evaluation,
                    ours=evaluation,
                )
            )
    campaigns = [one.campaign for one in found]
    if len(set(campaigns)) < len(campaigns):
        problems.append(
            problem(
                "campaign-twice", "two files are of one campaign; name the last one alone", at=at
            )
        )
    if problems:
        raise RecipeError(*problems)
    return found


def _unreadable(path: str | Path, why: object, *, at: Place) -> Problem:
    return problem(
        "no-judgements",
        "{path}: {why}; name the file that `finetune judge collect` wrote",
        at=at,
        path=path,
        why=why,
    )
