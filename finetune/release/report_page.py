"""The results page of a release: that of the evaluation, with the release's gates.

Limits and overrides are in no key of the evaluation, so that its page knows the defaults only.
The page stays at home: it quotes texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import gate_row
from finetune.artefacts.job import Job
from finetune.artefacts.judged.judgements_said import judged_tables
from finetune.output.templates import environment
from finetune.release.recorded import comparisons_of, judged_of_job

PAGE = "report.html"
_NOTE = "At the limits of the recipe, with its overrides."


def write_page(job: Job, gates: Sequence[GateResult]) -> None:
    """Write the results page into the workspace, where the evaluation has one."""
    evaluate = job.inputs.get("evaluate")
    if evaluate is None or not (evaluate.path / PAGE).is_file():
        return
    page = (evaluate.path / PAGE).read_text("utf-8")
    parts: Any = environment("finetune.release").get_template("parts.html.j2").module
    lines = parts.first_lines(first_lines(comparisons_of(job), gates=gates))
    page = _put(page, "first lines", str(lines))
    page = _put(page, "judged", str(parts.judged(judged_tables(judged_of_job(job)))))
    page = _put(page, "gates", str(parts.gate_table(list(map(gate_row, gates)), _NOTE)))
    (job.workspace / PAGE).write_text(page, "utf-8", newline="\n")


def _put(page: str, name: str, part: str) -> str:
    """Return the page with the part between the marks of a name; the first, which is ours."""
    before, begin, rest = page.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{part.strip()}{after}" if begin and end else page
