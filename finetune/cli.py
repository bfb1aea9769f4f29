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

from finetune import __version__, outcome
from finetune.errors import FinetuneError, LostContactError, Stopped
from finetune.libraries import configure_libraries
from finetune.log import Console
from finetune.ranks import ranks_of
from finetune.verbs import (
    advise_arguments,
    cards_arguments,
    default_store,
    tokenizer_arguments,
)

DESCRIPTION = "LoRA fine-tuning for low-resource languages: from data card to released adapter."
EPILOG = """\
first steps:
  finetune run recipes/hausa-school.yaml     the whole line, on this machine
  finetune init --language wol_Latn          a recipe and a data card to fill in
"""

# verb -> (module:function, help, takes a recipe)
VERBS = {
    "run": ("pipeline:run", "do all that a recipe says and is not done yet", True),
    "fetch": ("pipeline:fetch", "get everything the recipe needs from outside, once", True),
    "check": (
        "inspect:check",
        "validate recipe and cards, or a site; says all that is wrong",
        True,
    ),
    "plan": ("inspect:plan", "show stages, keys and what is done", True),
    "estimate": ("estimate:estimate", "memory, time and energy, before anything is queued", True),
    "prepare": ("pipeline:stage", "cards -> packed tokens and a report", True),
    "train": ("pipeline:stage", "tokens -> adapter", True),
    "evaluate": ("pipeline:stage", "base and adapter on the same held-out texts", True),
    "release": ("pipeline:stage", "build the folder that goes to the hub", True),
    "publish": ("pipeline:publish", "upload a built release", True),
    "submit": ("submit:submit", "queue all that is not done yet on a Slurm cluster", True),
    "chat": ("talk:chat", "talk to base and adapter in the terminal", True),
    "merge": ("merge:merge", "base and adapter as one model folder, proven equal", True),
    "cards": ("cards:cards", "write, check, take back, show and publish data cards", False),
    "tokenizer": ("tokenizer:tokenizer", "audit: what a text costs with several bases", False),
    "advise": ("advise:advise", "a recipe for data cards, each line with its reason", False),
    "runs": ("inspect:runs", "what is in the store; remove some of it", False),
    "status": ("follow:status", "what became of a chain of jobs: one line a job", False),
    "logs": ("follow:logs", "the log of a job; -f follows it over restarts", False),
    "cancel": ("follow:cancel", "cancel every job of a chain; its state is kept", False),
    "resubmit": ("follow:resubmit", "submit again what of a chain is not done", False),
    "results": ("results:results", "one table: what each combination of a chain achieved", False),
    "bundle": ("bundle:bundle", "pack all that a recipe needs, for a cluster offline", True),
    "unbundle": ("bundle:unbundle", "verify a bundle; its artefacts into the store", False),
    "doctor": ("doctor:doctor", "what of this machine or cluster does not work", False),
    "schema": ("inspect:schema", "print the JSON Schema of a recipe, data card or site", False),
    "init": ("scaffold:init", "write a recipe and a data card for a language", False),
    "attempt": ("submit:attempt", "what batch scripts ask at the start and end of a job", False),
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
        _OWN_OPTIONS.get(name, _no_options)(verb)
    return parser


def _no_options(_: argparse.ArgumentParser) -> None:
    """Most verbs have none of their own."""


def _phase_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--phase", metavar="NAME", help="only up to this phase of the recipe")


def _publish_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--dry-run", action="store_true", help="print what would go up, send nothing")
    verb.add_argument("--hub", choices=["directory", "huggingface"], help="instead of the recipe's")


def _chat_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--only", choices=["base", "adapter"], help="one of the two; default: both")
    verb.add_argument("--max-tokens", type=int, default=96, help="length of an answer in tokens")
    verb.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest token")


def _merge_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")


def _runs_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--remove", action="append", default=[], metavar="STAGE/KEY", help="delete")


def _chain_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "chain",
        nargs="?",
        metavar="CHAIN",
        help="id of a chain, or its beginning, or its folder (default: the newest)",
    )


def _status_options(verb: argparse.ArgumentParser) -> None:
    _chain_options(verb)
    verb.add_argument("--all", action="store_true", help="every chain of the store, one line each")


