"""Judgement of probed facts: one finding per check, with advice.

Pure functions: `finetune.cluster.doctor.doctor` and `probe` collect the facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.cluster.doctor.probe import MARK, Machine, Probe
from finetune.pipeline.storage import Lost, Quota, Space

GIB, MIB = 2**30, 2**20
LOW_BYTES, NO_BYTES = 5 * GIB, 512 * MIB
LOW_INODES, NO_INODES = 20_000, 1_000
SKEW_WARN_SECONDS, SKEW_SECONDS = 5.0, 60.0
"""A lease expires after 120 s without a heartbeat, so clocks must agree much better."""
PURGE_WARN_DAYS = 7.0
_DECISIVE = ("torch", "transformers", "peft", "accelerate", "deepspeed", "numpy", "tokenizers")

_OURS = re.compile(r"doctor: (attempt \d|exit code |setup: |`finetune )|srun: job ")
"""Lines of the job script itself."""
_TELLING = re.compile(r"[Ee]rror|No module|not found|no answer")

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    check: str
    state: State
    found: str
    advice: str = ""
    """Remedy; empty if the check passed."""


def answers(probes: Sequence[Probe], *, nodes: int, ranks_per_node: int, error: str) -> Finding:
    """Check that every rank answered; `error`: main error line of the job."""
    expected = nodes * ranks_per_node
    hosts = {probe.host for probe in probes}
    if len(probes) == expected and len(hosts) == nodes:
        return Finding("compute nodes", "ok", f"{expected} ranks on {', '.join(sorted(hosts))}")
    found = f"{len(probes)} of {expected} ranks on {len(hosts)} of {nodes} nodes answered"
    return Finding(
        "compute nodes", "failed", f"{found}: {error or 'no output of the job'}", advice_for(error)
    )


def main_line(log: str) -> str:
    """Return the most informative line of the ranks' errors, else of srun's."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    lines = [x for x in lines if not x.startswith(MARK) and not _OURS.match(x)]
    own = [line for line in lines if not line.startswith(("srun:", "slurmstepd:"))]
    telling = [line for line in own if _TELLING.search(line)]
    return (telling or own or lines or [""])[-1 if telling else 0]


def advice_for(error: str) -> str:
    """Return what to do about an error of srun or sbatch."""
    known = {
        "no answer in": "the queue is long (use --wait with more seconds, or the site's debug "
        "queue), or a node does not start programs: see `squeue --me` and `sinfo`",
        "account": "the account is not yours, or not valid for this partition: `sacctmgr show "
        "associations user=$USER` lists yours; set `account` or `values` in your overlay",
        "qos": "set a QOS of yours in your overlay; `sacctmgr show associations user=$USER` "
        "lists them",
        "partition": "`sinfo -s` lists the partitions; set `partition` in your overlay",
        "constraint": "`sinfo -o '%N %f'` lists the features of nodes; correct --constraint",
        "configuration is not available": "no available node has these resources; compare the "
        "site's lines with `sinfo -o '%P %D %c %m %G'`",
        "module: ": "a setup command fails in a job; submit from a login shell, and check "
        "`module avail`",
        "mutually exclusive": "two binding options contradict each other, e.g. --hint in `sbatch` "
        "and --cpu-bind in `srun` of the site; keep one",
        "cannot be read": "the launcher starts finetune where the store is not seen: bind the "
        "store by the path that is written in the site, and what that path links to",
        "No module named": "the jobs' Python has no finetune: install it there, or set `command` "
        "and `setup` of the site",
    }
    lower = error.lower()
    for word, advice in known.items():
        if word.lower() in lower:
            return advice
    return "see the error; lines, setup and launcher of the site were used unchanged"


def unseen_store(store: str, nodes: str) -> Finding:
    """Return the finding that a job left no file in the store that this machine sees."""
    return Finding(
        "store",
        "failed",
        f"{store}: {nodes} do not see files written by this machine",
        "choose a folder that login and compute nodes share (not /tmp, not a local disk)",
    )


