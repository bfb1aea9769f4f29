"""`finetune submit`: submission of a recipe or a sweep as Slurm jobs."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, Submission
from finetune.cluster.chain.size import Size, sized
from finetune.cluster.job.plain_script import again_in_words, header_lines
from finetune.cluster.submit.array import plan_sweep, sweep_problems
from finetune.cluster.submit.made_elsewhere import refuse_made_elsewhere
from finetune.cluster.submit.one_job import ONE_JOB, plan_one_job
from finetune.cluster.submit.preflight import NOT_FETCHED, problems
from finetune.cluster.submit.queue import groups, indices_of, notes_of_site, waits_for
from finetune.cluster.submit.submit import (
    UNTIL,
    Planned,
    Until,
    plan_chain,
    store_of,
    submit_chain,
    write_files,
)
from finetune.cluster.submit.sweep import Combination, combinations_of, short
from finetune.errors import RecipeError
from finetune.estimate.evaluation import evaluation_problems
from finetune.estimate.one_gpu import too_large_for_one_gpu
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.console import Console
from finetune.output.paths import as_written
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import steps_of, steps_up_to
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store
from finetune.pipeline.withdrawals import refuse_lost_withdrawals
from finetune.spec.site import Site, load_site
from finetune.verbs.options import add_site, add_size, positive

CONTINUED_FROM_INSIDE = sentence(
    "note: with requeue: forbidden a stopped job submits the job that continues it while it still "
    "runs. Where a user may have one job at a time (MaxSubmit 1), Slurm refuses that one, and "
    "`finetune resubmit` is needed after each stop"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the batch scripts; submit nothing"
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="add a debug run of a few steps in the site's short queue",
    )
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=VALUE,VALUE",
        help="job array over values of a key, e.g. lora.rank=8,16; repeat it for all combinations",
    )
    parser.add_argument("--languages", metavar="CODE,CODE", help="job array over target languages")
    parser.add_argument("--seeds", metavar="N,N", help="job array over training seeds")
    parser.add_argument(
        "--array-limit",
        type=positive,
        metavar="N",
        help="maximum tasks of an array that run at the same time",
    )
    parser.add_argument(
        "--pack",
        type=positive,
        metavar="K",
        help="train K combinations of a sweep side by side in one job, on one GPU of a node each",
    )
    add_size(parser)
    parser.add_argument("--until", choices=UNTIL, help="last job of the chain (default: all)")
    parser.add_argument(
        "--one-job", action="store_true", help="all stages in one job, for queues that take few"
    )
    parser.add_argument(
        "--scheduler",
        choices=("slurm", "none"),
        help="none: write one script for another scheduler (PBS, OAR, LSF, Flux), submit nothing",
    )
    parser.add_argument(
        "--header",
        type=Path,
        metavar="FILE",
        help="first lines of that script, e.g. #PBS -l walltime=24:00:00",
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="submit even if another chain makes one of the artefacts already",
    )
    parser.set_defaults(store=None)  # then the site's own is used, if it names one


def run(options: Namespace, console: Console) -> int:
    """Submit the jobs of a recipe, or show their scripts."""
    project = open_project(options.recipe, purpose="submit", overrides=options.overrides)
    size = Size(options.nodes, options.gpus, options.time, options.pack)
    _refuse_pack(options)
    site = sized(_site(options), size)
    store = store_of(options.store, site=site)
    refuse_lost_withdrawals(project.cards.values(), store)
    swept = _combinations(options, project)
    planned = _planned(options, project, swept, site=site, store=store)
    planned = replace(planned, chain=_remembering(planned.chain, options, size=size))
    if not planned.todo:
        _say_cached(options, project, swept, store=store, console=console)
        return 0
    reasons = _reasons(planned, swept, site=site, store=store)
    if options.dry_run:
        _show(planned, console=console)
        missing = [reason for reason in reasons if reason.code == NOT_FETCHED]
        reasons = [reason for reason in reasons if reason not in missing]
        for reason in missing:
            console.say(f"before it can be submitted: {reason}")
    if reasons:
        raise RecipeError(*reasons)
    if options.one_job and site.scheduler == "slurm" and site.requeue == "forbidden":
        console.say(str(CONTINUED_FROM_INSIDE))
    if options.dry_run:
        console.say("--dry-run: nothing was written or submitted")
        return 0
    if not options.anyway and site.scheduler == "slurm":
        refuse_made_elsewhere(planned.todo, store=store)
    if site.scheduler == "none":
        write_files(planned, versions=site.command is None)
        _say_how_to_start(planned, site=site, console=console)
        return 0
    submissions = submit_chain(planned, site=site)
    _report(planned, submissions, console=console)
    return 0


def _reasons(
    planned: Planned, swept: list[Combination], *, site: Site, store: Store
) -> list[Problem]:
    """Return every reason why a job would fail."""
    project = planned.project
    reasons = (
        sweep_problems(swept, planned, site=site, store=store)
        if swept
        else problems(project, planned.scripts, site=site, store=store)
    )
    if any("evaluate" in job.stages for job in planned.todo):
        alone = planned.todo[0].name == ONE_JOB
        on = site.model_copy(update={"evaluate": site.train}) if alone else site
        reasons += evaluation_problems(project, site=on, store=store)
    if any(job.pack is not None for job in planned.todo):
        of_sweep = [combination.project for combination in swept]
        reasons += too_large_for_one_gpu(of_sweep, site=site, store=store)
    return reasons


def _site(options: Namespace) -> Site:
    """Return the site that was named; without Slurm none need be."""
    plain = options.scheduler == "none"
    if options.site is None and not plain:
        raise RecipeError(
            problem(
                "no-site",
                "there is no site; name the site file of a cluster with "
                "--site slurm/sites/NAME.yaml",
            )
        )
    if options.site is None:
        site = Site(name="plain", description="A scheduler other than Slurm.", scheduler="none")
    else:
        site = load_site(options.site, overlay=options.overlay)
    if plain:
        site = site.model_copy(update={"scheduler": "none"})
    if options.header is None:
        return site
    if site.scheduler != "none":
        raise RecipeError(
            problem(
                "header-with-slurm",
                "is for a script of another scheduler: give --scheduler none with it, or write "
                "lines for Slurm into `sbatch` of the site or your overlay",
                at=Place(key=f"--header {options.header}"),
            )
        )
    return site.model_copy(update={"header": [*site.header, *header_lines(options.header)]})


def _refuse_with_one_job(options: Namespace) -> None:
    """Raise RecipeError for options that need several jobs."""
    several = [
        option
        for option, given in (
            ("--debug", options.debug),
            ("--sweep", options.sweep),
            ("--languages", options.languages),
            ("--seeds", options.seeds),
            ("--array-limit", options.array_limit),
            ("--pack", options.pack),
        )
        if given
    ]
    if several:
        raise RecipeError(
            problem(
                "one-job-of-several",
                "needs several jobs, and here all stages are one; leave it out, or set one "
                "combination with --set",
                at=Place(key=several[0]),
            )
        )


def _refuse_pack(options: Namespace) -> None:
    """Raise RecipeError for --pack without a sweep."""
    if options.pack is None or options.one_job or options.scheduler == "none":
        return
    if not options.sweep and options.languages is None and options.seeds is None:
        raise RecipeError(
            problem(
                "pack-without-sweep",
                "trains several combinations in one job: give --sweep, --languages or --seeds",
                at=Place(key=f"--pack {options.pack}"),
            )
        )


def _planned(
    options: Namespace, project: Opened, swept: list[Combination], *, site: Site, store: Store
) -> Planned:
    until: Until = options.until or "release"
    if options.one_job or site.scheduler == "none":
        _refuse_with_one_job(options)
        return plan_one_job(project, site=site, store=store, until=until)
    if not swept:
        return plan_chain(project, site=site, store=store, debug=options.debug, until=until)
    return plan_sweep(
        swept,
        project=project,
        site=site,
        store=store,
        limit=options.array_limit,
        until=options.until or "evaluate",
        pack=options.pack,
    )


def _say_cached(
    options: Namespace,
    project: Opened,
    swept: list[Combination],
    *,
    store: Store,
    console: Console,
) -> None:
    steps = steps_up_to(project, options.until) if options.until else ()
    last = (steps or steps_of(project))[-1]
    done = store.path_of(last.stage.name, last.key)
    place = "every combination" if swept else f"the {last.stage.name} is {done}"
    console.say(f"everything is cached; {place}", path=str(done), jobs=[])


def _remembering(chain: Chain, options: Namespace, *, size: Size) -> Chain:
    """Return a chain that remembers what its scripts were written from, for `resubmit`."""
    return replace(
        chain,
        site_file=None if options.site is None else str(as_written(options.site)),
        overlay=None if options.overlay is None else str(as_written(options.overlay)),
        size=size if size != Size() else None,
    )


def _combinations(options: Namespace, project: Opened) -> list[Combination]:
    """Return the combinations of --languages, --seeds and --sweep; none without such an option.

    Raises RecipeError with every problem of every combination.
    """
    if not options.sweep and options.languages is None and options.seeds is None:
        if options.array_limit is not None:
            raise RecipeError(
                problem(
                    "array-limit-without-array",
                    "--array-limit needs --sweep, --languages or --seeds",
                )
            )
        return []
    if options.debug:
        raise RecipeError(
            problem(
                "debug-with-array",
                "--debug is for one recipe: leave it out, or set one combination with --set",
            )
        )
    return combinations_of(
        project, languages=options.languages, sweeps=options.sweep, seeds=options.seeds
    )


def _say_how_to_start(planned: Planned, *, site: Site, console: Console) -> None:
    """Show the script for another scheduler, and the command that follows it."""
    chain = planned.chain
    script = chain.folder / planned.todo[0].script
    console.say(f"script      {script}", chain=chain.id, script=str(script))
    console.say(
        "start it    with your scheduler (qsub, oarsub -S, bsub <, flux batch), or with bash"
    )
    console.say(f"again       {again_in_words(site)}")
    console.say(f"follow      finetune status {chain.id}{_named_store(chain)}")


def _show(planned: Planned, *, console: Console) -> None:
    chain = planned.chain
    if not chain.asks_slurm:
        job = planned.todo[0]
        text = planned.scripts[job.name]
        console.show(f"# {chain.folder / job.script}\n{text}", job=job.name, script=text)
        return
    ids: dict[str, str] = {}
    for group in groups(planned.todo):
        first, name = group[0], group[0].array or group[0].name
        after, kind = waits_for(group, ids, chain=chain)
        ids |= {j.name: f"<id of {name}>" + f"_{j.index}" * (j.index is not None) for j in group}
        command = ["sbatch", "--parsable"]
        if first.array is not None:
            command.append(f"--array={indices_of(chain, group)}")
        if after:
            command += [f"--dependency={kind}:{':'.join(after)}", "--kill-on-invalid-dep=yes"]
        console.show(
            f"# {chain.folder / first.script}\n# {' '.join([*command, first.script])}\n"
            f"{planned.scripts[name]}",
            job=name,
            script=planned.scripts[name],
            command=[*command, first.script],
            folder=str(chain.folder),
            tasks=[
                {"task": j.task, "settings": j.settings, "pack": j.pack} for j in group if j.array
            ],
        )


def _report(planned: Planned, submissions: list[Submission], *, console: Console) -> None:
    chain = planned.chain
    jobs = [(chain.job(s.name), s.job_id) for s in submissions]
    rows = [(_named(job), job_id, ", ".join(job.depends_on)) for job, job_id in jobs]
    facts = (
        {
            "job": job.name,
            "job_id": job_id,
            "depends_on": list(job.depends_on),
            "settings": list(job.settings),
        }
        for job, job_id in jobs
    )
    columns = ("job", "id", "depends on")
    console.table(f"{chain.id} on {chain.site}", columns, rows, name="jobs", facts=facts)
    store = _named_store(chain)
    for note in notes_of_site(submissions):
        console.say(f"sbatch      {note}", note=note)
    console.say(f"scripts     {chain.folder / 'scripts'}", chain=chain.id, folder=str(chain.folder))
    console.say(f"follow      finetune status{store}")
    if any(job.recipe for job in chain.jobs):
        console.say(f"results     finetune report --sweep{store}")


def _named_store(chain: Chain) -> str:
    """Return the option that names the store of a chain, empty for the default one."""
    return "".join(f" {shlex.quote(word)}" for word in named_store(Path(chain.store)))


def _named(job: ChainJob) -> str:
    return f"{job.name} {short(job.settings)}".strip()
