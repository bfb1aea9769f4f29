"""Facts on what systems make of short and hard inputs. Shown, and nothing is claimed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finetune.artefacts.items import Item
from finetune.artefacts.outputs.output_facts import HardInputs
from finetune.evaluate.compare import Asked, Outputs
from finetune.evaluate.descriptions.made_inputs import NEGATION, NUMBERS, numbers_in
from finetune.evaluate.metrics.exact_match import normalised
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group
from finetune.text.placeholders import placeholders_in
from finetune.text.repetition import repeated_grams

REFERENCES_WITHIN = 0.99
MOSTLY = 0.5
"""Share of its character 4-grams from which on an output is called repeated."""


def hard_input_facts(
    asked: Asked, parts: Sequence[Part], outputs: Mapping[str, Sequence[Outputs]]
) -> list[HardInputs]:
    """Return facts on each direction, kind of input and system.

    `outputs`: by system, part by part.
    """
    found = []
    for number, part in enumerate(parts):
        for place, group in enumerate(asked.groups[number]):
            longest = longest_ratio(part.items, direction=group.direction)
            for name, each in outputs.items():
                given = each[number][place]
                if given is not None:
                    found.append(facts_of(group, given, system=name, part=part, longest=longest))
    return found


def longest_ratio(items: Sequence[Item], *, direction: str | None) -> float:
    """Return the ratio of characters, reference to source, that 99 % of the items do not exceed."""
    pairs = [(i.reference, i.source) for i in items if i.direction == direction]
    ratios = [len(text) / len(source) for text, source in pairs if text and source]
    return float(np.quantile(ratios, REFERENCES_WITHIN)) if ratios else float("inf")


def facts_of(
    group: Group, outputs: Sequence[Generation], *, system: str, part: Part, longest: float
) -> HardInputs:
    """Return facts on the outputs of a system for inputs of one kind."""
    kept = alike = None
    if group.unit == NUMBERS:
        kept = sum(numbers_in(one.source or "") <= numbers_in(one.text) for one in outputs)
    if group.unit == NEGATION:
        pairs = zip(outputs[::2], outputs[1::2], strict=True)
        alike = sum(normalised(one.text) == normalised(other.text) for one, other in pairs)
    return HardInputs(
        language=group.language,
        direction=group.direction,
        phase=part.phase,
        kind=group.unit,
        system=system,
        n=len(outputs),
        empty=sum(not one.text.strip() for one in outputs),
        repeated=sum(map(is_repeated, outputs)),
        unexplained=sum(is_unexplained(one, longest) for one in outputs),
        numbers_kept=kept,
        pairs_alike=alike,
    )


def is_unexplained(output: Generation, longest: float) -> bool:
    """Return whether an output has what its source does not explain.

    It is longer for its source than references are, or has a number or placeholder of its own.
    """
    source = output.source or ""
    if len(output.text) > longest * len(source):
        return True
    own = set(placeholders_in(output.text)) - set(placeholders_in(source))
    return bool(own or numbers_in(output.text) - numbers_in(source))


def is_repeated(output: Generation) -> bool:
    """Return whether an output is mostly the same again."""
    repeated, grams = repeated_grams(output.text)
    return repeated > MOSTLY * grams
