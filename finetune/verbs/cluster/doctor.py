"""`finetune doctor`: diagnosis of this machine or a cluster."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from finetune.cluster.doctor import probe
from finetune.cluster.doctor.diagnosis import Finding
from finetune.cluster.doctor.doctor import (
    EXCHANGE_SECONDS,
    examine_here,
    examine_site,
    site_quota,
)
from finetune.cluster.doctor.gpu.trial_rows import Measured
from finetune.cluster.doctor.probe_job import Visit
from finetune.cluster.submit.submit import command_of, store_of
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.spec.site import load_site
from finetune.verbs.options import add_site

_SHOWN = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="store to test (default: the site's, else $FINETUNE_STORE or .finetune)",
    )
    parser.add_argument(
        "--nodes",
        type=int,
        metavar="N",
        help="compute nodes to probe (default: as many as `train` uses)",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="maximum wait in the queue (default: 600)",
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="try this machine's GPU by the code of training, and measure its speed (8 minutes); "
        "under torchrun or srun: training over all ranks",
    )
    parser.add_argument(
        "--dry", action="store_true", help="with --gpu: the same code, tiny, on the CPU (seconds)"
    )
    # started by srun on the nodes
    parser.add_argument("--as-rank", metavar="TOKEN", help=SUPPRESS)


def run(options: Namespace, console: Console) -> int:
    """Diagnose this machine, or with --site the cluster; return 1 if a check failed."""
    if options.as_rank:
        return probe.run_as_rank(
            options.store, token=options.as_rank, timeout_seconds=EXCHANGE_SECONDS
        )
    if options.gpu or options.dry:
        within = store_of(options.store, site=None).root / "doctor"
        return _try_gpu(console, dry=options.dry, within=within)
    if options.site is None:
        store = store_of(options.store, site=None)
        findings = examine_here(store)
        title = "this machine"
    else:
        site = load_site(options.site, overlay=options.overlay)
        if site.placeholders:
            raise RecipeError(
                problem(
                    "placeholders-without-value-in-site",
                    "placeholders without a value: {placeholders}; `finetune check --site {site}` "
                    "shows where to fill them in",
                    at=Place(options.site),
                    placeholders=list(site.placeholders),
                    site=options.site,
                )
            )
        store = store_of(options.store, site=site)
        nodes = options.nodes or site.train.nodes
        visit = Visit(site, command_of(site), nodes, wait_seconds=options.wait)
        if not console.json_lines:
            console.say(f"probing nodes of {site.name} ({nodes}); waiting for the queue ...")
        findings = examine_site(store, visit)
        title = f"{site.name}: login node and compute nodes ({nodes})"
    _show(findings, title=title, console=console)
    quota = site_quota(site) if options.site is not None else ""
    if quota:
        console.show(f"{' '.join(site.quota or ())}:\n{quota.strip()}", quota=quota)
    return 1 if any(f.state == "failed" for f in findings) else 0


def _show(findings: list[Finding], *, title: str, console: Console) -> None:
    """Show the table, then one line of advice per failed check, so that commands can be copied."""
    rows = [(f.check, _SHOWN[f.state], f.found) for f in findings]
    facts = (asdict(finding) for finding in findings)
    columns = ("check", "result", "found")
    console.table(title, columns, rows, name="checks", facts=facts, justify="left")
    for finding in () if console.json_lines else findings:
        if finding.advice:
            console.say(f"{_SHOWN[finding.state]}: {finding.check}. What to do: {finding.advice}.")


def _try_gpu(console: Console, *, dry: bool, within: Path) -> int:
    """Show what each check of the GPU expected and found, then the benchmark; 1 if one failed."""
    from finetune.cluster.doctor.gpu.trial import trial

    measured: dict[str, Measured] = {}
    rows = []
    for row in trial(dry=dry, measured=measured, within=within, say=console.say):
        rows.append(row)
        if not console.json_lines:  # a line each, in case the driver ends the process
            console.event(f"{row.check}: {row.state}: {row.found} ({row.seconds:.0f} s)")
    console.table(
        "trial of the GPU" + (", dry: tiny, on the CPU" if dry else ""),
        ("check", "result", "expected", "found"),
        [
            (r.check, r.state if r.state != "failed" else "FAILED", r.expected, r.found)
            for r in rows
        ],
        name="gpu_checks",
        facts=(asdict(row) for row in rows),
        justify="left",
    )
    if measured:  # not over ranks
        console.table(
            "benchmark",
            ("setting", "tokens/s", "TFLOP/s", "of peak", "peak GiB", "estimate GiB"),
            [(name, *_numbers(one)) for name, one in measured.items()],
            name="gpu_benchmark",
            facts=({"setting": name, **asdict(one)} for name, one in measured.items()),
        )
    return 1 if any(row.state == "failed" for row in rows) else 0


def _numbers(one: Measured) -> tuple[str, ...]:
    share = "-" if one.share is None else f"{one.share:.0%}"
    speed = (f"{one.tokens_per_second:,.0f}", f"{one.tflops:.1f}", share)
    return (*speed, f"{one.peak_gib:.1f}", f"{one.estimate_gib:.1f}")
