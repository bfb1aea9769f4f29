"""Diagnosis of this machine and of the compute nodes of a site.

The nodes are probed by one short srun with the same lines, setup commands, environment, launcher
and ranks as a training job.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.cluster.doctor import diagnosis, probe
from finetune.cluster.doctor.diagnosis import Finding
from finetune.cluster.job.batch_script import Kind, environment_of, request_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.preflight import missing_packages
from finetune.errors import ClusterError
from finetune.pipeline import storage
from finetune.pipeline.store import Store
from finetune.spec.site import JobRequest, Site
from finetune.spec.values.sbatch_lines import merge_lines

EXCHANGE_SECONDS = 60.0
_COMMANDS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
_KINDS: tuple[Kind, ...] = ("prepare", "train", "evaluate", "release")
_STEP_TIME = "00:05:00"


@dataclass(frozen=True, slots=True)
class Visit:
    """Settings of the probe of compute nodes."""

    site: Site
    command: tuple[str, ...]
    """Command that starts finetune on the nodes."""
    nodes: int
    wait_seconds: float
    """Maximum time in the queue and for the answers."""

    @property
    def kind(self) -> Kind:
        """The job whose lines are used: `debug` if the site has a short queue."""
        return "debug" if self.site.debug else "train"

    @property
    def request(self) -> JobRequest:
        """Resources of that job."""
        return request_of(self.kind, self.site)


def examine_here(store: Store) -> list[Finding]:
    """Diagnose this machine."""
    here = probe.machine(store.root)
    gpus = here.gpus.seen if here.gpus else 0
    return [
        requirements(),
        diagnosis.gpus([here], expected=max(gpus, len(here.gpus.driver) if here.gpus else 0)),
        *filter(None, [diagnosis.arithmetic([here])]),
        diagnosis.shared_store(str(store.root), here, []),
        diagnosis.clocks([here]),
        *_store_findings(store, purge_days=None),
    ]


def examine_site(store: Store, visit: Visit) -> list[Finding]:
    """Diagnose this login node and the compute nodes of a site."""
    site = visit.site
    missing = [name for name in _COMMANDS if not slurm.has(name)]
    if missing:
        return [
            Finding(
                "Slurm",
                "failed",
                f"not found: {', '.join(missing)}",
                "run this on a login node of the cluster, in a login shell",
            )
        ]
    here = [requirements(), *_slurm_findings(site)]
    with _token(store.root) as token:
        login = probe.machine(store.root, token=token, with_gpus=False)
        step = _ask(visit, store.root, token=token) if login.store.error is None else None
    probes = probe.parse(step.output) if step else []
    machines = [p.machine for p in probes if p.machine is not None]
    findings = [*here, diagnosis.shared_store(str(store.root), login, machines)]
    if step is not None:
        ranks = visit.request.ranks_per_node
        error = diagnosis.main_line(step.errors, output=step.output)
        findings.append(
            diagnosis.answers(probes, nodes=visit.nodes, ranks_per_node=ranks, error=error)
        )
        failed = diagnosis.set_up(step.errors)
        findings += [failed] if failed else []
    if machines:
        # a scheduler may show each rank its own GPU only
        expected = min(site.gpus_per_node, 1) if diagnosis.own_gpus(probes) else site.gpus_per_node
        findings += [
            diagnosis.gpus(machines, expected=expected),
            *filter(None, [diagnosis.arithmetic(machines)]),
            diagnosis.exchanges(probes),
            diagnosis.processors(machines, cpus_per_rank=visit.request.cpus_per_rank),
            diagnosis.versions(login, machines, same_python=not (site.command or site.launcher)),
        ]
    findings.append(diagnosis.clocks([login, *machines]))
    return [*findings, *_store_findings(store, purge_days=site.purge_days)]


def requirements() -> Finding:
    """Check that all required packages are installed, in supported versions."""
    missing = missing_packages()
    if missing:
        advice = "pip install -c constraints.txt -e ., or `make setup`"
        return Finding("packages", "failed", "; ".join(map(str, missing)), advice)
    return Finding("packages", "ok", "all required packages are installed")


def step_command(visit: Visit, arguments: Sequence[str]) -> list[str]:
    """Return the command of each rank: setup, environment, torchrun's variables, finetune."""
    site, request = visit.site, visit.request
    environment = environment_of(visit.kind, site)
    lines = [
        f"trap 'echo \"{diagnosis.SETUP_MARK}$BASH_COMMAND: exit code $?\" >&2' ERR",
        *site.setup,
        *request.setup,
        "trap - ERR",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        "unset RANK WORLD_SIZE MASTER_ADDR MASTER_PORT",
        'exec "$@"',
    ]
    return ["bash", "-c", "\n".join(lines), "doctor", *site.launcher, *visit.command, *arguments]


