"""Entry point of the command line: signals, exit codes, and the printing of errors."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from finetune import __version__
from finetune.errors import (
    FinetuneError,
    LostContactError,
    MachineError,
    RecipeError,
    RendezvousError,
    Stopped,
    UnexpectedError,
    first_line,
)
from finetune.launch import outcome
from finetune.launch.environment import configure_libraries
from finetune.launch.ranks import LAUNCH, ranks_of, take_step
from finetune.messages import ENGLISH, chosen, problem, sentence
from finetune.output import terminal
from finetune.output.console import Console
from finetune.output.failures import machine_failure
from finetune.output.streams import give_up_output, output_failure, prepare_streams
from finetune.verbs import VERBS, Verb
from finetune.verbs.options import refuse_absent
from finetune.verbs.parser import parse, renaming

UNREAD = 128 + signal.SIGPIPE
"""Exit code after a broken pipe, as in `finetune runs | head -1`."""


def main(arguments: Sequence[str] | None = None, *, verbs: Mapping[str, Verb] = VERBS) -> int:
    """Run the command line; return the exit code.

    0: done. 1: refused by store, machine, cluster or hub. 2: wrong input. 70: a bug in this
    program. 75: stopped on request. 130: interrupted. 141: the reader closed the pipe.
    """
    prepare_streams()
    _forget_empty_variables()
    try:
        code = _guarded(sys.argv[1:] if arguments is None else arguments, verbs)
        return _unwritten(failure) if (failure := output_failure()) else code
    finally:
        give_up_output()


def _guarded(arguments: Sequence[str], verbs: Mapping[str, Verb]) -> int:
    """Run the command line; return the exit code for every outcome."""
    options, console = argparse.Namespace(verbose="-v" in arguments), Console()
    try:
        options = parse(arguments)
        if warning := renaming(arguments):
            terminal.aside(warning.in_language(_language(options)))
        terminal.guard_libraries(language=_language(options))
        configure_libraries(verbose=options.verbose)
        console = Console(
            json_lines=options.json, verbose=options.verbose, language=_language(options)
        )
        with _stopped_by_signals():
            return _run(verbs[options.verb], options, console=console)
    except _Stop as stop:
        stopped = Stopped(
            problem(
                "stopped-on-request",
                "stopped on request ({signal}); rerun the same command to resume",
                signal=str(stop),
            )
        )
        return outcome.note(_explain(stopped, options=options, console=console), str(stopped))
    except KeyboardInterrupt:
        interrupted = sentence("interrupted; rerun the same command to resume")
        terminal.aside(interrupted.in_language(console.language))
        return 130
    except Exception as error:  # the last resort: never a traceback
        if isinstance(error, ImportError) and (lacking := _missing_extra(error, options)):
            _explain(lacking, options=options, console=console)
            return outcome.note(lacking.exit_code, str(lacking), expected=True)
        if isinstance(error, OSError) and (failure := output_failure()):
            return outcome.note(_unwritten(failure), str(failure))
        explained, expected = _last_resort(error)
        explained.__cause__ = error
        if isinstance(explained, UnexpectedError) and os.environ.get(outcome.VARIABLE):
            options.verbose = True  # a job cannot be rerun by hand with -v
        _explain(explained, options=options, console=console)
        return outcome.note(explained.exit_code, str(explained), expected=expected)


def _missing_extra(error: ImportError, options: argparse.Namespace) -> FinetuneError | None:
    """Return what to install for a verb, if an import failed for want of an extra."""
    from finetune.spec.tables.extras import missing_module

    verb = getattr(options, "verb", None)
    return missing_module(error, needed_by=f"finetune {verb}" if verb else "this verb")


def _last_resort(error: Exception) -> tuple[FinetuneError, bool]:
    """Return an unexpected error as one of ours, and whether the machine caused it."""
    if sentence := machine_failure(error):
        return MachineError(sentence), True
    return (
        UnexpectedError(
            f"this is a bug in finetune: {type(error).__name__}: {first_line(error)}\n"
            "finished stages are kept. Rerun the command with -v and report its full output, the "
            f"command, and the version ({__version__})"
        ),
        False,
    )


def _unwritten(failure: OSError) -> int:
    """Report that standard output cannot be written to; return the exit code."""
    if isinstance(failure, BrokenPipeError):
        return UNREAD
    terminal.aside(
        f"standard output cannot be written to: {failure.strerror}; finished stages are kept, and "
        "the same command resumes"
    )
    return MachineError.exit_code


def _forget_empty_variables() -> None:
    """Unset our settings that are empty (`FINETUNE_STORE=`)."""
    for name in [n for n, v in os.environ.items() if n.startswith("FINETUNE_") and not v.strip()]:
        del os.environ[name]


def _run(verb: Verb, options: argparse.Namespace, *, console: Console) -> int:
    """Run a verb; return the exit code."""
    try:
        take_step()
        if LAUNCH in os.environ and not verb.all_ranks:
            raise _one_process(verb)
        if not ranks_of().is_main:  # only rank 0 prints
            if not verb.all_ranks:
                return outcome.note(0)
            console.out = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        refuse_absent(options)
        return outcome.note(int(verb.module().run(options, console) or 0))
    except FinetuneError as error:
        of_environment = isinstance(error, (LostContactError, RendezvousError))
        _explain(error, options=options, console=console)
        return outcome.note(
            error.exit_code,
            str(error),
            expected=not of_environment,
            of_environment=of_environment,
        )


def _one_process(verb: Verb) -> RecipeError:
    return RecipeError(
        problem(
            "one-process",
            "`finetune {verb}` is one process, but srun started {ranks} tasks of it: write "
            "`srun -n 1 ...`, or leave srun out",
            verb=verb.name,
            ranks=ranks_of().world,
        )
    )


class _Stop(BaseException):
    """A requested stop; a BaseException, so that no library's `except Exception` swallows it."""


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End a verb with exit code 75 on SIGTERM, and on SIGUSR1, with which schedulers warn.

    The training loop has handlers of its own, which save its state first. A signal that the parent
    process ignores stays ignored.
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


def _explain(error: FinetuneError, *, options: argparse.Namespace, console: Console) -> int:
    if options.verbose:
        terminal.write_traceback(error)
    language, rank = _language(options), os.environ.get("RANK", "0")
    if rank != "0":
        lines = terminal.problems_of(error, language=language)
        terminal.write_lines([terminal.message(f"rank {rank}: {line}") for line in lines])
    elif console.json_lines:
        problems = terminal.problems_as_json(error, language=language)
        console.error(type(error).__name__, exit_code=error.exit_code, problems=problems)
    else:
        terminal.write_lines(terminal.problems_of(error, language=language))
    return error.exit_code


def _language(options: argparse.Namespace) -> str:
    """Return the language of messages; logs of jobs are in English."""
    if os.environ.get(outcome.VARIABLE):
        return ENGLISH
    return chosen(getattr(options, "lang", None), terminal=terminal.is_one())
