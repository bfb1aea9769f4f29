"""Diagnosis of this machine and of the compute nodes of a site.

The nodes are probed by one short job with the script of a training job.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from finetune.cluster.doctor import diagnosis, edges, probe
from finetune.cluster.doctor.diagnosis import Finding
from finetune.cluster.doctor.probe import Machine
from finetune.cluster.doctor.probe_job import NAME, Answer, Visit, probe_chain, run_probe_job
from finetune.cluster.job.batch_script import Kind, Work, script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.preflight import missing_packages
from finetune.errors import ClusterError
from finetune.pipeline import storage
from finetune.pipeline.store import Store
from finetune.spec.site import Site

EXCHANGE_SECONDS = 60.0
_COMMANDS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
_KINDS: tuple[Kind, ...] = ("prepare", "train", "evaluate", "release")


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
        if login.store.error is not None:
            return [*here, diagnosis.shared_store(str(store.root), login, [])]
        answer = run_probe_job(visit, store=store.root, token=token)
    found = _nodes_findings(visit, answer, login=login, store=str(store.root))
    return [*here, *found, *_store_findings(store, purge_days=site.purge_days)]


def _nodes_findings(visit: Visit, answer: Answer, *, login: Machine, store: str) -> list[Finding]:
    """Judge what the job on the compute nodes left."""
    if answer.is_blind:
        nodes = (answer.state and answer.state.nodes) or "the compute nodes"
        return [diagnosis.unseen_store(store, nodes), diagnosis.clocks([login])]
    site, ranks = visit.site, visit.request.ranks_per_node
    probes = probe.parse(answer.log)
    machines = [p.machine for p in probes if p.machine is not None]
    error = answer.error or diagnosis.main_line(answer.log)
    findings = [
        diagnosis.shared_store(store, login, machines),
        diagnosis.answers(probes, nodes=visit.nodes, ranks_per_node=ranks, error=error),
        *edges.edges(answer, machines, ranks_per_node=ranks),
        *filter(None, [edges.group(login, machines)]),
    ]
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
    return [*findings, diagnosis.clocks([login, *machines])]


def requirements() -> Finding:
    """Check that all required packages are installed, in supported versions."""
    missing = missing_packages()
    if missing:
        advice = "pip install -c constraints.txt -e ., or `make setup`"
        return Finding("packages", "failed", "; ".join(map(str, missing)), advice)
    return Finding("packages", "ok", "all required packages are installed")


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
            script.write_text(_script(site, kind, folder=Path(folder)), encoding="utf-8")
            refused = slurm.refusal(script, folder=Path(folder))
            if refused:
                advice = diagnosis.advice_for(refused)
                findings.append(Finding(f"{kind} job", "failed", refused, advice))
            else:
                findings.append(Finding(f"{kind} job", "ok", "accepted by Slurm"))
    return findings


def _script(site: Site, kind: Kind, *, folder: Path) -> str:
    """Return the batch script of a job that makes nothing, for `sbatch --test-only`."""
    visit = Visit(site, ("true",), nodes=1, wait_seconds=0)
    chain = probe_chain(visit, store=folder, token=NAME)
    return script_of(chain.job(NAME), Work(kind, (), visit.command), chain=chain, site=site)


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
