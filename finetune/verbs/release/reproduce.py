"""`finetune reproduce`: a release made again from its own folder, and compared with it."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.output.paths import as_written, is_folder

if TYPE_CHECKING:
    from finetune.release.provenance.comparison_lines import Line

_REPO = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/(?P<name>[A-Za-z0-9][\w.-]{0,95}))"
    r"(?:@(?P<revision>[\w][\w./-]{0,99}))?",
    re.ASCII,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "release",
        help="folder of a release, or its name on the Hub: org/name, org/name@REVISION",
    )
    parser.add_argument(
        "--files",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with texts and models that the release does not contain; repeatable",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help="folder to work in (default: reproduced-NAME); the same command continues there",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="lay out that folder, and only say whether everything can be had",
    )
    parser.add_argument(
        "--accept-versions",
        action="store_true",
        help="also with other versions of finetune, Python or its packages",
    )


def run(options: Namespace, console: Console) -> int:
    """Make a release again and compare; return 1 if something is different."""
    from finetune.release.provenance.reproduce import get_ready, make_again

    release, into = _release(options, console)
    ready = get_ready(release, into, files=options.files, accept_versions=options.accept_versions)
    if options.dry_run:
        console.say(
            sentence("everything that {repo} was made from can be had", repo=ready.index.repo),
            repo=ready.index.repo,
        )
        return 0
    return _show(make_again(ready, console=console), repo=ready.index.repo, console=console)


def _release(options: Namespace, console: Console) -> tuple[Path, Path]:
    """Return the folder of the release, fetched if it is on the Hub, and the folder to work in."""
    folder, named = Path(options.release), _REPO.fullmatch(options.release)
    if is_folder(folder):
        return folder, as_written(options.into or Path(f"reproduced-{folder.resolve().name}"))
    if named is None:
        raise RecipeError(
            problem(
                "no-such-release",
                "there is no such folder, and it is no name on the Hub (org/name)",
                at=Place(options.release),
            )
        )
    from finetune.release.provenance.hub_release import fetch_release
    from finetune.release.provenance.workplace import fresh_release

    into = as_written(options.into or Path(f"reproduced-{named['name']}"))
    target = fresh_release(into)
    commit = fetch_release(named["repo"], named["revision"], target)
    console.say(
        sentence("{repo}: fetched at commit {commit}", repo=named["repo"], commit=commit),
        repo=named["repo"],
        commit=commit,
    )
    return target, into


def _show(lines: list[Line], *, repo: str, console: Console) -> int:
    rows = [(line.what, line.published, line.rebuilt, line.state) for line in lines]
    console.table(
        f"{repo}, made again",
        ["what", "release", "made again", "result"],
        rows,
        name="comparison",
        facts=({"what": a, "published": b, "rebuilt": c, "state": d} for a, b, c, d in rows),
    )
    counts = {
        state: sum(line.state == state for line in lines)
        for state in ("equal", "within interval", "different", "not comparable")
    }
    console.say(
        sentence(
            "equal: {equal}, within interval: {within}, different: {different}, not comparable: "
            "{other}",
            equal=counts["equal"],
            within=counts["within interval"],
            different=counts["different"],
            other=counts["not comparable"],
        ),
        **{state.replace(" ", "_"): number for state, number in counts.items()},
    )
    return 1 if counts["different"] else 0
