"""The verb doctor: does this machine, or a cluster, do what jobs need?"""

from __future__ import annotations

from argparse import Namespace

from finetune.cluster.doctor import probe
from finetune.cluster.doctor.diagnosis import Finding
from finetune.cluster.doctor.doctor import (
    EXCHANGE_SECONDS,
    Visit,
    examine_here,
    examine_site,
    site_quota,
)
from finetune.cluster.submit.submit import command_of
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.spec.site import load_site
from finetune.verbs.cluster.submit import store_of

_SHOWN = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


def doctor(options: Namespace, console: Console) -> int:
    """Examine this machine, or with --site the cluster; return 1 if something will not work."""
    if options.as_rank:
        return probe.run_as_rank(
            options.store, token=options.as_rank, timeout_seconds=EXCHANGE_SECONDS
        )
    if options.site is None:
        store = store_of(options, None)
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
        store = store_of(options, site)
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