def processors(machines: Sequence[Machine], *, cpus_per_rank: int) -> Finding:
    """Check that each rank may use the requested CPUs."""
    few = {m.host: m.cpus for m in machines if m.cpus < cpus_per_rank}
    if not few:
        seen = min((m.cpus for m in machines), default=0)
        return Finding("CPUs", "ok", f"{seen} per rank, {cpus_per_rank} requested")
    return Finding(
        "CPUs",
        "warning",
        f"{_listed(few)} per rank, but {cpus_per_rank} requested",
        "data preparation and GPU feeding are slower; correct cpus_per_rank, --hint or --cpu-bind",
    )


def gpus(machines: Sequence[Machine], *, expected: int) -> Finding:
    """Check that torch can use the GPUs of each node; `expected`: GPUs per node of the site."""
    facts = {m.host: m.gpus for m in machines if m.gpus is not None}
    bad = {host: g for host, g in facts.items() if g.seen < expected or (g.error and expected)}
    if not bad:
        names = sorted({name for g in facts.values() for name in g.names})
        counts = sorted({g.seen for g in facts.values()})
        found = f"{' or '.join(map(str, counts))} per node" + (
            f": {', '.join(names)}" if names else ""
        )
        return Finding("GPUs", "ok", found if any(counts) else "none; training runs on CPUs")
    host, worst = next(iter(bad.items()))
    found = f"{host}: torch {worst.torch or 'is missing'} sees {worst.seen} of {expected}"
    if worst.error:
        found += f": {worst.error}"
    if worst.torch is None:
        advice = "install torch on the nodes, or load its module in `setup`"
    elif "CPU only" in worst.torch:
        advice = (
            "this is a CPU build of torch: install one for CUDA or ROCm; see README, CPU and GPU"
        )
    elif worst.driver:
        advice = (
            f"the driver sees {len(worst.driver)} ({worst.driver[0]}): the build of torch is too "
            "new for the driver or the GPU, or fewer GPUs are requested than `gpus_per_node`"
        )
    else:
        advice = "no driver answers: request GPUs in the `train` lines (--gres or --gpus-per-node)"
    return Finding("GPUs", "failed", found, advice)


def arithmetic(machines: Sequence[Machine]) -> Finding | None:
    """Check bf16 and 4 bits on the GPUs, and that torch has code for them; None without GPUs."""
    facts = {m.host: m.gpus for m in machines if m.gpus is not None and m.gpus.seen}
    if not facts:
        return None
    missing = {host: g.missing_kernels[0] for host, g in facts.items() if g.missing_kernels}
    if missing:
        return Finding(
            "GPU arithmetic",
            "failed",
            _listed(missing),
            "install a build of torch for this GPU: builds for CUDA 13 have no code for V100 and "
            "older; <https://pytorch.org/get-started/locally/>",
        )
    bf16 = {host: g.bf16_error for host, g in facts.items() if g.bf16_error}
    if bf16:
        return Finding(
            "GPU arithmetic",
            "failed",
            f"bf16: {_listed(bf16)}",
            "the build of torch does not fit the driver; install one for its CUDA version",
        )
    packing = {host: g.bitsandbytes_error for host, g in facts.items() if g.bitsandbytes_error}
    if packing:
        return Finding(
            "GPU arithmetic",
            "warning",
            f"bitsandbytes: {_listed(packing)}",
            "base.quantization does not work here; install a bitsandbytes for this CUDA or ROCm",
        )
    return Finding("GPU arithmetic", "ok", "bf16 products and 4-bit packing are right")


def own_gpus(probes: Sequence[Probe]) -> bool:
    """Return whether each rank has a GPU of its own, however many of the node's it sees."""
    owned = [(p.host, p.exchange.gpu) for p in probes if p.exchange is not None and p.exchange.gpu]
    return len(probes) == len(set(owned)) > 0


