"""The command line: an argparse tree. Each verb imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType

from finetune import __version__
from finetune.errors import FinetuneError, LostContactError, Stopped
from finetune.launch import outcome
from finetune.launch.environment import configure_libraries
from finetune.launch.ranks import ranks_of
from finetune.output.console import Console
from finetune.verbs import default_store
from finetune.verbs.arguments import OWN_OPTIONS, no_options

DESCRIPTION = "LoRA fine-tuning for low-resource languages: from data card to released adapter."
EPILOG = """\
first steps:
  finetune run recipes/hausa-school.yaml     the whole line, on this machine
  finetune init --language wol_Latn          a recipe and a data card to fill in
"""

# verb -> (module:function, help, takes a recipe)
VERBS = {
    "run": ("start.run:run", "do all that a recipe says and is not done yet", True),
    "fetch": ("start.run:fetch", "get everything the recipe needs from outside, once", True),
    "check": (
        "start.check:check",
        "validate recipe and cards, or a site; says all that is wrong",
        True,
    ),
    "plan": ("start.check:plan", "show stages, keys and what is done", True),
    "estimate": (
        "train.estimate:estimate",
        "memory, time and energy, before anything is queued",
        True,
    ),
    "prepare": ("start.run:stage", "cards -> packed tokens and a report", True),
    "train": ("start.run:stage", "tokens -> adapter", True),
    "evaluate": ("start.run:stage", "base and adapter on the same held-out texts", True),
    "release": ("start.run:stage", "build the folder that goes to the hub", True),
    "publish": ("start.run:publish", "upload a built release", True),
    "submit": ("cluster.submit:submit", "queue all that is not done yet on a Slurm cluster", True),
    "chat": ("use.chat:chat", "talk to base and adapter in the terminal", True),
    "merge": ("use.merge:merge", "base and adapter as one model folder, proven equal", True),
    "cards": ("data.cards:cards", "write, check, take back, show and publish data cards", False),
    "tokenizer": ("data.tokenizer:tokenizer", "audit: what a text costs with several bases", False),
    "advise": ("data.advise:advise", "a recipe for data cards, each line with its reason", False),
    "runs": ("start.check:runs", "what is in the store; remove some of it", False),
    "status": ("cluster.status:status", "what became of a chain of jobs: one line a job", False),
    "logs": ("cluster.status:logs", "the log of a job; -f follows it over restarts", False),
    "cancel": ("cluster.status:cancel", "cancel every job of a chain; its state is kept", False),
    "resubmit": ("cluster.status:resubmit", "submit again what of a chain is not done", False),
    "results": (
        "release.results:results",
        "one table: what each combination of a chain achieved",
        False,
    ),
    "bundle": (
        "cluster.bundle:bundle",
        "pack all that a recipe needs, for a cluster offline",
        True,
    ),
    "unbundle": ("cluster.bundle:unbundle", "verify a bundle; its artefacts into the store", False),
    "doctor": ("cluster.doctor:doctor", "what of this machine or cluster does not work", False),
    "schema": ("start.check:schema", "print the JSON Schema of a recipe, data card or site", False),
    "init": ("start.init:init", "write a recipe and a data card for a language", False),
    "attempt": (
        "cluster.submit:attempt",
        "what batch scripts ask at the start and end of a job",
        False,
    ),
}
HIDDEN = {"attempt"}
"""Verbs that nobody types; the list of verbs leaves them out."""


_WITH_STORE = frozenset(
    ("advise", "runs", "unbundle", "status", "logs", "cancel", "resubmit", "results")
)

_ON_ALL_RANKS = frozenset(("run", "prepare", "train", "evaluate", "release", "doctor"))
"""What every process of a launch takes part in, be it by waiting; the rest is rank 0's alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (2 for wrong input, 75 for stopped)."""
    options = build_parser().parse_args(arguments)
    configure_libraries(verbose=options.verbose)
    console = Console(json_lines=options.json, verbose=options.verbose)
    try:
        with _stopped_by_signals():
            return _run(options, console)
    except _Stop as stop:
        error = Stopped(f"stopped as asked ({stop}); the same command continues")
        return outcome.note(_explain(error, options=options, console=console), str(error))
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `finetune runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        outcome.note(1, f"{type(error).__name__}: {error}", expected=False)
        raise


def _run(options: argparse.Namespace, console: Console) -> int:
    """Run a verb; return the exit code."""
    module, function = VERBS[options.verb][0].split(":")
    try:
        if not ranks_of().is_main:  # one process of a launch speaks for all
            if options.verb not in _ON_ALL_RANKS:
                return outcome.note(0)
            console.out = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        verb = getattr(import_module(f"finetune.verbs.{module}"), function)
        return outcome.note(int(verb(options, console) or 0))
    except FinetuneError as error:
        code, is_cause = error.exit_code, not isinstance(error, LostContactError)
        _explain(error, options=options, console=console)
        return outcome.note(code, str(error), expected=is_cause)


class _Stop(BaseException):
    """Unwinds a verb that was asked to stop; no library's `except Exception` holds it up."""


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGUSR1 with which schedulers warn, end a verb with exit code 75.

    A training has handlers of its own, which save its state first. A signal that whoever started
    this process chose to ignore stays ignored.
    """

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001, the signature is given
        for other in asking:
            signal.signal(other, signal.SIG_IGN)  # once is enough
        raise _Stop(signal.Signals(number).name)

    asking = [
        number
        for number in (signal.SIGTERM, signal.SIGUSR1)
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) == signal.SIG_DFL
    ]
    for number in asking:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number in asking:
            if signal.getsignal(number) == ask:
                signal.signal(number, signal.SIG_DFL)


def build_parser() -> argparse.ArgumentParser:
    """Return the argparse tree."""
    parser = argparse.ArgumentParser(
        prog="finetune",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"finetune {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (_, text, takes_recipe) in VERBS.items():
        # argparse lists what has a help, even an empty one
        verb = verbs.add_parser(name) if name in HIDDEN else verbs.add_parser(name, help=text)
        verb.description = text
        verb.add_argument("--json", action="store_true", help="JSON lines, for machines")
        verb.add_argument("-v", "--verbose", action="store_true", help="more detail")
        if takes_recipe:
            count = "?" if name == "check" else None
            verb.add_argument("recipe", type=Path, nargs=count, help="the recipe, a YAML file")
            verb.add_argument(
                "--set",
                action="append",
                default=[],
                metavar="KEY=VALUE",
                dest="overrides",
                help="change one value of the recipe, e.g. train.max_steps=20; repeatable",
            )
        if takes_recipe or name in _WITH_STORE:
            verb.add_argument(
                "--store",
                type=Path,
                metavar="DIR",
                default=default_store(),
                help="where artefacts are kept (default: $FINETUNE_STORE or .finetune)",
            )
        OWN_OPTIONS.get(name, no_options)(verb)
    return parser


def _explain(error: FinetuneError, *, options: argparse.Namespace, console: Console) -> int:
    if options.verbose:
        import traceback

        traceback.print_exc()
    rank = os.environ.get("RANK", "0")
    if rank != "0":
        print(f"rank {rank}: {error}", file=sys.stderr)
    elif console.json_lines:
        console.say("error", kind=type(error).__name__, problems=str(error).split("\n"))
    else:
        print(error, file=sys.stderr)
    return error.exit_code
