"""Reading of the gates from the results of an evaluation, one function each.

A measurement that is not there is `not measured`, which does not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from finetune.artefacts.gates.gate_evidence import Evidence, Overlap
from finetune.artefacts.gates.result import Fact, Finding, GateResult
from finetune.artefacts.judged.summary import JudgedSummary
from finetune.artefacts.outputs.output_facts import REFERENCE, GroupOutputs
from finetune.artefacts.outputs.output_table import other_languages, place_of
from finetune.artefacts.scores import PairedTest, Score
from finetune.artefacts.verdicts import is_gain, reason_of, unbeaten, where
from finetune.spec.language import language_name
from finetune.spec.sections.gates import GateName, Gates
from finetune.spec.tables.metric import FIDELITY, FORGETTING, KL, SOURCE_BITS, metric
from finetune.statistics.claims import LEVEL

HEALTH_JUDGES = 2
"""Judges without whom no adapter for health may be public."""


def yardsticks(evidence: Evidence, _: Gates) -> list[GateResult]:
    """Return for each language whether the adapter is better than base and yardsticks."""
    found = []
    for language in evidence.languages:
        name, tests = language_name(language), _claims(evidence, language)
        lost = [test for test in tests if not _holds(test)]
        labels = tuple(dict.fromkeys(metric(test.metric).label for test in tests))
        if not tests or (
            language in evidence.translated and not any(test.direction for test in tests)
        ):
            facts: dict[str, Fact] = {"scored": labels}
            found.append(GateResult("yardsticks", "not measured", name, facts))
        elif lost:
            found.append(GateResult("yardsticks", "failed", name, _lost(lost)))
        else:
            found.append(GateResult("yardsticks", "passed", name, {"won": labels}))
    return found


def _claims(evidence: Evidence, language: str) -> list[PairedTest]:
    """Return the comparisons from which a gain in a language is claimed."""
    tests = [test for test in evidence.tests(task=None) if test.language == language]
    return [test for test in tests if metric(test.metric).is_judged]


def _holds(test: PairedTest) -> bool:
    strict = _strict(test)
    return is_gain(strict) and not unbeaten(strict)


def _strict(test: PairedTest) -> PairedTest:
    """Return a test with the metric's own minimum effect where the recipe has a smaller one."""
    row = metric(test.metric)

    def least(value: float, stated: float) -> float:
        return max(stated, row.least_effect(value, {}))

    rivals = tuple(
        replace(rival, minimum_effect=least(rival.value, rival.minimum_effect))
        for rival in test.rivals
    )
    return replace(test, minimum_effect=least(test.base, test.minimum_effect), rivals=rivals)


def _lost(tests: Sequence[PairedTest]) -> dict[str, Fact]:
    """Return score by score what it is of, both values, and why there is no gain."""
    rows = [metric(test.metric) for test in tests]
    stricter = [_strict(test) if is_gain(test) else test for test in tests]
    both = list(zip(tests, rows, strict=True))
    return {
        "metrics": tuple(row.label for row in rows),
        "adapter": tuple(f"{test.adapter:z.{row.decimals}f}" for test, row in both),
        "base": tuple(f"{test.base:z.{row.decimals}f}" for test, row in both),
        "why": tuple(map(reason_of, stricter)),
    }


def items(evidence: Evidence, settings: Gates) -> list[GateResult]:
    """Return for each language whether its scores are of enough items."""
    found = []
    for language in evidence.languages:
        name, tests = language_name(language), _claims(evidence, language)
        if not tests:
            found.append(GateResult("items", "not measured", name))
            continue
        least = min(test.n for test in tests)
        facts: dict[str, Fact] = {"n": least, "limit": settings.items}
        found.append(GateResult("items", _passed(least >= settings.items), name, facts))
    return found


def fidelity(evidence: Evidence, settings: Gates) -> list[GateResult]:
    """Return for each direction whether the outputs are in the language as often as references."""
    return _of_outputs("fidelity", evidence, partial(_fidelity, evidence, settings))


def _fidelity(evidence: Evidence, settings: Gates, group: GroupOutputs) -> GateResult | None:
    place = place_of(group)
    if not group.is_covered:
        return GateResult("fidelity", "not covered", place, {"tried": group.identified_by})
    wanted = (group.direction, group.phase)
    scores = evidence.scores(task=None, metric=FIDELITY, language=group.language)
    for one in scores:
        if (one.direction, one.phase) == wanted:
            facts: dict[str, Fact] = {"value": one.value, "limit": settings.fidelity}
            facts["others"] = other_languages(group, "adapter") or ("none",)
            passed = _passed(one.value >= settings.fidelity)
            return GateResult("fidelity", passed, place, facts)
    return None


def repetition(evidence: Evidence, settings: Gates) -> list[GateResult]:
    """Return for each direction whether the outputs repeat more of themselves than references."""
    return _of_outputs("repetition", evidence, partial(_repetition, settings))


def _repetition(settings: Gates, group: GroupOutputs) -> GateResult | None:
    if not {"adapter", REFERENCE} <= set(group.systems):
        return None
    value, own = group.systems["adapter"].repetition, group.systems[REFERENCE].repetition
    passed = _passed(value - own <= settings.repetition)
    facts: dict[str, Fact] = {"value": value, "reference": own, "limit": settings.repetition}
    return GateResult("repetition", passed, place_of(group), facts)


