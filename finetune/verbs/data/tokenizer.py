"""`finetune tokenizer`: fertility and cost of a text with the tokenizers of several bases."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.verbs.options import add_output_form, add_store
from finetune.verbs.problems import not_positive

if TYPE_CHECKING:
    from finetune.tokenizer.report import Findings

MIN_RESAMPLES = 100
PROGRESS_DOCUMENTS = 10_000
AUDIT = "compare tokenizers on a text: tokens per word, bytes per token; downloads nothing"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    audit = actions.add_parser("audit", help=AUDIT, description=AUDIT)
    add_output_form(audit, default=SUPPRESS)
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", type=Path, metavar="FILE", help="UTF-8 text, one document per line")
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
        help="with --text: its English translation, line by line (a parallel card has one)",
    )
    audit.add_argument(
        "--language", help="language of a card with several, by code or name, e.g. hau_Latn"
    )
    audit.add_argument(
        "--phone-tokens-per-second",
        type=float,
        default=10.0,
        metavar="X",
        help="generation speed of a phone, for words per second (default: 10, an assumption)",
    )
    audit.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples (default: 1000)",
    )
    audit.add_argument("-o", "--output", type=Path, metavar="FILE", help="write an HTML report")
    add_store(audit, holds="fetched bases")


def run(options: Namespace, console: Console) -> int:
    """Measure a text with every tokenizer, show a comparison, write the report."""
    _check(options)
    from finetune.pipeline.store import Store
    from finetune.prepare.audit import card_to_read, texts_of_card, texts_of_file
    from finetune.spec.language import language_given
    from finetune.tokenizer.bases import open_bases
    from finetune.tokenizer.measure import audit
    from finetune.tokenizer.report import Findings, write_report

    store = Store(options.store)
    if options.card is not None:
        card = card_to_read(options.card)
        language = options.language and language_given(
            options.language, option="--language", among=card.corpus.languages
        )
        texts = texts_of_card(card, language=language, store=store)
    else:
        texts = texts_of_file(options.text, english=options.parallel)
    bases = open_bases(options.base, store=store)
    measured = audit(
        texts,
        {name: base.vocabulary for name, base in bases.items()},
        resamples=options.resamples,
        progress=_progress(console),
    )
    findings = Findings(
        title=options.card or options.text.name,
        audit=measured,
        bases=bases,
        phone_tokens_per_second=options.phone_tokens_per_second,
        left_out=texts.rejected,
    )
    if console.json_lines:
        console.say(f"{findings.title}: {measured.documents:,} documents", **machine(findings))
    else:
        _show(findings, console)
    if options.output:
        write_report(options.output, findings)
        console.say(f"report: {options.output}", report=str(options.output))
    return 0


def machine(findings: Findings) -> dict[str, object]:
    """Return the measurements as plain values; remarks carry their sources."""
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
    """Return a callback that shows every 10,000 documents with -v."""
    shown = 0

    def show(count: int) -> None:
        nonlocal shown
        if count // PROGRESS_DOCUMENTS > shown:
            shown = count // PROGRESS_DOCUMENTS
            console.detail(f"{shown * PROGRESS_DOCUMENTS:,} documents")

    return show


def _check(options: Namespace) -> None:
    problems = []
    if options.parallel and not options.text:
        problems.append(
            problem(
                "parallel-without-text",
                "--parallel needs --text; a parallel card has its own English",
            )
        )
    if options.language is not None and options.card is None:
        problems.append(
            problem(
                "language-without-card",
                "--language needs --card: it chooses one of its languages",
            )
        )
    if not 0 < options.phone_tokens_per_second < float("inf"):
        problems.append(not_positive("--phone-tokens-per-second", options.phone_tokens_per_second))
    if options.resamples < MIN_RESAMPLES:
        problems.append(
            problem(
                "too-few-resamples",
                "at least {least}",
                at=Place(key=f"--resamples {options.resamples}"),
                least=MIN_RESAMPLES,
            )
        )
    if options.output and not Path(options.output).absolute().parent.is_dir():
        problems.append(
            problem("no-such-folder", "there is no such folder", at=Place(options.output.parent))
        )
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
        console.say("")
        console.say(f"{base['name']} ({base['source']})")
        for line in (*base["costs"], *base["losses"], *base["letters_line"]):
            console.say(f"  {line}")
        for remark in base["extension"]:
            console.say(f"  {remark.text} [{remark.source}]")
