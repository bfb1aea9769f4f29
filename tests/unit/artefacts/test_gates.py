"""Gates: each known-bad result is named by its own gate, and what was not measured never passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.gate_evidence import evidence_of
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import GATES, barring, gates_of, said_of
from finetune.artefacts.results import EvaluateResult, ReleaseResult, as_json, parse_result
from finetune.messages import sentence
from finetune.spec.recipe import Recipe
from finetune.spec.sections.gates import Gates
from finetune.spec.trained_languages import trained_languages
from tests.support.gates import BAD, NGRAM, SCORES, TESTS, evidence, outputs
from tests.support.release_job import RECIPE, card

DEFAULTS = Gates.with_defaults()


def test_a_good_evaluation_passes_every_required_gate():
    """All gates are there, judgement as not measured, health as none of its business, and nothing
    bars a public release."""
    results = gates_of(evidence(), DEFAULTS)
    assert {result.gate for result in results} == set(GATES)
    required = {r.gate: r.finding for r in results if GATES[r.gate].is_required}
    assert required.pop("health") == "does not apply"
    assert set(required.values()) == {"passed"}
    assert [r.gate for r in results if r.finding == "not measured"] == ["judgement"]
    assert barring(results) == []


@pytest.mark.parametrize(("changes", "gate", "finding", "says"), BAD.values(), ids=list(BAD))
def test_a_bad_result_is_named_by_its_gate(changes, gate, finding, says):
    """One thing is bad: exactly its gate bars a public release, with the numbers in a sentence."""
    [found] = barring(gates_of(evidence(**changes), DEFAULTS))
    assert (found.gate, found.finding) == (gate, finding)
    assert says in str(said_of(found))


def test_a_gate_without_any_result_bars():
    """A release that recorded no gates, or one gate less, is not public by omission."""
    assert {result.gate for result in barring(())} == set(GATES) - {"judgement"}
    results = [r for r in gates_of(evidence(), DEFAULTS) if r.gate != "kl"]
    assert [(r.gate, r.finding) for r in barring(results)] == [("kl", "not measured")]


@pytest.mark.parametrize("changes", [case[0] for case in BAD.values()], ids=list(BAD))
def test_an_override_lets_pass_and_hides_nothing(changes):
    """With a reason the gate no longer bars; finding and numbers stay."""
    [before] = barring(gates_of(evidence(**changes), DEFAULTS))
    settings = Gates(override={before.gate: "the elders asked for it"})
    results = gates_of(evidence(**changes), settings)
    assert barring(results) == []
    [after] = [result for result in results if result.state == "overridden"]
    assert after == replace(before, override="the elders asked for it")


def test_an_override_of_a_passed_gate_says_nothing():
    """A gate that passes stays passed, whatever reason was written before."""
    settings = Gates(override=dict.fromkeys(GATES, "written before the run"))
    found = {r.gate: r.state for r in gates_of(evidence(), settings)}
    assert {gate for gate, state in found.items() if state == "overridden"} == {"judgement"}


@pytest.mark.parametrize(
    "loose",
    [
        {"fidelity": 0.1},
        {"repetition": 0.5},
        {"forgetting_percent": 50},
        {"kl_per_token": 5},
        {"items": 10},
    ],
)
def test_a_limit_is_no_way_to_switch_a_gate_off(loose):
    """A limit may be stricter than its default; what is looser needs a reason."""
    with pytest.raises(ValueError, match=next(iter(loose))):
        Gates(**loose)
    with pytest.raises(ValueError, match="override"):
        Gates(override={next(iter(loose)): "no"})


def test_a_stricter_limit_holds():
    """A fidelity of 0.96 passes at the default and fails at a limit of 0.99."""
    [found] = barring(gates_of(evidence(), Gates(fidelity=0.99)))
    assert (found.gate, found.facts["limit"]) == ("fidelity", 0.99)


def test_the_languages_are_those_that_the_recipe_teaches():
    """Replay data is not taught, and a text card translates nothing."""
    text = {"kind": "text", "columns": {"text": "text"}}
    cards = {
        "school-hau": card(),
        "english": card("english", corpus=text | {"languages": ["eng_Latn"]}),
        "wolof": card("wolof", corpus=text | {"languages": ["wol_Latn"]}),
    }
    corpora = [*RECIPE["corpora"], {"card": "english", "replay": True}, {"card": "wolof"}]
    recipe = Recipe.model_validate(RECIPE | {"corpora": corpora})
    nothing = EvaluateResult((), ())
    found = evidence_of(recipe, cards, prepared=[], evaluated=nothing)
    assert (found.languages, found.translated) == (("hau_Latn", "wol_Latn"), ("hau_Latn",))
    texts = replace(found, languages=("wol_Latn",), translated=())
    states = {result.gate: result.state for result in gates_of(texts, DEFAULTS)}
    assert {states[name] for name in ("wrong_source", "fidelity", "repetition")} == {
        "does not apply"
    }


def test_a_language_that_is_only_tested_is_not_taught():
    """An English card with `evaluate_only: true` makes no adapter of English."""
    text = {"kind": "text", "columns": {"text": "text"}}
    english = card("english", corpus=text | {"languages": ["eng_Latn"]})
    cards = {"school-hau": card(), "english": english}
    corpora = [*RECIPE["corpora"], {"card": "english", "evaluate_only": True}]
    recipe = Recipe.model_validate(RECIPE | {"corpora": corpora})
    found = evidence_of(recipe, cards, prepared=[], evaluated=EvaluateResult((), ()))
    assert (found.languages, found.translated) == (("hau_Latn",), ("hau_Latn",))
    assert trained_languages(recipe, cards) == ["hau_Latn"]


def test_why_there_is_no_gain_is_said_in_the_language_of_the_reader():
    """A release records the reason and not its words; one of before has them in English."""
    facts = {"metrics": ("chrF++",), "adapter": ("12.0",), "base": ("5.5",)}
    result = GateResult("yardsticks", "failed", facts={**facts, "why": ("behind: copy ngram",)})
    french = said_of(result).in_language("fr")
    assert french.endswith(
        "chrF++ 12.0 contre 5.5 pour la base\u00a0: meilleur que la base, mais pas que la copie "
        "de la source et le modèle n-gramme d'octets"
    )
    assert str(said_of(result)).endswith(
        "chrF++ 12.0 against 5.5 of the base: better than the base, not than the copy of the "
        "source and the byte n-gram model"
    )
    old = GateResult("yardsticks", "failed", facts={"lost": ("chrF++ 12.0: no difference",)})
    assert str(said_of(old)).endswith("better than base and yardsticks: chrF++ 12.0: no difference")


def test_outputs_are_read_where_no_corpus_translates():
    """Generations in a language that is taught are judged, whatever kind of corpus teaches it."""
    texts = replace(evidence(outputs=outputs(repetition=0.9)), translated=())
    states = {result.gate: result.state for result in gates_of(texts, DEFAULTS)}
    assert (states["fidelity"], states["repetition"]) == ("passed", "failed")
    assert states["wrong_source"] == "does not apply"


def test_a_corpus_that_translates_needs_outputs():
    """Without any generation neither gate passes, and nothing is said about identifiers."""
    found = gates_of(evidence(fidelity=None, outputs=None), DEFAULTS)
    states = {r.gate: r.finding for r in barring(found)}
    assert states == {"fidelity": "not measured", "repetition": "not measured"}


def test_repetition_is_judged_beside_the_references():
    """Repetition of the references is grammar: 0.25 beside 0.05 is the most."""
    [found] = [
        r
        for r in gates_of(evidence(outputs=outputs(repetition=0.25)), DEFAULTS)
        if r.gate == "repetition"
    ]
    assert found.finding == "passed"


def test_first_lines_stand_in_their_order():
    """Health, overridden gates, the n-gram model, the gain."""
    wolof = replace(TESTS["chrf"], language="wol_Latn", direction="eng_Latn>wol_Latn")
    behind = replace(TESTS["bits"], better="neither", rivals=(NGRAM,))
    results = gates_of(
        evidence(bits=behind, fidelity=None, outputs=outputs(is_covered=False)),
        Gates(override={"fidelity": "a speaker read them"}),
    )
    lines = first_lines(
        [behind, wolof], gates=results, health=[sentence("Not for medical advice.")]
    )
    assert [line.kind for line in lines] == ["health", "overridden", "worse-than-ngram", "gain"]
    assert [line.is_warning for line in lines] == [True, True, True, False]
    texts = [str(line.text) for line in lines]
    assert texts[1] == (
        "The gate 'fidelity' (writes the language) is overridden: English to Hausa: nothing tells "
        "whether outputs are in the language (py3langid 0.3, choosing among 140 languages). "
        "Reason: a speaker read them"
    )
    assert texts[3] == ("Better than base and yardsticks: English to Wolof chrF++ 5.5 -> 18.2.")
    [line] = first_lines([TESTS["bits"], replace(TESTS["chrf"], better="neither")])
    assert str(line.text) == (
        "No gain over base and yardsticks is claimed: Hausa bits per byte 4.000 -> 1.800, English "
        "to Hausa chrF++ 5.5 -> 18.2."
    )


def test_a_release_records_its_gates(tmp_path):
    """The manifest holds each result, with its reason, and gives it back."""
    settings = Gates(override={"kl": "the base knew no French"})
    results = gates_of(evidence(kl=None), settings)
    written = as_json(ReleaseResult("org/toy", "mit", files={}, gates=results))
    assert parse_result(written, ReleaseResult, path=tmp_path).gates == results
    assert GateResult("kl", "not measured", override="the base knew no French") in results
    assert SCORES["kl"].task == "kl"