def _logs_options(verb: argparse.ArgumentParser) -> None:
    _chain_options(verb)
    verb.add_argument(
        "job", nargs="?", metavar="JOB", help="e.g. train (default: the one that runs or failed)"
    )
    verb.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    verb.add_argument("--attempt", type=_positive, metavar="N", help="only the job's Nth start")
    verb.add_argument(
        "-n", "--lines", type=_positive, metavar="N", help="only the last N lines (with -f: 40)"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _site_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--site", type=Path, metavar="FILE", help="a cluster, slurm/sites/*.yaml")
    verb.add_argument(
        "--overlay",
        type=Path,
        metavar="FILE",
        help="what you add to the site (default: ~/.config/finetune/sites/NAME.yaml)",
    )


def _estimate_options(verb: argparse.ArgumentParser) -> None:
    _site_options(verb)
    verb.add_argument("--nodes", type=int, metavar="N", help="instead of the site's")
    verb.add_argument("--gpus-per-node", type=int, metavar="N", help="instead of the site's")
    verb.add_argument("--gpu-memory-gib", type=float, metavar="X", help="memory of one GPU")
    verb.add_argument("--gpu", metavar="NAME", help="e.g. H100, A100, V100, MI250X")
    verb.add_argument("--watts", type=float, metavar="W", help="power of one device and its share")
    verb.add_argument("--pue", type=float, default=1.58, help="of the data centre (default: 1.58)")
    verb.add_argument("--grid-gco2-per-kwh", type=float, metavar="G", help="of the grid, for CO2")
    verb.set_defaults(store=None)  # then the site's own is used, if it names one


def _submit_options(verb: argparse.ArgumentParser) -> None:
    _site_options(verb)
    verb.add_argument("--dry-run", action="store_true", help="print the scripts, submit nothing")
    verb.add_argument(
        "--debug", action="store_true", help="first try some steps in the site's short queue"
    )
    verb.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=VALUE,VALUE",
        help="a job array over values of a key, e.g. lora.rank=8,16; repeatable: every combination",
    )
    verb.add_argument("--languages", metavar="CODE,CODE", help="the same over target languages")
    verb.add_argument("--seeds", metavar="N,N", help="the same over seeds of the training")
    verb.add_argument(
        "--array-limit",
        type=_positive,
        metavar="N",
        help="tasks of an array that run at the same time",
    )
    # then the site's own is used, if it names one
    verb.set_defaults(store=None)


def _attempt_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("event", choices=["start", "end", "continued"])
    verb.add_argument("--chain", type=Path, required=True, metavar="DIR")
    verb.add_argument("--job", required=True, metavar="NAME")
    verb.add_argument("--exit-code", type=int, default=0)
    verb.add_argument("--told", default="", metavar="SIGNAL")
    verb.add_argument("--outcomes", type=Path, metavar="DIR")
    verb.add_argument("--ranks", type=int, default=1)
    verb.add_argument("--slurm", default="", metavar="TEXT", help="what scontrol shows of the job")
    verb.add_argument("--next", metavar="ID", help="the job that continues this one")


def _resubmit_options(verb: argparse.ArgumentParser) -> None:
    _chain_options(verb)
    _site_options(verb)


def _results_options(verb: argparse.ArgumentParser) -> None:
    _chain_options(verb)
    verb.add_argument("--csv", action="store_true", help="as CSV, for a spreadsheet")


def _bundle_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help="new folder, or NAME.tar"
    )
    verb.add_argument("--site", type=Path, metavar="FILE", help="put this site in, too")
    verb.add_argument("--without-wheels", action="store_true", help="the packages are there")
    verb.add_argument(
        "--skip-wheel",
        action="append",
        default=[],
        metavar="PATTERN",
        help="a package that is there, e.g. torch or 'nvidia-*'; repeatable",
    )


def _unbundle_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("bundle", type=Path, help="what `finetune bundle` wrote: folder or tar file")
    verb.add_argument("--into", type=Path, metavar="DIR", help="new folder for recipe and cards")


def _doctor_options(verb: argparse.ArgumentParser) -> None:
    _site_options(verb)
    verb.add_argument("--store", type=Path, metavar="DIR", help="default: the site's, or as ever")
    verb.add_argument(
        "--nodes", type=int, metavar="N", help="compute nodes to ask (default: train's)"
    )
    verb.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="for the queue (default: 600)"
    )
    # what srun starts on the nodes
    verb.add_argument("--as-rank", metavar="TOKEN", help=argparse.SUPPRESS)


def _schema_options(verb: argparse.ArgumentParser) -> None:
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--card", action="store_true", help="of a data card instead")
    which.add_argument("--site", action="store_true", help="of a site (a cluster)")
    which.add_argument("--overlay", action="store_true", help="of what a person adds to a site")
    verb.add_argument("--markdown", action="store_true", help="as a reference page for people")


def _init_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("directory", type=Path, nargs="?", default=Path(), help="default: here")
    verb.add_argument("--language", required=True, metavar="CODE", help="e.g. wol_Latn")
    verb.add_argument("--text", type=Path, metavar="FILE", help="a text file, one document a line")


_OWN_OPTIONS = {
    "check": _site_options,
    "prepare": _phase_options,
    "train": _phase_options,
    "estimate": _estimate_options,
    "doctor": _doctor_options,
    "bundle": _bundle_options,
    "unbundle": _unbundle_options,
    "publish": _publish_options,
    "chat": _chat_options,
    "merge": _merge_options,
    "submit": _submit_options,
    "attempt": _attempt_options,
    "runs": _runs_options,
    "status": _status_options,
    "logs": _logs_options,
    "cancel": _chain_options,
    "resubmit": _resubmit_options,
    "results": _results_options,
    "schema": _schema_options,
    "init": _init_options,
    "cards": cards_arguments.add_arguments,
    "tokenizer": tokenizer_arguments.add_arguments,
    "advise": advise_arguments.add_arguments,
}


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
