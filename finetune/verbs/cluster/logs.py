"""`finetune logs`: the log of a job over all its attempts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.cluster.chain.chain import Chain, find_chain
from finetune.cluster.follow import logs
from finetune.cluster.follow.status import look
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.output.terminal import aside
from finetune.verbs.options import add_chain, positive
from finetune.verbs.problems import exclusive

FOLLOWED_LINES = 40


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    parser.add_argument(
        "job", nargs="?", metavar="JOB", help="e.g. train (default: the running or failed one)"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="follow the log as it is written"
    )
    parser.add_argument("--attempt", type=positive, metavar="N", help="only the Nth attempt")
    parser.add_argument(
        "-n", "--lines", type=positive, metavar="N", help="only the last N lines (with -f: 40)"
    )


def run(options: Namespace, console: Console) -> int:
    """Print the log of a job, or follow it until the job has ended."""
    if options.follow and options.attempt is not None:
        raise RecipeError(exclusive("--attempt", "-f"))
    chain, name = _chosen(options)

    def show(text: str) -> None:
        if console.json_lines:
            for line in text.splitlines():
                console.say(line, chain=chain.id, job=name)
        else:
            console.show(text, end="")

    if options.follow:
        lines = FOLLOWED_LINES if options.lines is None else options.lines
        for text in logs.follow(chain, name, lines=lines, notify=aside):
            show(text)
        return 0
    parts = logs.parts_of(chain, name, attempt=options.attempt)
    texts = {part: part.text() for part in parts}
    if not any(texts.values()):
        report = next(job for job in look(chain).jobs if job.name == name)
        aside(f"{name} has no log output yet; {report.state}: {report.why}".rstrip(": "))
    for part, text in texts.items():
        if len(parts) > 1 and text:
            aside(f"--- job {part.job_id} ---")
        show(logs.tail(text, lines=options.lines))
    return 0


def _chosen(options: Namespace) -> tuple[Chain, str]:
    """Return chain and job; a single argument may be either."""
    store, word, name = options.store, options.chain, options.job
    if word is not None and name is None:
        newest = find_chain(store)
        if word in {job.name for job in newest.jobs}:
            return newest, word
    chain = find_chain(store, word)
    return chain, chain.job(name).name if name else logs.default_job(look(chain))
