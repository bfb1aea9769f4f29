"""`finetune doctor`: does this machine, or a cluster, do what jobs need?"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
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
from finetune.output.console import Console
from finetune.spec.site import load_site
from finetune.verbs.options import add_site

_SHOWN = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)
    parser.add_argument("--store", type=Path, metavar="DIR", help="default: the site's, or as ever")
    parser.add_argument(
        "--nodes", type=int, metavar="N", help="compute nodes to ask (default: train's)"
    )
    parser.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="for the queue (default: 600)"
    )
    # what srun starts on the nodes
    parser.add_argument("--as-rank", metavar="TOKEN", help=SUPPRESS)


def run(options: Namespace, console: Console) -> int:
    """Examine this machine, or with --site the cluster; return 1 if something will not work."""
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
            missing = ", ".join(site.placeholders)
            raise RecipeError(
                f"{options.site}: still to be filled: {missing}; "
                f"`finetune check --site {options.site}` says where"
            )
        store = store_of(options.store, site=site)
        nodes = options.nodes or site.train.nodes
        visit = Visit(site, command_of(site), nodes, wait_seconds=options.wait)
        if not console.json_lines:
            console.say(f"asking {nodes} node(s) of {site.name}; this waits for the queue ...")
        findings = examine_site(store, visit)
        title = f"{site.name}: login node and {nodes} compute node(s)"
    _show(findings, title=title, console=console)
    quota = site_quota(site) if options.site is not None else ""
    if quota:
        console.say(f"{' '.join(site.quota or ())}:\n{quota.strip()}", quota=quota)
    return 1 if any(f.state == "failed" for f in findings) else 0


def _show(findings: list[Finding], *, title: str, console: Console) -> None:
    """Show the table, and under it what to do, in lines from which a command can be copied."""
    rows = [(f.check, _SHOWN[f.state], f.found, f.advice) for f in findings]
    columns = ("check", "result", "found", "what to do")
    if console.json_lines:
        console.table(title, columns, rows)
        return
    console.table(title, columns[:3], [row[:3] for row in rows], justify="left")
    for check, result, _, advice in rows:
        if advice:
            console.say(f"{result}: {check}. What to do: {advice}.")
