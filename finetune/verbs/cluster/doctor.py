"""`finetune doctor`: diagnosis of this machine or a cluster."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from finetune.cluster.doctor import probe
from finetune.cluster.doctor.diagnosis import Finding
from finetune.cluster.doctor.doctor import (
    EXCHANGE_SECONDS,
    Visit,
    examine_here,
    examine_site,
    site_quota,
)
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
    # started by srun on the nodes
    parser.add_argument("--as-rank", metavar="TOKEN", help=SUPPRESS)


def run(options: Namespace, console: Console) -> int:
    """Diagnose this machine, or with --site the cluster; return 1 if a check failed."""
    if options.as_rank:
        return probe.run_as_rank(
            options.store, token=options.as_rank, timeout_seconds=EXCHANGE_SECONDS
        )
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