def step_options(visit: Visit) -> list[str]:
    """Return the options of srun: the lines of the site, then the size of this step."""
    site, request = visit.site, visit.request
    lines = merge_lines(site.sbatch, request.sbatch)
    options = [word for line in lines for word in shlex.split(line.removeprefix("#SBATCH"))]
    return [
        *options,
        f"--nodes={visit.nodes}",
        f"--ntasks-per-node={request.ranks_per_node}",
        f"--cpus-per-task={request.cpus_per_rank}",
        f"--time={_STEP_TIME}",
        "--kill-on-bad-exit=0",
        *site.srun,
        *request.srun,
    ]


def _ask(visit: Visit, store: Path, *, token: str) -> slurm.Step:
    arguments = ("doctor", "--store", str(store), "--as-rank", token)
    return slurm.run_step(
        step_command(visit, arguments),
        options=step_options(visit),
        name=f"finetune-{token}",
        timeout_seconds=visit.wait_seconds,
    )


@contextlib.contextmanager
def _token(store: Path) -> Iterator[str]:
    """Keep a file in the store that the nodes look for, while the block runs."""
    name = f"doctor-{secrets.token_hex(6)}"
    path = store / "doctor" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        pass  # reported by `probe.shared` next
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # fails while another doctor is running


def _slurm_findings(site: Site) -> list[Finding]:
    try:
        version = slurm.ping()
    except ClusterError as error:
        return [Finding("Slurm", "failed", str(error), "wait, or ask the site's support")]
    findings = [Finding("Slurm", "ok", version)]
    with tempfile.TemporaryDirectory() as folder:
        for kind in _KINDS:
            script = Path(folder) / f"{kind}.sh"
            script.write_text(_probe_script(site, kind), encoding="utf-8")
            refused = slurm.refusal(script, folder=Path(folder))
            if refused:
                advice = diagnosis.advice_for(refused)
                findings.append(Finding(f"{kind} job", "failed", refused, advice))
            else:
                findings.append(Finding(f"{kind} job", "ok", "accepted by Slurm"))
    return findings


def _probe_script(site: Site, kind: Kind) -> str:
    """Return a batch script with the resources of a job, for `sbatch --test-only`."""
    request = request_of(kind, site)
    size = [
        f"#SBATCH --nodes={request.nodes}",
        f"#SBATCH --ntasks-per-node={request.ranks_per_node}",
        f"#SBATCH --cpus-per-task={request.cpus_per_rank}",
        f"#SBATCH --time={request.time_limit}",
        "#SBATCH --output=/dev/null",
    ]
    return "\n".join(["#!/bin/bash", *size, *merge_lines(site.sbatch, request.sbatch), "true", ""])


def _store_findings(store: Store, *, purge_days: int | None) -> list[Finding]:
    findings = [
        diagnosis.space(storage.space_of(store.root)),
        diagnosis.quotas(storage.quotas_of(store.root)),
        diagnosis.purged(storage.lost_artifacts(store)),
    ]
    if purge_days is not None:
        days = storage.days_to_purge(store, purge_days=purge_days)
        findings.append(diagnosis.purge_soon(days, purge_days=purge_days))
    return findings


def site_quota(site: Site) -> str:
    """Return the output of the site's own quota command, or its error."""
    return storage.output_of(site.quota) if site.quota else ""
