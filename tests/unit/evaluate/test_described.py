"""Planted outputs score otherwise than translations: repetition, copies, other languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from finetune.artefacts.items import Item
from finetune.artefacts.outputs.output_facts import GroupOutputs
from finetune.artefacts.outputs.output_table import not_covered, output_rows
from finetune.artefacts.results import EvaluateResult, as_json, parse_result
from finetune.evaluate.compare import can_score
from finetune.evaluate.descriptions.described import describe
from finetune.evaluate.outputs import Generation
from finetune.identify.models import load_models
from finetune.spec.sections.identify import Identify
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import Group

HAUSA = (
    "Ina kwana, yaya gida?",
    "Manomi ya tafi kasuwa tare da ɗan'uwansa.",
    "Yara suna wasa a bakin kogi da yamma.",
    "Ba mu san lokacin da ruwan sama zai sauka ba.",
    "Malama ta rubuta tambayoyi guda biyu a kan allo.",
    "Wannan littafi yana da kyau sosai.",
    "Mun gode da taimakon da kuka yi mana.",
    "Likita zai zo asibiti gobe da safe.",
)
PAIRS = [(f"Good morning {n}, my friends from the town", text) for n, text in enumerate(HAUSA)]
SYSTEMS = {
    "adapter": [text for _, text in PAIRS],
    "repeats": ["koyi koyi koyi koyi koyi" for _ in PAIRS],
    "copy": [source for source, _ in PAIRS],
    "english": ["The farmer went to the market with his brother." for _ in PAIRS],
    "silent": ["" for _ in PAIRS],
}


def _described(language: str) -> tuple[dict[str, list[Generation]], GroupOutputs]:
    items = [Item("i", "toy", language, "p", text, source, None) for source, text in PAIRS]
    group = Group(language=language, direction=f"eng_Latn>{language}", items=items)
    outputs = {
        name: [Generation(text, one.reference or "", one.source) for text, one in given]
        for name, texts in SYSTEMS.items()
        for given in [list(zip(texts, items, strict=True))]
    }
    models = load_models(Identify())
    return describe(group, outputs, phase=None, models=models, texts=dict)


def _value(name: str, outputs: Sequence[Generation]) -> float:
    row = metric(name)
    return float(row.value(row.statistics(outputs).sum(axis=0)))


@pytest.fixture(scope="module")
def found() -> tuple[Any, GroupOutputs]:
    return _described("hau_Latn")


@pytest.mark.parametrize(
    ("system", "fidelity", "repetition", "copies"),
    [
        ("adapter", (1.0, 1.0), (0.0, 0.2), 0.0),
        ("repeats", (0.0, 1.2), (0.6, 1.0), 0.0),
        ("copy", (0.0, 0.1), (0.0, 0.2), 1.0),
        ("english", (0.0, 0.0), (0.0, 0.2), 0.0),
        ("silent", (0.0, 0.0), (0.0, 0.0), 0.0),
    ],
)
def test_each_fault_is_seen_in_a_number(found, system, fidelity, repetition, copies):
    """References score 1; another language and silence 0; repetition and copies have their own."""
    outputs = found[0][system]
    assert fidelity[0] <= _value("fidelity", outputs) <= fidelity[1]
    assert repetition[0] <= _value("repetition_rate", outputs) <= repetition[1]
    assert _value("copy_rate", outputs) == copies


def test_wrong_languages_are_named_with_counts(found):
    """And empty outputs, copies and different words are counted beside the references."""
    facts = found[1].systems
    assert found[1].identified_by.startswith("py3langid ")
    assert facts["english"].languages == {"eng_Latn": len(PAIRS)}
    assert facts["silent"].languages == {"zxx": len(PAIRS)}
    assert (facts["silent"].empty, facts["copy"].copies) == (len(PAIRS), len(PAIRS))
    assert (facts["repeats"].distinct_words, facts["reference"].copies) == (1, 0)
    rows = {row.system: row for row in output_rows([found[1]], [])}
    assert rows["english"].others == f"English {len(PAIRS)}"
    assert rows["silent"].others == f"no letters {len(PAIRS)}"
    assert rows["references"].in_language.endswith(f" of {len(PAIRS)}")


def test_what_nothing_identifies_is_said_and_not_scored():
    """No fidelity, a sentence for people, and the languages of no output."""
    outputs, group = _described("srr_Latn")
    assert not group.is_covered
    assert not can_score(metric("fidelity"), outputs)
    assert can_score(metric("repetition_rate"), outputs)
    assert group.systems["english"].languages == {}
    [said] = not_covered([group])
    assert "Serer" in str(said)
    assert {row.in_language for row in output_rows([group], [])} == {"unknown"}


def test_a_model_that_does_not_know_the_references_has_no_say():
    """Hausa texts as references of Zulu: below half, the next way is asked, then none."""
    _, group = _described("zul_Latn")
    assert not group.is_covered
    assert "references" in group.identified_by


def test_facts_survive_the_manifest(found, tmp_path):
    """Written as JSON and read again, they are the same; without any there is no field."""
    result = EvaluateResult((), (), outputs=(found[1],))
    assert parse_result(as_json(result), EvaluateResult, path=tmp_path) == result
    assert "outputs" not in as_json(EvaluateResult((), ()))
