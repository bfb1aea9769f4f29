"""`finetune resubmit`: resubmission of the unfinished jobs of a chain."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.cluster.chain.chain import find_chain
from finetune.cluster.chain.size import Size
from finetune.cluster.chain.typed import typed
from finetune.cluster.follow.status import look
from finetune.cluster.submit.queue import notes_of_site
from finetune.cluster.submit.resubmit import resubmit
from finetune.errors import RecipeError
from finetune.messages import problem
from finetune.output.console import Console
from finetune.verbs.options import add_chain, add_site, add_size


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    add_site(parser)
    add_size(parser)
    parser.add_argument(
        "--accept-versions",
        action="store_true",
        help="resume with other versions of finetune or its packages than at the submission",
    )


def run(options: Namespace, console: Console) -> int:
    """Resubmit the unfinished jobs of a chain."""
    chain = find_chain(options.store, options.chain)
    if options.site is None and options.overlay is not None:
        raise RecipeError(
            problem("overlay-without-site", "--overlay changes a site: name the site with --site")
        )
    size = Size(options.nodes, options.gpus, options.time)
    sent = resubmit(
        chain,
        site_file=options.site,
        overlay=options.overlay,
        size=size,
        accept_versions=options.accept_versions,
        tell=console.say,
    )
    if not sent:
        console.say(f"{chain.id}: all jobs are done; nothing was submitted", chain=chain.id)
        return 0
    steps = {job.name: job.progress.checkpoint_step for job in look(chain).jobs}
    for submission in sent:
        step = steps[submission.name]
        resumes = f", resuming from the checkpoint at step {step:,}" if step is not None else ""
        console.say(
            f"submitted {submission.name} as job {submission.job_id}{resumes}",
            job=submission.name,
            job_id=submission.job_id,
            step=step,
        )
    for note in notes_of_site(sent):
        console.say(f"sbatch: {note}", note=note)
    console.say(f"follow: {typed('status', chain)}", chain=chain.id)
    return 0
