"""The loss on both sides of a seam: a checkpoint and the run that resumes from it.

The losses of two steps cannot be compared, since each is of other rows. So a few fixed texts of the
validation split are scored right after a checkpoint is written, and again by the run that has
loaded it: the same parameters and the same texts, so that any difference comes from versions,
devices, layout, or a checkpoint that was not restored as it was.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import BaseModel

from finetune.messages import Sentence, sentence
from finetune.output.console import Console
from finetune.output.durable import write_json
from finetune.output.small_files import UnreadableError, read_json
from finetune.spec.sections.training import Precision
from finetune.train.validate import bits_per_byte_by_language, score_together

if TYPE_CHECKING:
    from finetune.train.loop import Trainer
    from finetune.train.metrics import Metrics

FILE = "seam.json"
TEXTS = 4
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 5e-3}
"""Largest relative difference by precision that rounding on another layout explains."""


class _Stored(BaseModel):
    """Content of seam.json."""

    bits_per_byte: float
    texts: int


def probe(trainer: Trainer) -> float | None:
    """Return bits per byte of the first texts of a validation; None without any. Collective."""
    plan, few = trainer.plan, trainer.validated_records[:TEXTS]
    if not len(few):
        return None
    nll_D = score_together(
        trainer.engine.model,
        plan.validation,
        kind=plan.kind,
        records=few,
        batch_rows=plan.layout.micro_batch_rows,
        processes=trainer.processes,
        on_batch=lambda: None,
        console=Console(out=io.StringIO()),
    )
    bits = bits_per_byte_by_language(
        nll_D, documents_D=plan.validation.documents_D[few], languages=plan.validation.languages
    )
    return fmean(bits.values()) if bits else None


def compare(trainer: Trainer, folder: Path, metrics: Metrics, *, versions: Sequence[str]) -> None:
    """Compare the loss of a trainer that has just resumed with that of its checkpoint. Collective.

    Another loss, or accepted other `versions`, is also recorded in the metrics. A checkpoint
    without a value (stopped by SIGTERM, or of an older finetune) is not compared.
    """
    before = read_probe(folder)
    if trainer.processes.least(int(before is not None)) == 0:
        return
    after = probe(trainer)
    if before is None or after is None:
        return
    step = trainer.progress.step
    is_other = differs(before, after, precision=trainer.plan.layout.precision)
    line = seam_line(step, before=before, after=after, is_other=is_other)
    trainer.console.event(line, step=step, before=before, after=after, differs=is_other)
    if is_other or versions:
        metrics.seam(step, before=before, after=after, versions=versions)


def write_probe(folder: Path, value: float | None) -> None:
    """Write what `probe` returned beside a checkpoint."""
    if value is not None and math.isfinite(value):
        write_json(folder / FILE, _Stored(bits_per_byte=value, texts=TEXTS).model_dump())


def read_probe(folder: Path) -> float | None:
    """Return the value at a checkpoint; None if it was stopped before that, or is older."""
    try:
        stored = read_json(folder / FILE, _Stored)
    except (OSError, UnreadableError):
        return None
    return stored.bits_per_byte if stored.texts == TEXTS else None


def differs(before: float, after: float, *, precision: Precision) -> bool:
    """Return whether two values at a seam differ by more than rounding.

    >>> differs(2.0, 2.00001, precision="fp32"), differs(2.0, 2.01, precision="fp32")
    (False, True)
    """
    close = math.isclose(before, after, rel_tol=TOLERANCE[precision])
    return not close


def seam_line(step: int, *, before: float, after: float, is_other: bool) -> Sentence:
    """Return the comparison in a line."""
    facts = {"step": step, "before": before, "after": after}
    if is_other:
        return sentence(
            "warning: the loss changes where the run resumes: {before:.6f} bits per byte at step "
            "{step} before, {after:.6f} after. Another device, sharding or version computes "
            "otherwise; restore it, or judge the later steps with this in mind",
            **facts,
        )
    return sentence(
        "the loss is the same where the run resumes: {before:.6f} bits per byte at step {step} "
        "before, {after:.6f} after",
        **facts,
    )
