"""How long a training is: steps and tokens, exact where the corpus is prepared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from finetune import plan
from finetune.errors import StoreError
from finetune.plan import Step
from finetune.spec.card import DataCard, HubSource, PackageSource
from finetune.spec.load import Project
from finetune.store import Store
from finetune.train.schedule import total_steps

BYTES_PER_TOKEN = 2.4
"""UTF-8 bytes of a token before anything was tokenised: what SmolLM2's tokenizer makes of Hausa,
Swahili and Chichewa. It makes 4.6 of English, 1.8 of Yoruba and 1.05 of Telugu."""


@dataclass(frozen=True, slots=True)
class Length:
    """One training of a recipe."""

    phase: str
    steps: int
    rows_per_step: int
    tokens: int
    """Tokens that are trained on, padding left out."""
    epochs: float | None
    """Passes over the training rows; None where their number is not known."""
    exact: bool
    """Whether it was counted on the prepared corpus."""
    source: str
    """Where the number of rows is from."""


def lengths(project: Project, *, store: Store) -> list[Length]:
    """Return the length of each phase.

    Raises StoreError where epochs are asked for and the size of a corpus cannot be told.
    """
    steps = [s for s in plan.steps_of(project) if s.stage.name == "prepare"]
    return [_length(project, step, store=store) for step in steps]


def _length(project: Project, step: Step, *, store: Store) -> Length:
    train, row_tokens = step.phase.train, project.recipe.prepare.sequence_tokens
    rows_per_step = train.batch_tokens // row_tokens
    prepared = store.find("prepare", step.key)
    rows: int | None
    if prepared is not None:
        counts = prepared.result["counts"]["train"]
        rows, fill = counts["rows"], counts["tokens"] / (counts["rows"] * row_tokens)
        source = "the prepared corpus"
    else:
        rows, fill = _rows_of_cards(project, step, store=store), 1.0
        source = f"the size of the cards' files, {BYTES_PER_TOKEN:g} bytes a token"
    if rows is None and train.max_steps is None:
        raise StoreError(
            f"{project.path}: how much text the cards hold is not known yet: run `finetune fetch "
            f"{project.path}` and `finetune prepare {project.path}`, or give train.max_steps"
        )
    count = total_steps(train, num_rows=rows or 1, rows_per_step=rows_per_step)
    seen = count * rows_per_step
    if rows is None:
        source = "batch_tokens x max_steps, as if no row were padded"
    return Length(
        phase=step.phase.name,
        steps=count,
        rows_per_step=rows_per_step,
        tokens=round(seen * row_tokens * fill),
        epochs=None if rows is None else seen / rows,
        exact=prepared is not None,
        source=source,
    )


def _rows_of_cards(project: Project, step: Step, *, store: Store) -> int | None:
    """Return how many rows the texts of a phase may fill, or None if a corpus is not here."""
    sizes = [
        _size_bytes(project.cards[name], step, store=store)
        for name in dict.fromkeys(c.card for c in step.phase.corpora)
    ]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    settings = project.recipe.prepare
    kept = 1 - settings.validation_share - settings.test_share
    tokens = sum(known) / BYTES_PER_TOKEN * kept
    return max(1, math.ceil(tokens / settings.sequence_tokens))


def _size_bytes(card: DataCard, step: Step, *, store: Store) -> int | None:
    source = card.corpus.source
    if isinstance(source, HubSource):
        fetched = step.inputs[f"corpus:{card.name}"]
        found = store.find("corpus", fetched.key)
        return None if found is None else _sizes(found.path.rglob("*"))
    root = card.path.parent
    if isinstance(source, PackageSource):
        try:
            root = Path(str(distribution(source.package.partition("==")[0]).locate_file("")))
        except PackageNotFoundError:
            return None
    files = [root / file.path for file in source.files]
    return _sizes(files) if all(f.is_file() for f in files) else None


def _sizes(paths: Iterable[Path]) -> int:
    return sum(p.stat().st_size for p in paths if p.is_file())
