"""An adapter for health: the warning, and the judges without whom it is not public."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import barring, gates_of
from finetune.artefacts.judged.judgements_said import said_of_judges
from finetune.artefacts.judged.summary import JudgedSummary, summary_of
from finetune.artefacts.results import Effect
from finetune.judge.collecting import find_campaigns, gather
from finetune.release.body import card_body
from finetune.release.recorded import Licensing
from finetune.spec.sections.gates import Gates
from tests.support.gates import evidence
from tests.support.judge_job import campaign, record, returned, write
from tests.support.release_job import release_job

EFFECT = Effect(28, {}, "fp32", tolerance=1e-4)


def judged(
    folder: Path, *, judges: int, health: bool = True, language: str = "hau_Latn"
) -> JudgedSummary:
    """Return what a number of judges found in answers."""
    records = [
        record(n, language=language, direction=None, card="", source=f"Question {n}?")
        for n in range(12)
    ]
    made = campaign(folder, records, shared=[""], health=health)
    files = []
    for number in range(judges):
        choices = {one.item: one.adapter for one in made.campaign.items}
        choices[made.campaign.items[number].item] = "same"
        content = returned(made.campaign, judge=f"judge {number}", prefers=choices)
        files.append(write(folder / f"{number}.json", content))
    [one] = gather(files, find_campaigns(made.path.parent))
    return summary_of(one.collected)


def health_of(*found: JudgedSummary, for_health: bool = True) -> list[GateResult]:
    known = replace(evidence(), judged=found, for_health=for_health)
    return [one for one in gates_of(known, Gates()) if one.gate == "health"]


def barred(results: list[GateResult]) -> bool:
    return "health" in {one.gate for one in barring(results)}


@pytest.mark.parametrize(
    ("judges", "changes", "finding"),
    [
        (2, {}, "passed"),
        (1, {}, "failed"),
        (2, {"health": False}, "not measured"),
        (2, {"language": "eng_Latn"}, "not measured"),
    ],
)
def test_two_judges_of_health_in_the_language_are_needed(
    tmp_path: Path, judges: int, changes: dict, finding: str
) -> None:
    """One is too few; judges of other answers, or of another language, are none."""
    results = health_of(judged(tmp_path, judges=judges, **changes))
    assert [one.finding for one in results] == [finding]
    assert barred(results) == (finding != "passed")


def test_no_other_adapter_needs_them() -> None:
    """The gate does not apply, bars nothing and warns of nothing."""
    results = health_of(for_health=False)
    assert [one.finding for one in results] == ["does not apply"]
    assert not barred(results)
    assert [line.kind for line in first_lines([], gates=results)] == []


def test_the_warning_stands_first() -> None:
    """Before an overridden gate, also where judges passed the answers."""
    overridden = GateResult("items", "failed", facts={"n": 3, "limit": 50}, override="a reason")
    lines = first_lines([], gates=[overridden, *health_of()])
    assert [line.kind for line in lines] == ["health", "overridden"]
    assert lines[0].is_warning


def test_the_card_begins_with_the_warning(tmp_path: Path) -> None:
    """And says nothing of health for another adapter, but that it was not evaluated for it."""
    terms = Licensing("apache-2.0", ("because",))
    plain = card_body(release_job(tmp_path / "a"), licence=terms, effect=EFFECT)
    body = card_body(
        release_job(tmp_path / "b", recipe={"intended_use": "health"}), licence=terms, effect=EFFECT
    )
    assert "Made for health" not in plain
    assert "Not for: medical or legal advice" in plain
    assert body.index("Made for health") < body.index("Gate ")
    assert "Not for: medical" not in body


def test_judges_of_health_are_said(tmp_path: Path) -> None:
    """Their number is named, and health."""
    found = judged(tmp_path, judges=2)
    assert "2 judges read 12 answers about health in Hausa" in str(said_of_judges(found))
