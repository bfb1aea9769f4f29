"""The options of each verb; argparse alone, so that --help stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from finetune.verbs.data import advise_arguments, cards_arguments, tokenizer_arguments


def no_options(_: argparse.ArgumentParser) -> None:
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


OWN_OPTIONS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
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
