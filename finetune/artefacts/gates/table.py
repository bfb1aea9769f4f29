"""The table of gates, and what a release may be public for.

Gates stop neither training nor a local or private release. A gate without a measurement does not
pass. An overridden gate keeps what was found, beside the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune.artefacts.gates import readings
from finetune.artefacts.gates.gate_evidence import Evidence
from finetune.artefacts.gates.result import OPEN, GateResult
from finetune.artefacts.gates.sentences import SAID, STATES
from finetune.messages import Sentence, sentence
from finetune.spec.sections.gates import GateName, Gates

_UNMEASURED = sentence(
    "score test texts of the language (corpus.test, prepare.test_share, evaluate.generate_items)"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A row of the table."""

    label: Sentence
    """Achievement of an adapter that passes."""
    read: Callable[[Evidence, Gates], list[GateResult]]
    remedy: Sentence
    """Advice for one that does not."""
    unmeasured: Sentence = _UNMEASURED
    """Advice where nothing was measured."""
    is_required: bool = True
    """False: a release may be public without it."""


GATES: Mapping[GateName, Gate] = {
    "yardsticks": Gate(
        sentence("beats the yardsticks"),
        readings.yardsticks,
        sentence("train on more or other texts, or with other settings"),
    ),
    "fidelity": Gate(
        sentence("writes the language"),
        readings.fidelity,
        sentence("have a speaker read the outputs, and train on more texts of the language"),
    ),
    "repetition": Gate(
        sentence("does not repeat itself"),
        readings.repetition,
        sentence("train for fewer steps, and look for repeated words in the training targets"),
    ),
    "forgetting": Gate(
        sentence("keeps known languages"),
        readings.forgetting,
        sentence("train for fewer steps, or with more replay data (mixture.replay)"),
        sentence(
            "add an English or French card with `replay: true`; or with `evaluate_only: true`, and "
            "its name in evaluate.forgetting"
        ),
    ),
    "kl": Gate(
        sentence("stays near the base"),
        readings.kl,
        sentence("train for fewer steps, at a lower learning rate, or with replay data"),
        sentence("evaluate it again"),
    ),
    "wrong_source": Gate(
        sentence("uses its source"),
        readings.wrong_source,
        sentence("check that sources and targets belong together, and train on more pairs"),
    ),
    "contamination": Gate(
        sentence("did not see the test"),
        readings.contamination,
        sentence("leave prepare.duplicates.near at its default"),
        sentence("train from the base, on a corpus prepared anew"),
    ),
    "items": Gate(
        sentence("has enough items"),
        readings.items,
        sentence("raise prepare.test_share, or add texts"),
    ),
    "judgement": Gate(
        sentence("was read by speakers"),
        readings.judgement,
        sentence("train on more or other texts of the language"),
        sentence("have speakers of the language judge the outputs (finetune judge build)"),
        is_required=False,
    ),
    "health": Gate(
        sentence("had its answers about health judged"),
        readings.health,
        sentence("have another speaker judge the answers (finetune judge build --prompts)"),
        sentence(
            "have two speakers judge the answers (finetune judge build --prompts), with prompts of "
            "the language in evaluate.prompts"
        ),
    ),
}


def gates_of(evidence: Evidence, settings: Gates) -> tuple[GateResult, ...]:
    """Return the result of every gate, for each language that it looks at."""
    found = [result for row in GATES.values() for result in row.read(evidence, settings)]
    return tuple(_overridden(result, settings.override) for result in found)


def barring(results: Sequence[GateResult]) -> list[GateResult]:
    """Return what forbids a public release; a required gate without any result does too."""
    looked_at = {result.gate for result in results}
    absent = [GateResult(name, "not measured") for name in GATES if name not in looked_at]
    return [
        result
        for result in (*results, *absent)
        if GATES[result.gate].is_required and result.state not in OPEN
    ]


def overridden(results: Iterable[GateResult]) -> list[GateResult]:
    """Return the results that an override lets pass."""
    return [result for result in results if result.override is not None]


def _overridden(result: GateResult, reasons: Mapping[GateName, str]) -> GateResult:
    if result.finding in OPEN or result.gate not in reasons:
        return result
    return replace(result, override=reasons[result.gate])


def said_of(result: GateResult) -> Sentence:
    """Return what a gate found, in a sentence with its numbers."""
    say = SAID[result.gate].get(result.finding, STATES[result.finding])
    found = say(result.facts)
    return sentence("{place}: {found}", place=result.place, found=found) if result.place else found


def state_of(result: GateResult) -> Sentence:
    """Return the state of a result in words, an override with its reason."""
    if result.override is not None:
        return sentence("overridden ({reason})", reason=result.override)
    return STATES[result.finding](result.facts)


def gate_row(result: GateResult) -> dict[str, Sentence | str]:
    """Return a result as a row of a table: name, label, state, found."""
    return {
        "name": result.gate,
        "label": GATES[result.gate].label,
        "state": state_of(result),
        "found": said_of(result),
    }


def remedy_of(result: GateResult) -> Sentence:
    """Return advice for a result that does not pass."""
    row = GATES[result.gate]
    return row.unmeasured if result.finding == "not measured" else row.remedy
