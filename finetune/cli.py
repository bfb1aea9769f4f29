"""The command line: an argparse tree. Each verb imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from finetune import __version__
from finetune.errors import FinetuneError, LostContactError, Stopped, did_you_mean
from finetune.launch import outcome
from finetune.launch.environment import configure_libraries
from finetune.launch.ranks import ranks_of
from finetune.output.console import Console
from finetune.verbs import GROUPS, VERBS, Verb
from finetune.verbs.options import add_output_form, add_recipe, add_store

DESCRIPTION = "LoRA fine-tuning for low-resource languages: from data card to released adapter."
EPILOG = """\
first steps:
  finetune run recipes/hausa-school.yaml     the whole line, on this machine
  finetune init --language wol_Latn          a recipe and a data card to fill in
"""

RENAMED = {"merge": "finetune export RECIPE --format merged --out DIR"}
"""Verbs of earlier versions, and what to type instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (2 for wrong input, 75 for stopped)."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
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
    verb = VERBS[options.verb]
    try:
        if not ranks_of().is_main:  # one process of a launch speaks for all
            if not verb.all_ranks:
                return outcome.note(0)
            console.out = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        return outcome.note(int(verb.module().run(options, console) or 0))
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


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line. Only the module of its verb is imported."""
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = _parser(chosen)
    if chosen is not None and chosen not in VERBS:
        typed = [verb.name for verb in VERBS.values() if not verb.hidden]
        instead = RENAMED.get(chosen)
        hint = f". It is now: {instead}" if instead else did_you_mean(chosen, typed)
        parser.error(f"there is no verb {chosen!r}; `finetune --help` lists them{hint}")
    return parser.parse_args(arguments)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the argparse tree: every verb by name, the chosen one with its options."""
    parser = argparse.ArgumentParser(
        prog="finetune",
        usage="finetune [-h] [--version] VERB ...",
        description=f"{DESCRIPTION}\n\n{_listed()}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"finetune {__version__}")
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="VERB", prog="finetune", help=argparse.SUPPRESS
    )
    for verb in VERBS.values():
        added = verbs.add_parser(verb.name, description=verb.help)
        if verb.name == chosen:
            _add_options(added, verb)
    return parser


def _add_options(parser: argparse.ArgumentParser, verb: Verb) -> None:
    add_output_form(parser)
    if verb.recipe:
        add_recipe(parser, optional=verb.recipe == "optional")
    if verb.recipe or verb.store:
        add_store(parser)
    verb.module().add_arguments(parser)


def _listed() -> str:
    """Return the verbs that people type, under the headings of their groups."""
    typed = [verb for verb in VERBS.values() if not verb.hidden]
    width = max(len(verb.name) for verb in typed)
    return "\n\n".join(
        "\n".join(
            [
                f"{heading}:",
                *(f"  {v.name.ljust(width)}  {v.help}" for v in typed if v.group == group),
            ]
        )
        for group, heading in GROUPS.items()
    )


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
