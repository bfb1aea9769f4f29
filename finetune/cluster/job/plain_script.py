"""The script of a chain for a scheduler other than Slurm: one job, which asks no scheduler.

It knows the scheduler's id of the job only as a name, and its own time limit from the site. The
header, such as `#PBS -l walltime=24:00:00`, is the user's.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.job.batch_script import Work, environment_of, ranks_of, time_limit_seconds
from finetune.errors import RecipeError, Stopped, shortened
from finetune.messages import Place, problem
from finetune.output.templates import text_environment
from finetune.spec.site import Site
from finetune.spec.yaml_file import read_text


def plain_script_of(job: ChainJob, work: Work, *, chain: Chain, site: Site) -> str:
    """Return the script of the one job of a chain."""
    environment = {"TRITON_CACHE_DIR": str(chain.folder / "triton")}  # homes have small quotas
    environment |= environment_of(work.kind, site)
    if "cpus_per_rank" not in site.train.model_fields_set:
        environment.pop("OMP_NUM_THREADS")  # the scheduler decides about CPUs
    engine = text_environment("finetune.cluster.job", filters={"quoted": shlex.quote})
    stop_after = stop_after_seconds(site)
    return engine.get_template("plain.sh.j2").render(
        header=site.header,
        login=site.shell == "login",
        job=job.name,
        chain=str(chain.folder),
        chain_id=chain.id,
        command=shlex.join([*site.launcher, *work.command]),
        setup=[*site.setup, *site.train.setup],
        environment=list(environment.items()),
        ranks=ranks_of(work.kind, site),
        arguments=shlex.join(work.arguments),
        packs=[],
        identity=' --job-id "$id" --restart "$restart"',
        stop_signals="USR1 USR2 XCPU TERM INT",
        stop_after_seconds=stop_after,
        time_limit=site.train.time_limit,
        resubmit=site.resubmit,
        stopped=Stopped.exit_code,
    )


def header_lines(path: Path) -> list[str]:
    """Return the lines of a file with a header: comments, from which a scheduler reads options.

    A first line `#!...` is removed: the script has its own. Raises RecipeError for other lines.
    """
    lines = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or (number == 1 and line.startswith("#!")):
            continue
        if not line.startswith("#"):
            raise RecipeError(
                problem(
                    "not-a-header-line",
                    "{line!r} is no line of a scheduler, such as #PBS -l walltime=24:00:00; "
                    "commands go into `setup` of a site file",
                    at=Place(path, number, 1),
                    line=shortened(line, most=60),
                )
            )
        lines.append(line.rstrip())
    return lines


def again_in_words(site: Site) -> str:
    """Return what happens to a script that was stopped before its work was done."""
    if site.resubmit is not None:
        return f"submits itself with: {site.resubmit}"
    code = Stopped.exit_code
    return f"exit code {code} means: not finished; start the same script again, it resumes"


def stop_after_seconds(site: Site) -> int | None:
    """Return the time after which the script stops itself; None if no time limit was given."""
    if "time_limit" not in site.train.model_fields_set:
        return None
    return time_limit_seconds(site.train.time_limit) - site.grace_seconds
