"""The table of what the outputs of each system look like, for terminal, report and model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.artefacts.outputs.output_facts import (
    NO_WORDS,
    REFERENCE,
    GroupOutputs,
    HardInputs,
    OutputFacts,
)
from finetune.artefacts.scores import Score
from finetune.artefacts.verdicts import YARDSTICKS
from finetune.messages import Sentence, sentence
from finetune.spec.language import language_name
from finetune.spec.tables.metric import FIDELITY

HARD_COLUMNS = (
    *("inputs", "n", "empty", "mostly repeated", "unexplained", "numbers kept", "pairs alike"),
)
MOST_LANGUAGES = 3
"""Wrong languages that are named, the most frequent first."""


@dataclass(frozen=True, slots=True)
class OutputRow:
    """The outputs of one system, in words."""

    group: GroupOutputs
    place: str
    """`English to Hausa`"""
    system: str
    in_language: str
    """`51 of 60`, or `unknown` where nothing identifies the language."""
    fidelity: str
    others: str
    """`Lingala 21, English 2`"""
    repetition: str
    copies: str
    empty: str
    words: str
    """`24 of 120`: different ones, of how many."""


def output_rows(groups: Sequence[GroupOutputs], scores: Sequence[Score]) -> list[OutputRow]:
    """Return a row for the references and each system of each group."""
    return [
        _row(group, name, facts, _fidelity(group, name, scores))
        for group in groups
        for name, facts in group.systems.items()
    ]


def hard_input_rows(found: Sequence[HardInputs]) -> list[tuple[str, ...]]:
    """Return a row for each direction and kind of input, with the columns of `HARD_COLUMNS`.

    Numbers of outputs: of the base, and of the adapter.
    """
    kinds: dict[tuple[str, str], dict[str, HardInputs]] = {}
    for one in found:
        kinds.setdefault((place_of(one), one.kind), {})[one.system] = one
    return [_hard_row(*kind, systems) for kind, systems in kinds.items()]


def _hard_row(place: str, kind: str, systems: Mapping[str, HardInputs]) -> tuple[str, ...]:
    def counts(name: str) -> str:
        return " -> ".join(str(n) for one in both if (n := getattr(one, name)) is not None)

    both = [systems[name] for name in ("base", "adapter") if name in systems]
    names = ("empty", "repeated", "unexplained", "numbers_kept", "pairs_alike")
    return (f"{place}, {kind}", str(both[0].n), *map(counts, names))


def not_covered(groups: Sequence[GroupOutputs]) -> list[Sentence]:
    """Return a sentence for each group whose outputs no model can place in a language."""
    return [
        sentence(
            "{language}: whether outputs are in the language is not known ({how}); let a speaker "
            "read them",
            language=language_name(group.language),
            how=group.identified_by,
        )
        for group in groups
        if not group.is_covered
    ]


def system_name(name: str) -> str:
    """Return a system for people.

    >>> system_name("copy"), system_name("adapter")
    ('copy of the source', 'adapter')
    """
    return "references" if name == REFERENCE else YARDSTICKS.get(name, name)


def _row(group: GroupOutputs, name: str, facts: OutputFacts, fidelity: str) -> OutputRow:
    own = facts.languages.get(group.language, 0)
    return OutputRow(
        group,
        place_of(group),
        system_name(name),
        in_language=f"{own} of {facts.n}" if group.is_covered else "unknown",
        fidelity=fidelity,
        others=", ".join(other_languages(group, name)),
        repetition=f"{facts.repetition:.2f}",
        copies="" if facts.copies is None else f"{facts.copies}",
        empty=f"{facts.empty}",
        words=f"{facts.distinct_words:,} of {facts.words:,}",
    )


def other_languages(group: GroupOutputs, system: str) -> tuple[str, ...]:
    """Return the most frequent wrong languages of a system's outputs: `Lingala 21`."""
    counts = group.systems[system].languages
    others = [(code, n) for code, n in counts.items() if code != group.language]
    return tuple(f"{_name(code)} {n}" for code, n in others[:MOST_LANGUAGES])


def place_of(group: GroupOutputs | HardInputs) -> str:
    """Return the language or direction of a group by name, with its phase."""
    names = map(language_name, (group.direction or group.language).split(">"))
    phase = f" ({group.phase})" if group.phase else ""
    return " to ".join(names) + phase


def _fidelity(group: GroupOutputs, name: str, scores: Sequence[Score]) -> str:
    for score in scores:
        is_same = (score.language, score.direction, score.phase) == (
            *(group.language, group.direction, group.phase),
        )
        if is_same and (score.metric, score.system) == (FIDELITY, name):
            return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
    return ""


def _name(code: str) -> str:
    if code == NO_WORDS:
        return "no letters"
    language, _, script = code.partition("_")
    if language == "und":
        return f"script {script}" if script else "unknown"
    return language_name(code)
