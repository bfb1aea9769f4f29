"""`finetune report`: one page on one or several runs, seeds, or a sweep."""

from __future__ import annotations

import json
import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.api.recipes import not_built
from finetune.cluster.chain.chain import find_chain
from finetune.cluster.follow.status import look
from finetune.errors import RecipeError, StoreError
from finetune.messages import Sentence, problem, sentence
from finetune.output.console import Console
from finetune.output.durable import replace_text
from finetune.output.failures import not_written
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.verbs.options import add_overrides

if TYPE_CHECKING:
    from finetune.report.report_document import Document
    from finetune.report.report_tables import Table

PAGE = "report.html"
FOLDER = Path("reports")
STANDARD_OUTPUT = Path("-")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="recipe, artefact or name as `finetune runs` shows them, chain, or release folder",
    )
    add_overrides(parser)
    parser.add_argument(
        "--format",
        dest="form",
        choices=["html", "md", "json"],
        default="html",
        help="an offline page (the default), Markdown, or JSON",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write it; `-` prints it (default: reports/NAME.html)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="only the table of a sweep, finished or not: of the chain RUN (default: the newest)",
    )
    parser.add_argument("--csv", action="store_true", help="the table of --sweep as CSV")


def run(options: Namespace, console: Console) -> int:
    """Write the report of runs, or show the table of a sweep."""
    if options.sweep:
        from finetune.report.sweep_table import show_sweep

        chain = options.runs[0] if options.runs else None
        show_sweep(look(find_chain(options.store, chain)), console, csv=options.csv)
        return 0
    if not options.runs or options.csv:
        raise RecipeError(
            problem(
                "no-report",
                "name a recipe or other runs, or a sweep with --sweep; --csv needs --sweep",
            )
        )
    from finetune.report.find_runs import find_runs

    store = Store(options.store)

    def opened(path: Path) -> Opened:
        return open_project(path, purpose="report", overrides=options.overrides)

    found = find_runs(options.runs, store=store, open_recipe=opened)
    if found.opened and not found.runs:
        raise StoreError(not_built(found.opened, store=store, verb="run"))
    from finetune.report.forms import markdown, page
    from finetune.report.report_document import document_of

    document = document_of(found, store=store.root)
    if options.form == "json":
        from finetune.report.as_json import json_of

        text = json.dumps(json_of(document), ensure_ascii=False, indent=1) + "\n"
    else:
        text = (page if options.form == "html" else markdown)(document, language=console.language)
    if options.out == STANDARD_OUTPUT:
        console.answer(text, end="")
        return 0
    path = _written(text, options.out or FOLDER / f"{_name(document)}.{options.form}")
    _summary(document, console)
    if found.opened:
        _own_pages(found.opened, store=store, console=console)
    console.say(sentence("report: {path}", path=path), report="runs", path=str(path))
    if options.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _name(document: Document) -> str:
    """Return the name of the file: of the chain, of the recipe if all runs have one."""
    names = {one.name for one in document.runs}
    return document.sweep or (names.pop() if len(names) == 1 else "runs")


def _written(text: str, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text)
    except OSError as error:
        raise RecipeError(not_written(path, error)) from None
    return path


def _summary(document: Document, console: Console) -> None:
    """Show the first lines, what tells the runs apart, and the scores."""
    from finetune.report.as_json import run_facts, score_facts
    from finetune.report.report_tables import runs_table, score_tables
    from finetune.report.report_words import WORDS

    for one, line in document.lines:
        said = line.text if len(document.runs) == 1 else _labelled(one.label, line.text)
        console.say(said, run=one.label, kind=line.kind)
    runs = runs_table(document)
    _show(runs, console, name="report-runs", facts=[run_facts(one) for one in document.runs])
    scores = [score_facts(one, group) for group in document.groups for one in group.scored]
    for table in score_tables(document):
        _show(table, console, name="report-scores", facts=scores)
        scores = []
    if document.sweep:
        console.say(WORDS["choice"])


def _labelled(label: str, text: Sentence) -> Sentence:
    return Sentence("{label}: {text}", (("label", label), ("text", text)))


def _show(table: Table, console: Console, *, name: str, facts: Sequence[dict[str, object]]) -> None:
    said = console.language
    rows = [
        [row.note.in_language(said), *[""] * (len(table.columns) - 1)]
        if row.note
        else [cell.said.in_language(said) for cell in row.cells]
        for row in table.rows
    ]
    columns = [column.text.in_language(said) for column in table.columns]
    console.table(table.title.in_language(said), columns, rows, name=name, facts=facts)


def _own_pages(project: Opened, *, store: Store, console: Console) -> None:
    """Name the pages of the corpus and of the evaluation, which quote all texts."""
    pages = {}
    for step in steps_of(project):
        if step.stage.name in ("prepare", "evaluate", "release"):
            artifact = store.find(step.stage.name, step.key)
            path = artifact.path / PAGE if artifact else None
            if path is not None and path.is_file():
                pages["corpus" if step.stage.name == "prepare" else "results"] = path
    for name, path in pages.items():
        console.say(f"{name} report: {path}", report=name, path=str(path))
