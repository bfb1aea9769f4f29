"""The stage `train`: packed tokens -> adapter."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from torch import Tensor

from finetune.artefacts import drawn_rows
from finetune.artefacts.emissions import Energy
from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import (
    BaseResult,
    PrepareResult,
    TrainResult,
    Validation,
    as_json,
    read_result,
)
from finetune.artefacts.timeline.attempts import attempts_of
from finetune.artefacts.timeline.times_line import times_line
from finetune.errors import TrainError
from finetune.launch import energy
from finetune.launch.energy import metered
from finetune.launch.gpu_load import gpu_load
from finetune.launch.pulse import FOLDER, beating, clear
from finetune.launch.ranks import ranks_of
from finetune.launch.rendezvous import SUFFIX
from finetune.messages import problem, sentence
from finetune.models import arithmetic
from finetune.models.kinds import Kind, kind_of
from finetune.models.load import (
    choose_device,
    gpus_of,
    model_type_of,
    resolve_precision,
    set_threads,
    tokenizer_folder,
)
from finetune.output.terminal import aside
from finetune.pipeline.builder import ATTEMPT, this_launch
from finetune.sizing.policy import leaves_room, packed_bytes
from finetune.spec.sections.training import Precision, total_steps
from finetune.spec.tables.extras import lacking, pip_line, refuse_missing_trackers
from finetune.train import training_mix
from finetune.train.adapter import save_adapter
from finetune.train.checkpoint import (
    Checkpoint,
    checkpoint_files,
    full_disk_explained,
    write_folder,
)
from finetune.train.curves.trackers import Guarded, RunName, opened
from finetune.train.determinism import deterministic
from finetune.train.engine import engine_of
from finetune.train.loop import Trainer
from finetune.train.metrics import METRICS, Metrics, draw_loss, read_metrics
from finetune.train.micro_batch import choose_layout, process_budget_bytes
from finetune.train.model import TrainedModel, load_model, restore
from finetune.train.optimizer import first_loss_scale
from finetune.train.processes import Processes, join, loss_of_contact_explained, timeout_of
from finetune.train.resuming import seam
from finetune.train.resuming.resume import changed_versions, resume
from finetune.train.sharding import Sharing, accelerated, choose
from finetune.train.state import Plan, Progress
from finetune.train.stop import StopFlag, stop_on_signals, stopped_on_request
from finetune.train.times.stopwatch import Stopwatch


def run(job: Job) -> dict[str, Any]:
    """Train the adapter of one phase, or continue where an earlier start was stopped.

    Every rank of a launch runs this; rank 0 alone writes into the workspace.

    Raises Stopped (the same command continues), TrainError, RecipeError or StoreError.
    """
    watch = Stopwatch(job.begun)
    watch.lap("imports")
    refuse_missing_trackers(job.recipe.run.trackers)
    job.workspace.mkdir(parents=True, exist_ok=True)
    with (
        stop_on_signals() as stop,
        full_disk_explained(job.workspace, what="the training's files"),
    ):
        set_threads(job.recipe.run.threads)
        device = choose_device(job.recipe.run.device)
        if ranks_of().is_main:
            clear(job.workspace)
        processes = join(
            device, stop=stop, folder=job.workspace, say=job.console.say, timeout=_timeout(job)
        )
        strict = job.recipe.run.deterministic
        with deterministic(device, strict=strict), loss_of_contact_explained(processes):
            with metered(job.workspace, **_meter(processes)), _beating(job, processes):
                watch.lap("ranks")
                result = _train(job, processes=processes, stop=stop, watch=watch)
            asked = processes.any(stop.reason is not None)
        if asked:
            raise stopped_on_request(
                sentence("at the end of training"),
                reason=stop.reason or "on another rank",
                saved=True,
            )
        if processes.is_main:
            metered_energy = energy.recorded(job.workspace)
            if metered_energy is not None:
                result = replace(result, energy=Energy(*metered_energy))
            result = replace(result, energy_before=_energy_before(job))
            energy.forget(job.workspace)
            shutil.rmtree(job.workspace / FOLDER, ignore_errors=True)
            for left in job.workspace.glob(
                f"*{SUFFIX}"
            ):  # of an attempt that did not come to train
                left.unlink(missing_ok=True)
        return as_json(result)


def _beating(job: Job, processes: Processes) -> AbstractContextManager[None]:
    """Show the position of this rank to the others and to `finetune status`."""
    return beating(
        job.workspace,
        processes.pulse,
        rank=processes.ranks.rank,
        ranks=processes.count,
        launch=this_launch() or "",
        say=aside,
    )


def _timeout(job: Job) -> timedelta:
    base = sum(f.stat().st_size for f in (job.inputs["base"].path / "model").glob("*.safetensors"))
    return timeout_of(job.recipe.run.timeout_minutes, base_bytes=base)


def _meter(processes: Processes) -> dict[str, Any]:
    """Return what this rank meters: its GPU, and the processors once per node."""
    ranks = processes.ranks
    gpus = gpus_of([processes.device])
    return {"rank": ranks.rank, "first_on_node": ranks.local_rank == 0, "gpus": gpus}


def _energy_before(job: Job) -> tuple[Energy | None, ...]:
    """Return the energy of the phases before this one, in order."""
    if "start" not in job.inputs:
        return ()
    before = read_result(job.inputs["start"], TrainResult)
    return (*before.energy_before, before.energy)


def _train(job: Job, *, processes: Processes, stop: StopFlag, watch: Stopwatch) -> TrainResult:
    settings = job.phase.train
    kind = kind_of(job.inputs["base"].path / "model")
    split, validation = _splits(job, kind=kind)
    rows_per_step = settings.rows_per_step(split.sequence_tokens)
    num_rows = drawn_rows.rows_of_epoch(job, split)
    steps = total_steps(settings, num_rows=num_rows, rows_per_step=rows_per_step)
    mixed = drawn_rows.plan_of(job, split, steps=steps)
    resumed = resume(
        job, steps=steps, rows_per_step=rows_per_step, mixed=mixed, processes=processes
    )
    sharing = _sharing(job, processes=processes, resumed=resumed)
    processes.same("what is trained", (job.inputs["prepare"].key, steps, sharing, version("torch")))
    watch.lap("resume")
    with accelerated(sharing, processes=processes) as accelerator:
        model = load_model(job, kind=kind, sharing=sharing, device=processes.device)
        progress = Progress(loss_scale=first_loss_scale(sharing.precision))
        if resumed is not None:
            progress = resumed.progress
            restore(model.parameters, resumed)
        watch.lap("model")
        layout = choose_layout(
            job,
            model=model,
            split=split,
            rows_per_step=rows_per_step,
            sharing=sharing,
            processes=processes,
            recorded=resumed.layout if resumed else None,
        )
        watch.lap("layout")
        engine = engine_of(
            job, sharing=sharing, accelerator=accelerator, model=model, resumed=resumed
        )
        watch.lap("engine")
        trainer = Trainer(
            Plan(
                train=settings,
                run=job.recipe.run,
                layout=layout,
                kind=kind,
                split=split,
                validation=validation,
                total_steps=steps,
                rows_per_step=rows_per_step,
                checkpoints=job.workspace / "checkpoints",
                mixed=drawn_rows.order_of(mixed, split, seed=settings.seed) if mixed else None,
            ),
            engine=engine,
            processes=processes,
            progress=progress,
            best=resumed.part("best") if resumed else {},
            stop=stop,
            console=job.console,
        )
        result = _finish(job, model=model, trainer=trainer, resumed=resumed, watch=watch)
        return replace(result, mixture=training_mix.recorded(mixed))


def _finish(
    job: Job,
    *,
    model: TrainedModel,
    trainer: Trainer,
    resumed: Checkpoint | None,
    watch: Stopwatch,
) -> TrainResult:
    """Train, then write adapter, state and picture, drop the checkpoints, return the result."""
    writes, processes = trainer.processes.is_main, trainer.processes
    if writes:
        _warn_of_warmup(job, steps=trainer.plan.total_steps)
    can_track = not lacking("trackers")
    if writes and job.recipe.run.tensorboard and not can_track:
        job.console.say(f"no TensorBoard curves, metrics.jsonl only: {pip_line('trackers')}")
    with Metrics(
        job.workspace if writes else None,
        resumed=trainer.progress,
        tensorboard=job.recipe.run.tensorboard and can_track,
        trackers=_trackers(job) if writes else None,
        gpu=gpu_load(gpus_of([processes.device])) if writes else None,
    ) as board:
        with arithmetic.tf32(processes.device):
            if resumed is not None and resumed.folder is not None:
                versions = changed_versions(job, resumed)
                seam.compare(trainer, resumed.folder, board, versions=versions)
            watch.lap("seam")
            launch = os.environ.get(ATTEMPT)
            board.start(watch, launch=launch, ranks=processes.count, device=processes.device.type)
            trainer.run(board)
            final, best = trainer.validate_at_end(board)
        watch.lap("training")
        result = _written(job, model=model, trainer=trainer, final=final, best=best)
        watch.lap("finish")
    if writes:
        _say_times(job)
    plan = trainer.plan
    rows = final.step * plan.rows_per_step
    return replace(
        result,
        seen=training_mix.seen(job, plan.split, plan.mixed, rows=rows),
        seen_before=training_mix.seen_before(job),
        steps_before=training_mix.steps_before(job),
    )


def _written(
    job: Job, *, model: TrainedModel, trainer: Trainer, final: Progress, best: dict[str, Tensor]
) -> TrainResult:
    """Write adapter, state and picture, drop the checkpoints, return the result."""
    chosen: dict[str, Tensor] = best
    if final.best_step is None:  # the same on all ranks, of which only one holds `best`
        chosen = trainer.engine.parameters()
    state = trainer.checkpoint()
    if trainer.processes.is_main:
        save_adapter(
            job.workspace / "adapter",
            model.peft,
            tensors=chosen,
            base=job.recipe.base,
            pissa_start=model.pissa_start,
            tokenizer=tokenizer_folder(job) if "vocabulary" in job.inputs else None,
        )
        write_folder(job.workspace / "state", checkpoint_files(state))
        draw_loss(job.workspace / "loss.png", read_metrics(job.workspace / METRICS))
        shutil.rmtree(trainer.plan.checkpoints, ignore_errors=True)
    return _result(trainer, final, trainable=sum(t.numel() for t in chosen.values()))


def _say_times(job: Job) -> None:
    """Say where the time went, over all attempts."""
    attempts = attempts_of(read_metrics(job.workspace / METRICS))
    line, facts = times_line(attempts)
    job.console.event(line, **facts)


def _result(trainer: Trainer, final: Progress, *, trainable: int) -> TrainResult:
    layout = trainer.plan.layout
    return TrainResult(
        steps=final.step,
        best_step=final.best_step or final.step,
        tokens=final.tokens,
        supervised_tokens=final.supervised_tokens,
        precision=layout.precision,
        micro_batch_rows=layout.micro_batch_rows,
        sharding=layout.sharding,
        ranks=layout.ranks,
        trainable_parameters=trainable,
        seconds=final.seconds,
        tokens_per_second=final.tokens / max(final.seconds, 1e-9),
        validation_bits_per_byte=final.best_bits_per_byte or {},
        history=tuple(Validation(**entry) for entry in final.history),
        loss_first=final.loss_first,
        loss_last=final.loss_last,
    )


def _trackers(job: Job) -> Guarded | None:
    """Return the open trackers of the recipe; their files are outside of the artefact."""
    if not job.recipe.run.trackers:
        return None
    key = job.workspace.name.partition(".")[0]
    name = RunName(job.recipe.name, key, job.workspace.parents[1] / "trackers")
    return opened(job.recipe.run.trackers, name, say=job.console.event)


def _warn_of_warmup(job: Job, *, steps: int) -> None:
    if warning := job.phase.train.warmup_warning(steps):
        job.console.say(sentence("warning: {what}", what=warning))


def _splits(job: Job, *, kind: Kind) -> tuple[PreparedItems, PreparedItems]:
    prepared = job.inputs["prepare"]
    result = read_result(prepared, PrepareResult)
    languages, cards = result.languages, result.cards
    split = kind.open_split(prepared.path / "train", languages=languages, cards=cards)
    validation = kind.open_split(prepared.path / "validation", languages=languages, cards=cards)
    if not split.supervised_tokens_of().any():
        raise TrainError(
            problem(
                "nothing-to-train-on",
                "no packed sequence of the training split ({count}) has a supervised token "
                "(cards: {cards}); the corpus report shows what was rejected and why",
                count=split.num_rows,
                cards=cards or ["none"],
            )
        )
    return split, validation


def _precision(job: Job, *, processes: Processes) -> Precision:
    """Return the precision to begin with, and say it where `auto` is not the usual one."""
    asked, base = job.phase.train.precision, job.inputs["base"].path / "model"
    found = resolve_precision(asked, processes.device, base=base)
    if found == "fp32" and asked != "fp32" and processes.device.type == "cuda":
        job.console.say(
            sentence(
                "precision: fp32, since {model_type} overflows in fp16 and this GPU has no bf16",
                model_type=model_type_of(base),
            )
        )
    return found


def _sharing(job: Job, *, processes: Processes, resumed: Checkpoint | None) -> Sharing:
    settings, base = job.phase.train, job.recipe.base
    precision = resumed.layout.precision if resumed else _precision(job, processes=processes)

    def fits() -> bool:
        parameters = read_result(job.inputs["base"], BaseResult).parameters
        weights = packed_bytes(parameters, precision=precision, quantization=base.quantization)
        budget = process_budget_bytes(job.recipe.run, processes.device)
        return processes.least(int(leaves_room(weights, budget_bytes=budget))) == 1

    return choose(
        settings,
        processes=processes,
        precision=precision,
        quantization=base.quantization,
        new_tokens="vocabulary" in job.inputs,
        fits=fits,
    )
