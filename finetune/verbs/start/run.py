"""Verbs that make artefacts: run, fetch, prepare, train, evaluate, release, publish."""

from __future__ import annotations

import shlex
from argparse import Namespace
from datetime import date

from finetune.artefacts.job import Artifact
from finetune.errors import StoreError
from finetune.estimate.mixture_table import show_mixtures
from finetune.launch.ranks import ranks_of
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.sources import lock as outside
from finetune.spec.load import Project, load_project
from finetune.spec.permission import refuse_training
from finetune.verbs import default_store
from finetune.verbs.start.check import check_files, terms_of


def run(options: Namespace, console: Console) -> int:
    """Do everything, publish to the recipe's hub, and say what to type next."""
    project, store = _opened(options)
    done = plan.execute(project, plan.steps_of(project), store=store, console=console)
    if not ranks_of().is_main:
        return 0
    place = _publish(project, store, done["release"], console=console, options=options)
    _summary(options, done, place=place, console=console)
    return 0


def fetch(options: Namespace, console: Console) -> int:
    """Get base and Hub corpora into the store, and write the lock beside the recipe."""
    from finetune.sources import fetch as fetching

    project, store = _opened(options)
    steps = tuple(s for s in plan.steps_of(project) if s.stage.needs_network)
    plan.execute(project, steps, store=store, console=console)
    lock = fetching.write_lock(options.recipe, outside.entries(project))
    console.say(f"everything is here; checksums are in {lock}", lock=str(lock))
    return 0


def stage(options: Namespace, console: Console) -> int:
    """Do what one stage needs, and the stage."""
    project, store = _opened(options)
    phase = getattr(options, "phase", None)
    steps = plan.steps_up_to(project, options.verb, phase=phase)
    done = plan.execute(project, steps, store=store, console=console)
    if options.verb == "prepare" and ranks_of().is_main:
        show_mixtures(project, store=store, console=console)
    if options.verb == "evaluate":
        _show_scores(done["evaluate"], console=console)
    console.say(f"{options.verb}: {done[options.verb].path}", path=str(done[options.verb].path))
    return 0


def publish(options: Namespace, console: Console) -> int:
    """Upload the release that was built; builds nothing itself."""
    project, store = _opened(options)
    step = plan.steps_of(project)[-1]
    release = store.find(step.stage.name, step.key)
    if release is None:
        raise StoreError(
            f"{options.recipe}: not released yet; first: finetune run {options.recipe}"
        )
    terms_of(project)  # what was allowed when it was built may have ended since
    _publish(project, store, release, console=console, options=options)
    return 0


def _opened(options: Namespace) -> tuple[Project, Store]:
    project = load_project(options.recipe, overrides=options.overrides)
    refuse_training(project.cards, today=date.today())
    check_files(project)
    outside.verify_lock(project)
    return project, Store(options.store.resolve())


def _publish(
    project: Project, store: Store, release: Artifact, *, console: Console, options: Namespace
) -> str:
    from finetune.release.publish import publish as upload

    settings = project.recipe.publish
    hub = getattr(options, "hub", None)
    if hub:
        settings = settings.model_copy(update={"hub": hub})
    return upload(
        release.path,
        project.recipe.release.repo,
        settings=settings,
        default_directory=store.root / "hub",
        console=console,
        dry_run=getattr(options, "dry_run", False),
        gate=release.result.get("gate", ()),
    )


def _summary(
    options: Namespace, done: dict[str, Artifact], *, place: str, console: Console
) -> None:
    _show_scores(done["evaluate"], console=console)
    corpus_report = done["prepare"].path / "report.html"
    report = done["evaluate"].path / "report.html"
    console.say(f"corpus report   {corpus_report}", corpus_report=str(corpus_report))
    console.say(f"results report  {report}", report=str(report))
    console.say(f"adapter         {place}", adapter=place)
    same = _as_typed(options)
    console.say(f"talk to it      finetune chat {same}")
    console.say(f"put it online   finetune publish {same} --hub huggingface --dry-run")
    console.say(f"on a cluster    finetune submit {same} --site slurm/sites/SITE.yaml --dry-run")


def _as_typed(options: Namespace) -> str:
    """Return the recipe with the options that decide which artefacts are meant, for a shell."""
    words = [str(options.recipe)]
    for override in options.overrides:
        words += ["--set", override]
    if options.store != default_store():
        words += ["--store", str(options.store)]
    return shlex.join(words)


def _show_scores(evaluation: Artifact, *, console: Console) -> None:
    from finetune.evaluate.scores import TABLE_COLUMNS, pairs_of, table_rows

    rows = table_rows(pairs_of(evaluation.result))
    title = "base against adapter, on held-out texts"
    if console.json_lines:
        console.table(title, TABLE_COLUMNS, rows)
        return
    # intervals under their values, so that a terminal of 80 columns is enough
    narrow = [
        (
            f"{metric}\n{where}",
            base.replace(" [", "\n["),
            adapter.replace(" [", "\n["),
            f"{difference}\np {p}" if p.startswith("<") else f"{difference}\np = {p}",
            verdict,
        )
        for metric, where, base, adapter, difference, p, verdict in rows
    ]
    console.table(title, ("", "base [95 %]", "adapter [95 %]", "difference", "verdict"), narrow)
