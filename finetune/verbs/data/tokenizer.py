"""`finetune tokenizer`: how well the tokenizers of several bases fit a text."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.verbs.options import add_output_form, add_store

if TYPE_CHECKING:
    from finetune.tokenizer.report import Findings

MIN_RESAMPLES = 100
PROGRESS_DOCUMENTS = 10_000
AUDIT = (
    "what a text costs with the tokenizers of several bases, side by side; nothing is downloaded"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    audit = actions.add_parser("audit", help=AUDIT, description=AUDIT)
    add_output_form(audit, default=SUPPRESS)
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", type=Path, metavar="FILE", help="UTF-8 text, one document a line")
    what.add_argument("--card", metavar="CARD", help="name or file of a data card")
    audit.add_argument(
        "--base",
        nargs="+",
        required=True,
        metavar="BASE",
        help="a folder, a .gguf file, package:DIST/PATH, a Hub id in the store, or a recipe",
    )
    audit.add_argument(
        "--parallel",
        type=Path,
        metavar="FILE",
        help="with --text: the same in English, line by line (a parallel card has it by itself)",
    )
    audit.add_argument(
        "--language", metavar="CODE", help="of a card with several: which one, e.g. hau_Latn"
    )
    audit.add_argument(
        "--phone-tokens-per-second",
        type=float,
        default=10.0,
        metavar="X",
        help="how fast a phone writes, for the words a second (default: 10, an assumption)",
    )
    audit.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap")
    audit.add_argument("-o", "--output", type=Path, metavar="FILE", help="an HTML report, offline")
    add_store(audit, holds="fetched bases lie")


def run(options: Namespace, console: Console) -> int:
    """Audit: measure the text with every base, show it side by side, write the report."""
    _check(options)
    from finetune.prepare.audit import card_to_read, texts_of_card, texts_of_file
    from finetune.tokenizer.bases import open_bases
    from finetune.tokenizer.measure import audit
    from finetune.tokenizer.report import Findings, write_report

    store = Store(options.store.resolve())
    if options.card:
        texts = texts_of_card(card_to_read(options.card), language=options.language, store=store)
    else:
        texts = texts_of_file(options.text, english=options.parallel)
    bases = open_bases(options.base, store=store)
    found = audit(
        texts,
        {name: one.vocabulary for name, one in bases.items()},
        resamples=options.resamples,
        progress=_progress(console),
    )
    findings = Findings(
        title=options.card or options.text.name,
        audit=found,
        bases=bases,
        phone_tokens_per_second=options.phone_tokens_per_second,
        left_out=texts.rejected,
    )
    if console.json_lines:
        console.say(f"{findings.title}: {found.documents} documents", **machine(findings))
    else:
        _show(findings, console)
    if options.output:
        write_report(options.output, findings)
        console.say(f"report: {options.output}", report=str(options.output))
    return 0


def machine(findings: Findings) -> dict[str, object]:
    """Return all that was found as plain values; remarks carry their sources."""
    return {
        **asdict(findings.audit),
        "phone_tokens_per_second": findings.phone_tokens_per_second,
        "left_out": dict(findings.left_out),
        "notes": findings.notes(),
        "choice": [asdict(remark) for remark in findings.choice()],
        "about": [
            {key: base[key] for key in ("name", "source", "kind", "size", "context_tokens")}
            | {"costs": base["costs"], "losses": base["losses"] + base["letters_line"]}
            | {"extension": [asdict(remark) for remark in base["extension"]]}
            for base in findings.about_bases()
        ],
    }


def _progress(console: Console) -> Callable[[int], None]:
    """Return what tells of every ten thousand documents, with -v."""
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        if count // PROGRESS_DOCUMENTS > told:
            told = count // PROGRESS_DOCUMENTS
            console.detail(f"{told * PROGRESS_DOCUMENTS:,} documents")

    return tell


def _check(options: Namespace) -> None:
    problems = []
    if options.parallel and not options.text:
        problems.append("--parallel goes with --text; a parallel card has its English in it")
    if options.language and not options.card:
        problems.append("--language goes with --card: which of its languages is meant")
    if not 0 < options.phone_tokens_per_second < float("inf"):
        problems.append(
            f"--phone-tokens-per-second {options.phone_tokens_per_second}: must be above 0"
        )
    if options.resamples < MIN_RESAMPLES:
        problems.append(f"--resamples {options.resamples}: at least {MIN_RESAMPLES}")
    if options.output and not Path(options.output).absolute().parent.is_dir():
        problems.append(f"--output {options.output}: there is no folder {options.output.parent}")
    if problems:
        raise RecipeError(*problems)


def _show(findings: Findings, console: Console) -> None:
    facts = "; ".join(f"{label}: {value}" for label, value in findings.facts().items())
    console.say(f"{findings.title}: {facts}")
    names = [cost.name for cost in findings.audit.bases]
    console.table("", ("", *names), findings.table())
    for note in findings.notes():
        console.say(note)
    for remark in findings.choice():
        console.say(f"{remark.text} [{remark.source}]")
    for base in findings.about_bases():
        console.say(f"\n{base['name']} ({base['source']})")
        for line in (*base["costs"], *base["losses"], *base["letters_line"]):
            console.say(f"  {line}")
        for remark in base["extension"]:
            console.say(f"  {remark.text} [{remark.source}]")
