"""Facts on outputs in the terminal and in JSON."""

from __future__ import annotations

from dataclasses import asdict

from finetune.artefacts.outputs.output_table import (
    HARD_COLUMNS,
    hard_input_rows,
    not_covered,
    output_rows,
)
from finetune.artefacts.results import EvaluateResult
from finetune.output.console import Console

OUTPUT_COLUMNS = ("", "in the language", "repetition", "copies", "empty", "different words")


def show_outputs(result: EvaluateResult, *, console: Console) -> None:
    """Show what the outputs of each system look like, from the result of `evaluate`."""
    _show_descriptions(result, console=console)
    if rows := hard_input_rows(result.hard_inputs):
        title = "short and hard inputs, base -> adapter: nothing is claimed from them"
        facts = map(asdict, result.hard_inputs)
        console.table(title, HARD_COLUMNS, rows, name="hard_inputs", facts=facts)


def _show_descriptions(result: EvaluateResult, *, console: Console) -> None:
    for warning in not_covered(result.outputs):
        console.say(warning, warning="language-not-identified")
    found = output_rows(result.outputs, result.scores)
    if not found:
        return
    rows = [
        (
            f"{row.group.direction or row.group.language}\n{row.system}",
            "\n".join(filter(None, (row.in_language, row.others.replace(", ", "\n")))),
            row.repetition,
            row.copies,
            row.empty,
            row.words,
        )
        for row in found
    ]
    facts = [
        {
            **{key: getattr(group, key) for key in ("language", "direction", "phase")},
            "system": name,
            "is_covered": group.is_covered,
            "identified_by": group.identified_by,
            **asdict(each),
        }
        for group in result.outputs
        for name, each in group.systems.items()
    ]
    console.table("description of the outputs", OUTPUT_COLUMNS, rows, name="outputs", facts=facts)