def exchanges(probes: Sequence[Probe]) -> Finding:
    """Check the all-reduces over all ranks, and that no two ranks have the same GPU."""
    results = [(probe.host, probe.exchange) for probe in probes if probe.exchange is not None]
    if not results:
        return Finding("all-reduce", "ok", "one rank: nothing to exchange")
    broken = [(host, result) for host, result in results if result.error or result.seconds is None]
    if broken:
        host, result = broken[0]
        return Finding(
            "all-reduce",
            "failed",
            f"{len(broken)} of {len(results)} ranks: {result.backend} on {host}: {result.error}",
            "name the network between nodes in the site's `environment`: NCCL_SOCKET_IFNAME and "
            "GLOO_SOCKET_IFNAME (`ip -brief address` on a node lists them); NCCL_DEBUG=INFO prints "
            "details; a firewall may close ports 20000 to 29999",
        )
    owned = [(host, result.gpu) for host, result in results if result.gpu]
    if len(set(owned)) < len(owned):
        host, _ = next(one for one in owned if owned.count(one) > 1)
        return Finding(
            "all-reduce",
            "failed",
            f"two ranks on {host} have the same GPU",
            "give each rank a GPU: `ranks_per_node` is the number of GPUs that the lines request; "
            "remove --gpu-bind and --gpus-per-task where they show all ranks the first GPU",
        )
    slowest = max(result.seconds or 0 for _, result in results)
    backend = results[0][1].backend
    found = f"{backend}, {len(results)} ranks: 16 MiB in {1000 * slowest:.0f} ms"
    if owned:
        on_cpus = max(result.cpu_seconds or 0 for _, result in results)
        found += f" between GPUs, {1000 * on_cpus:.0f} ms between CPUs"
    return Finding("all-reduce", "ok", found)


def shared_store(store: str, login: Machine, machines: Sequence[Machine]) -> Finding:
    """Check that all machines can write and rename in the store, and share it."""
    errors = {m.host: m.store.error for m in (login, *machines) if m.store.error}
    if errors:
        return Finding(
            "store",
            "failed",
            f"{store}: {_listed(errors)}",
            "artefacts are renamed into place; choose a folder that supports it with --store "
            "or `store:` (full disk or quota: see below)",
        )
    blind = [m.host for m in machines if m.store.token_seen is False]
    if blind:
        return Finding(
            "store",
            "failed",
            f"{store}: {', '.join(blind)} do not see files written by this machine",
            "choose a folder that login and compute nodes share (not /tmp, not a local disk); in a "
            "container, bind it",
        )
    seen = f", seen by {len(machines)} node{'s' * (len(machines) != 1)}" if machines else ""
    return Finding("store", "ok", f"{store}: written, flushed and renamed{seen}")


def clocks(machines: Sequence[Machine]) -> Finding:
    """Check the clocks against that of the file system: leases and status rely on them."""
    skews = {m.host: m.store.clock_skew_seconds for m in machines}
    known = {host: skew for host, skew in skews.items() if skew is not None}
    worst = max(map(abs, known.values()), default=0.0)
    found = f"at most {worst:.1f} s from the clock of the store"
    if worst <= SKEW_WARN_SECONDS:
        return Finding("clocks", "ok", found)
    off = {host: f"{skew:+.0f} s" for host, skew in known.items() if abs(skew) > SKEW_WARN_SECONDS}
    return Finding(
        "clocks",
        "failed" if worst > SKEW_SECONDS else "warning",
        _listed(off),
        "have time synchronisation (NTP) repaired there: with a wrong clock a lease seems expired, "
        "and another process takes the work over",
    )


def versions(login: Machine, machines: Sequence[Machine], *, same_python: bool) -> Finding:
    """Check that package versions agree; `same_python`: jobs run with this machine's Python."""
    if not machines:
        return Finding("versions", "ok", f"Python {login.python}")
    first = machines[0]
    different: list[str] = []
    for other in machines[1:]:
        different += _differences(first, other)
    if different:
        return Finding(
            "versions",
            "failed",
            shortened(different),
            "nodes have different environments: use one on a shared disk, or one image",
        )
    away = _differences(login, first)
    if not away:
        number = f"{len(first.packages):,} packages, the same on all machines"
        return Finding("versions", "ok", f"Python {first.python}, {number}")
    decisive = [line for line in away if line.split()[0] in (*_DECISIVE, "finetune-lowres")]
    return Finding(
        "versions",
        "failed" if same_python else "warning",
        shortened(decisive + [line for line in away if line not in decisive]),
        "submit with the Python that jobs use"
        if same_python
        else "jobs have their own environment (`command`, `launcher`); finetune must have the "
        "same version there, or keys differ",
    )


