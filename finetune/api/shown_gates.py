"""Gates of a run, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.api.made import Run
from finetune.artefacts.gates.gate_evidence import evidence_of
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import GATES, gates_of, said_of, state_of
from finetune.artefacts.judged.summary import judged_of
from finetune.artefacts.results import EvaluateResult, PrepareResult, read_result
from finetune.messages import Sentence, sentence
from finetune.output.console import Console
from finetune.pipeline.plan import prepared_for_training


def gates_of_run(made: Run) -> tuple[GateResult, ...]:
    """Return what the evaluation of a run must show before a release may be public."""
    recipe = made.recipe.recipe
    steps = prepared_for_training(made.recipe)
    prepared = [made.store.find(step.stage.name, step.key) for step in steps]
    evidence = evidence_of(
        recipe,
        made.recipe.cards,
        prepared=[read_result(one, PrepareResult) for one in prepared if one],
        evaluated=read_result(made.artefact("evaluate"), EvaluateResult),
        judged=judged_of(recipe.judgements, evaluation=made.artefact("evaluate").key),
    )
    return gates_of(evidence, recipe.gates)


def show_gates(results: Sequence[GateResult], *, console: Console) -> None:
    """Show the gates as a table."""

    def said(text: Sentence) -> str:
        return text.in_language(console.language)

    rows = [
        (
            f"{result.gate}\n{said(GATES[result.gate].label)}",
            said(state_of(result)),
            said(said_of(result)),
        )
        for result in results
    ]
    headings = list(map(said, (sentence("gate"), sentence("result"), sentence("found"))))
    title = said(sentence("gates of a public release"))
    console.table(title, headings, rows, name="gates", facts=map(_facts, results), justify="left")


def _facts(result: GateResult) -> dict[str, object]:
    """Return a gate for JSON."""
    return {
        "gate": result.gate,
        "state": result.state,
        "place": result.place or None,
        "override": result.override,
        "found": str(said_of(result)),
    }
