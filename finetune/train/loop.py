"""The training loop: optimizer steps, validations and checkpoints, each at a step boundary.

The loss of a step is the sum of token losses over all ranks and micro-batches divided by the
supervised tokens of the whole step, counted before the first forward pass, so that it does not
depend on how the rows are cut and shared out. All ranks run this loop; they agree on stops, and
on the loss before the optimizer's step: on a CPU before the last backward pass, on a GPU while it
runs. Rank 0 alone writes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finetune.artefacts.order import key_of_step, micro_batches, rows_of_step
from finetune.errors import Stopped, TrainError
from finetune.messages import problem, sentence
from finetune.models.kinds import Batch
from finetune.output.console import Console
from finetune.output.work import Bar
from finetune.spec.tables.metric import VALIDATION
from finetune.train.checkpoint import Checkpoint, folder_name, save_checkpoint
from finetune.train.engine import Engine
from finetune.train.measured_rows import is_out_of_memory
from finetune.train.metrics import Metrics
from finetune.train.micro_batch import out_of_memory
from finetune.train.optimizer import after_good_step, after_overflow, not_finite
from finetune.train.processes import Processes
from finetune.train.resuming import seam
from finetune.train.sample import even_sample
from finetune.train.schedule import learning_rate_factor
from finetune.train.state import Plan, Progress, after_validation
from finetune.train.stop import Interrupted, StopFlag, stopped_on_request
from finetune.train.training_mix import epochs_by_language
from finetune.train.transfer import on_host, one_ahead
from finetune.train.validate import (
    bits_per_byte_by_language,
    score_together,
    validation_line,
)


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """Results of one step before the optimizer update."""

    loss: float
    tokens: int
    supervised_tokens: int
    rows: NDArray[np.int64]


class Trainer:
    """Owns the progress of a training run; the engine owns the model."""

    def __init__(
        self,
        plan: Plan,
        *,
        engine: Engine,
        processes: Processes,
        progress: Progress,
        best: dict[str, Tensor],
        stop: StopFlag,
        console: Console,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.processes = processes
        self.progress = progress
        self.best = best
        """Parameters of the best validation by name, on the CPU; empty before the first."""
        self.stop = stop
        self.console = console
        self._saved: Progress | None = progress if progress.step else None
        self._data_seconds = 0.0
        """Of the step that runs: the host's time for choosing rows and making micro-batches. No
        device is waited for; on a GPU it works meanwhile on the micro-batch before."""
        self._interval = plan.train.validation_interval(plan.total_steps)
        self.validated_records = even_sample(
            plan.validation.documents_D, most=plan.train.validation_documents
        )

    def run(self, metrics: Metrics) -> None:
        """Train to the last step, or until validation stopped gaining.

        Raises Stopped after a checkpoint when a stop was asked for, TrainError on a loss that is
        not finite or when memory runs out, StoreError on a full disk.
        """
        try:
            total, start = self.plan.total_steps, self.progress.step
            with self.console.progress("train", total=total, start=start) as bar:
                while True:
                    self._validate_when_due(metrics)
                    if self.finished:
                        break
                    if self.progress.step % self.plan.run.checkpoint_every_steps == 0:
                        self._keep(metrics)
                    self._step(metrics, bar)
            self.save(metrics)
        except Interrupted as stopped:
            self._keep(metrics)
            raise self._stopped(stopped) from None
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self.processes.count == 1:  # saving is collective, and the others are elsewhere
                self.save(metrics)
            raise self._out_of_memory() from error

    @property
    def finished(self) -> bool:
        """Return whether the last step is done, or patience has run out."""
        patience = self.plan.train.early_stopping_patience
        early = 0 < patience <= self.progress.validations_without_gain
        return early or self.progress.step >= self.plan.total_steps

    def validate_at_end(self, metrics: Metrics) -> tuple[Progress, dict[str, Tensor]]:
        """Return progress and best parameters once the last step, too, has been validated.

        The trainer itself stays as it was: a longer run that resumes from its state would
        not have validated here.
        """
        if self.progress.validated_step == self.progress.step or not self._can_validate:
            return self.progress, self.best
        try:
            return self._validated(metrics)
        except Interrupted as stopped:
            raise self._stopped(stopped) from None

    def checkpoint(self) -> Checkpoint:
        """Return the state at this step boundary, gathered from all ranks."""
        return Checkpoint(
            progress=self.progress,
            layout=self.plan.layout,
            tensors={f"adapter.{name}": p for name, p in self.engine.parameters().items()}
            | self.engine.moments()
            | {f"best.{name}": t for name, t in self.best.items()},
        )

    def save(self, metrics: Metrics) -> None:
        """Write a checkpoint, unless this very state has one."""
        if self._saved == self.progress or self.progress.step == 0:
            return
        begun = time.monotonic()
        self.processes.pulse.move("checkpoint")
        checkpoint, run = self.checkpoint(), self.plan.run
        if self.processes.is_main:
            metrics.sync()
            save_checkpoint(
                self.plan.checkpoints,
                checkpoint,
                keep=run.keep_checkpoints,
                keep_gib=run.keep_checkpoints_gib,
            )
        self._saved = self.progress
        metrics.checkpoint(self.progress.step, seconds=time.monotonic() - begun)
        self.processes.pulse.move("between steps")

    def _keep(self, metrics: Metrics) -> None:
        """Write a checkpoint, and the loss at it unless a signal leaves no time for that."""
        before = self._saved
        self.save(metrics)
        if self._saved != before and not self.processes.any(self.stop.reason == "SIGTERM"):
            begun = time.monotonic()
            bits = seam.probe(self)
            if self.processes.is_main:
                seam.write_probe(self.plan.checkpoints / folder_name(self.progress), bits)
            metrics.probe(self.progress.step, seconds=time.monotonic() - begun)

    @property
    def _can_validate(self) -> bool:
        return len(self.validated_records) > 0

    def _validate_when_due(self, metrics: Metrics) -> None:
        step = self.progress.step
        due = step > 0 and step % self._interval == 0
        if due and self.progress.validated_step != step and self._can_validate:
            self.progress, self.best = self._validated(metrics)

    def _validated(self, metrics: Metrics) -> tuple[Progress, dict[str, Tensor]]:
        begun = time.monotonic()
        records = self.validated_records
        nll_D = score_together(
            self.engine.model,
            self.plan.validation,
            kind=self.plan.kind,
            records=records,
            batch_rows=self.plan.layout.micro_batch_rows,
            processes=self.processes,
            on_batch=self._validated_batch,
            console=self.console,
        )
        bits = bits_per_byte_by_language(
            nll_D,
            documents_D=self.plan.validation.documents_D[records],
            languages=self.plan.validation.languages,
        )
        if not all(math.isfinite(value) for value in bits.values()):
            raise TrainError(
                problem(
                    "validation-not-finite",
                    "the validation after step {step} is not finite: {bits_per_byte}. Lower "
                    "train.learning_rate, or set train.precision: fp32",
                    step=self.progress.step,
                    bits_per_byte=[f"{name} {value}" for name, value in bits.items()],
                )
            )
        progress = after_validation(self.progress, bits)
        seconds = time.monotonic() - begun
        progress = replace(progress, seconds=progress.seconds + seconds)
        epochs = epochs_by_language(
            self.plan.split,
            self.plan.mixed,
            seed=self.plan.train.seed,
            rows=progress.step * self.plan.rows_per_step,
        )
        metrics.validation(progress.step, scores=bits, epochs=epochs, seconds=seconds)
        if bits:
            best = (progress.best_step, progress.best_bits)
            line = validation_line(progress.step, bits, best=best)
            self.console.event(line, step=progress.step, **{VALIDATION: bits})
        if progress.best_step != progress.step:
            return progress, self.best
        return progress, self.engine.parameters()

    def _validated_batch(self) -> None:
        self.processes.pulse.move("validation")
        self.stop.check(self.processes.any)

    def _step(self, metrics: Metrics, bar: Bar) -> None:
        begun = time.monotonic()
        step, train = self.progress.step, self.plan.train
        self._data_seconds = 0.0
        learning_rate = train.learning_rate * learning_rate_factor(
            step,
            schedule=train.schedule,
            warmup_steps=train.warmup_of(self.plan.total_steps),
            total_steps=self.plan.total_steps,
        )
        while True:
            outcome = self._gradients(step)
            grad_norm = self.engine.step(
                learning_rate=learning_rate,
                max_grad_norm=train.max_grad_norm,
                loss_scale=self.progress.loss_scale,
            )
            if math.isfinite(grad_norm):
                break
            if self.progress.loss_scale <= 1:
                raise not_finite(
                    "the gradient norm", step, rows=outcome.rows, split=self.plan.split
                )
            # in fp16 an overflow of gradients is answered with a smaller loss scale
            self.progress = after_overflow(self.progress)
        seconds = time.monotonic() - begun
        self.processes.pulse.stepped(step + 1, seconds=seconds)
        before = self.progress
        self.progress = after_good_step(
            replace(
                before,
                step=step + 1,
                tokens=before.tokens + outcome.tokens,
                supervised_tokens=before.supervised_tokens + outcome.supervised_tokens,
                seconds=before.seconds + seconds,
                loss_first=outcome.loss if before.loss_first is None else before.loss_first,
                loss_last=outcome.loss,
            ),
            precision=self.plan.layout.precision,
        )
        metrics.train_step(
            step + 1,
            loss=outcome.loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens=outcome.tokens,
            supervised_tokens=outcome.supervised_tokens,
            seconds=round(seconds, 4),
            data_seconds=round(self._data_seconds, 4),
        )
        bar.update(
            step + 1,
            loss=outcome.loss,
            tokens_per_second=outcome.tokens / max(seconds, 1e-9),
            learning_rate=learning_rate,
        )

    def _gradients(self, step: int) -> StepOutcome:
        """Fill the gradients of a step; the parameters stay as they are."""
        split, processes = self.plan.split, self.processes
        begun = time.monotonic()
        rows = self._rows(step)
        supervised_tokens = int(split.supervised_tokens_of(rows).sum())
        self._data_seconds += time.monotonic() - begun
        # Dropout is drawn from this key alone, or from generators that it seeds.
        key = key_of_step(self.plan.train.seed, step)
        # Engines average over ranks; a step sums.
        scale = self.progress.loss_scale * processes.count / max(1, supervised_tokens)
        torch.manual_seed(key)
        self.engine.model.train()
        shares = self._shares(rows)
        nll_M: list[Tensor] = []
        on_cpu = processes.device.type == "cpu"
        for number, batch in enumerate(one_ahead(map(self._batch, shares[processes.ranks.rank]))):
            processes.pulse.move("forward pass", place=2 * number + 1)
            if number == 0 or self._stops_inside_steps:
                self.stop.check(processes.any)
            last = number + 1 == len(shares[0])
            nll = self.engine.forward(batch, dropout_key=key, last=last)
            nll_M.append(nll.detach())
            if last:
                arrived = on_host(torch.stack(nll_M).double())
            if last and on_cpu:
                nll_WM = self._finite(step, arrived(), shares=shares)
            processes.pulse.move("backward pass", place=2 * number + 2)
            self.engine.backward(nll * scale, last=last)
        if not on_cpu:  # only now: a GPU that waited for this would have no backward pass to run
            nll_WM = self._finite(step, arrived(), shares=shares)
        if self._stops_inside_steps:
            self.stop.check(processes.any)
        return StepOutcome(
            loss=float(nll_WM.sum()) / max(1, supervised_tokens),
            tokens=int(split.tokens_of(rows).sum()),
            supervised_tokens=supervised_tokens,
            rows=rows,
        )

    def _rows(self, step: int) -> NDArray[np.int64]:
        each, mixed = self.plan.rows_per_step, self.plan.mixed
        if mixed is not None:
            return mixed.take(step * each, (step + 1) * each)
        num_rows = self.plan.split.num_rows
        return rows_of_step(self.plan.train.seed, step, num_rows=num_rows, rows_per_step=each)

    @property
    def _stops_inside_steps(self) -> bool:
        """Return whether a stop is looked for at every micro-batch, not only before a step.

        A step of a CPU can take minutes; ranks on GPUs would wait for each other each time.
        """
        return self.processes.count == 1 or self.processes.device.type == "cpu"

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        """Return a micro-batch; the host's seconds count as waiting for data."""
        kind, device = self.plan.kind, self.processes.device
        begun = time.monotonic()
        if len(rows):
            batch = kind.make_batch(self.plan.split, rows.tolist(), device=device)
        else:
            batch = kind.idle_batch(device)
        self._data_seconds += time.monotonic() - begun
        return batch

    def _shares(self, rows: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
        """Return the micro-batches of every rank."""
        size, ranks = self.plan.layout.micro_batch_rows, self.processes.count
        return [micro_batches(rows, rank=r, ranks=ranks, size=size) for r in range(ranks)]

    def _finite(
        self, step: int, nll_M: Tensor, *, shares: list[list[NDArray[np.int64]]]
    ) -> NDArray[np.float64]:
        """Return the nll of every micro-batch (columns) of every rank (rows), if all are finite."""
        nll_WM = torch.zeros(self.processes.count, len(nll_M), dtype=torch.float64)
        nll_WM[self.processes.ranks.rank] = nll_M
        found = self.processes.total(nll_WM).numpy()
        bad = np.argwhere(~np.isfinite(found))
        if len(bad):
            rows = np.concatenate([shares[rank][number] for rank, number in bad])
            raise not_finite("the loss", step, rows=rows, split=self.plan.split)
        return found

    def _stopped(self, stopped: Interrupted) -> Stopped:
        step = self.progress.step
        return stopped_on_request(
            sentence("after step {step} of {steps}", step=step, steps=self.plan.total_steps),
            reason=str(stopped),
            saved=step > 0,
        )

    def _out_of_memory(self) -> TrainError:
        return out_of_memory(
            self.plan.layout.micro_batch_rows,
            sequence_tokens=self.plan.split.sequence_tokens,
            run=self.plan.run,
        )