def _differences(one: Machine, other: Machine) -> list[str]:
    mine = {**one.packages, "python": one.python}
    theirs = {**other.packages, "python": other.python}
    return [
        f"{name} {mine.get(name, 'missing')} on {one.host}, {theirs.get(name, 'missing')} on "
        f"{other.host}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]


def space(found: Space) -> Finding:
    """Check the free space of the store's file system, in bytes and inodes."""
    inodes = found.free_inodes
    text = f"{found.free_bytes / GIB:,.1f} GiB"
    text += "" if inodes is None else f" and {inodes:,} inodes"
    low = found.free_bytes < LOW_BYTES or (inodes is not None and inodes < LOW_INODES)
    none = found.free_bytes < NO_BYTES or (inodes is not None and inodes < NO_INODES)
    advice = (
        "`finetune runs` lists the artefacts of the store; --remove deletes them"
        if low or none
        else ""
    )
    return Finding(
        "space", "failed" if none else "warning" if low else "ok", f"{text} free", advice
    )


def quotas(found: Sequence[Quota]) -> Finding:
    """Check quotas of bytes and files."""
    if not found:
        return Finding("quotas", "ok", "no quota reported by `lfs quota` or `quota`")
    worst = max(found, key=lambda quota: quota.share)
    text = f"{worst.file_system}: {worst.used_bytes / GIB:,.1f} GiB"
    text += f" of {worst.limit_bytes / GIB:,.1f}" if worst.limit_bytes else ""
    text += f", {worst.used_files:,} files"
    text += f" of {worst.limit_files:,}" if worst.limit_files else ""
    if not worst.is_nearly_used:
        return Finding("quotas", "ok", text)
    return Finding(
        "quotas",
        "failed" if worst.share >= 1 else "warning",
        text,
        "a full quota ends jobs with `Disk quota exceeded`. Remove caches of pip and uv and old "
        "environments, or request a larger quota",
    )


def purged(lost: Sequence[Lost]) -> Finding:
    """Check that no files of finished artefacts were deleted."""
    if not lost:
        return Finding("artefacts", "ok", "no files are missing")
    named = ", ".join(f"{item.stage}/{item.key} ({len(item.missing):,} files)" for item in lost[:3])
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    commands = " ".join(f"--remove {item.stage}/{item.key}" for item in lost)
    return Finding(
        "artefacts",
        "failed",
        f"files are missing from {named}{more}",
        f"the site deletes unread files: `finetune runs {commands}`, then fetch or run again; "
        "keep the store where nothing is purged",
    )


def purge_soon(days: float | None, *, purge_days: int) -> Finding:
    """Check when the site deletes the first file of an artefact."""
    if days is None:
        return Finding(
            "purge", "ok", f"files unread for {purge_days} days are deleted; the store is empty"
        )
    state: State = "ok" if days > PURGE_WARN_DAYS else "warning"
    return Finding(
        "purge",
        state,
        f"the site deletes the first file in {max(0.0, days):.0f} days",
        "" if state == "ok" else "copy the store, or parts of it, to storage that is not purged",
    )


def _listed(facts: Mapping[str, object]) -> str:
    shown = [f"{host}: {fact}" for host, fact in list(facts.items())[:4]]
    return ", ".join(shown) + (f" and {len(facts) - 4} more" if len(facts) > 4 else "")


def shortened(lines: Sequence[str]) -> str:
    """Return the first lines in one line."""
    return "; ".join(lines[:4]) + (f"; and {len(lines) - 4} more" if len(lines) > 4 else "")