def _of_outputs(
    gate: GateName, evidence: Evidence, read: Callable[[GroupOutputs], GateResult | None]
) -> list[GateResult]:
    """Return what a gate finds in the outputs in each language that is taught.

    A language into which a corpus translates must have outputs; others may.
    """
    found = []
    for language in evidence.languages:
        groups = [one for one in evidence.evaluated.outputs if one.language == language]
        results = [result for group in groups if (result := read(group)) is not None]
        if not results and (groups or language in evidence.translated):
            results = [GateResult(gate, "not measured", language_name(language))]
        found += results
    return found or [GateResult(gate, "does not apply")]


def forgetting(evidence: Evidence, settings: Gates) -> list[GateResult]:
    """Return how much worse held-out text of other languages is predicted."""
    tests = evidence.tests(task="forgetting", metric=FORGETTING)
    if not tests:
        return [GateResult("forgetting", "not measured")]
    found = []
    for test in tests:
        rise = 100 * test.difference / test.base if test.base else 0.0
        facts: dict[str, Fact] = {
            "base": test.base,
            "adapter": test.adapter,
            "rise": rise,
            "limit": settings.forgetting_percent,
        }
        passed = _passed(rise <= settings.forgetting_percent)
        found.append(GateResult("forgetting", passed, _place(test), facts))
    return found


def kl(evidence: Evidence, settings: Gates) -> list[GateResult]:
    """Return how far the adapter is from the base where it should stay."""
    scores = evidence.scores(task="kl", metric=KL)
    if not scores:
        return [GateResult("kl", "not measured")]
    found = []
    for one in scores:
        facts: dict[str, Fact] = {"value": one.value, "limit": settings.kl_per_token}
        passed = _passed(one.value <= settings.kl_per_token)
        found.append(GateResult("kl", passed, _place(one), facts))
    return found


def wrong_source(evidence: Evidence, _: Gates) -> list[GateResult]:
    """Return for each translation whether the adapter uses its source more than the base."""
    if not evidence.translated:
        return [GateResult("wrong_source", "does not apply")]
    tests = evidence.tests(task="wrong_source", metric=SOURCE_BITS)
    found = []
    for language in evidence.translated:
        mine = [test for test in tests if test.language == language]
        if not mine:
            found.append(GateResult("wrong_source", "not measured", language_name(language)))
        for test in mine:
            facts: dict[str, Fact] = {
                "base": test.base,
                "adapter": test.adapter,
                "p": test.p_value,
            }
            passed = _passed(_uses_source_more(test))
            found.append(GateResult("wrong_source", passed, _place(test), facts))
    return found


def _uses_source_more(test: PairedTest) -> bool:
    """Return whether the adapter saves more bits than the base, and any at all."""
    return test.low > 0 and test.p_value < LEVEL and test.adapter > 0


def contamination(evidence: Evidence, _: Gates) -> list[GateResult]:
    """Return whether the overlap of training and test texts was removed."""
    overlap = evidence.overlap
    if overlap.unknown_start:
        return [GateResult("contamination", "not measured", facts={"why": "start_from"})]
    if overlap.removed is None:
        return [GateResult("contamination", "not measured", facts={"why": "not recorded"})]
    facts = _overlap_facts(overlap)
    return [GateResult("contamination", _passed(overlap.looked_for_near), facts=facts)]


def _overlap_facts(overlap: Overlap) -> dict[str, Fact]:
    return {"removed": overlap.removed or 0, "sets": overlap.evaluation_sets}


def judgement(evidence: Evidence, _: Gates) -> list[GateResult]:
    """Return for each language whether speakers judged its outputs, and prefer no other to them."""
    found = []
    for language in evidence.languages:
        mine = [one for one in evidence.judged if one.language == language]
        if not mine:
            found.append(GateResult("judgement", "not measured", language_name(language)))
        found += [_judged(one) for one in mine]
    return found


def health(evidence: Evidence, _: Gates) -> list[GateResult]:
    """Return for each language whether speakers judged answers about health."""
    if not evidence.for_health:
        return [GateResult("health", "does not apply")]
    found = []
    for language in evidence.languages:
        mine = [one.judges for one in evidence.judged if one.health and one.language == language]
        facts: dict[str, Fact] = {"judges": max(mine, default=0), "limit": HEALTH_JUDGES}
        finding = _passed(max(mine) >= HEALTH_JUDGES) if mine else "not measured"
        found.append(GateResult("health", finding, language_name(language), facts))
    return found


def _judged(one: JudgedSummary) -> GateResult:
    facts: dict[str, Fact] = {
        "judges": one.judges,
        "items": one.items,
        "share": one.preference.value,
        "other": one.other,
    }
    lost = one.other == "base" and one.preferred == "other"
    return GateResult("judgement", _passed(not lost), language_name(one.language), facts)


def _passed(condition: bool) -> Finding:
    return "passed" if condition else "failed"


def _place(record: Score | PairedTest) -> str:
    """Return the language or direction, with a phase but without the name of the gate's task."""
    return where(replace(record, task=None))
