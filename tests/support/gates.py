"""Results of an evaluation that passes every gate, to be made bad in one place by a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from finetune.artefacts.gates.gate_evidence import Evidence, Overlap
from finetune.artefacts.outputs.output_facts import REFERENCE, GroupOutputs, OutputFacts
from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import PairedTest, Rival, Score

DIRECTION = "eng_Latn>hau_Latn"


def paired(metric: str, base: float, adapter: float, **changes: Any) -> PairedTest:
    """Return a paired test that the adapter wins, with a narrow interval."""
    facts = {
        **{"metric": metric, "language": "hau_Latn", "direction": None, "n": 120},
        **{"base": base, "adapter": adapter, "difference": adapter - base},
        **{"low": adapter - base - 0.01, "high": adapter - base + 0.01},
        **{"p_value": 0.0002, "better": "adapter", "test": "exchange test"},
    }
    return PairedTest(**facts | changes)


def adapter_score(metric: str, value: float, **changes: Any) -> Score:
    """Return a score of the adapter."""
    score = Score(metric, "hau_Latn", None, "adapter", value, value, value, 120, "")
    return replace(score, **changes)


def outputs(
    *, is_covered: bool = True, repetition: float = 0.1, languages: dict[str, int] | None = None
) -> GroupOutputs:
    """Return facts on the outputs of a translation into Hausa; the references repeat 0.05."""
    found = {"hau_Latn": 115, "lin_Latn": 5} if languages is None else languages
    own = OutputFacts(120, 0, 900, 400, repetition=0.05, languages={"hau_Latn": 120})
    adapter = OutputFacts(120, 0, 900, 300, repetition=repetition, languages=found)
    systems = {REFERENCE: own, "adapter": adapter}
    how = "py3langid 0.3, choosing among 140 languages"
    return GroupOutputs("hau_Latn", DIRECTION, None, is_covered, how, systems)


FORGETTING = {"task": "forgetting", "language": "eng_Latn", "better": "neither"}
WRONG_SOURCE = {"task": "wrong_source", "direction": DIRECTION}
TESTS = {
    "bits": paired("bits_per_byte", 4.0, 1.8),
    "chrf": paired("chrf++", 5.5, 18.2, direction=DIRECTION),
    "forgetting": paired("forgetting_bits", 1.0, 1.04, **FORGETTING),
    "wrong_source": paired("source_bits", 0.1, 0.6, **WRONG_SOURCE),
}
SCORES = {
    "fidelity": adapter_score("fidelity", 0.96, direction=DIRECTION),
    "kl": adapter_score("kl_per_token", 0.05, task="kl", language="eng_Latn"),
}
OUTPUTS = outputs()
OVERLAP = Overlap(
    removed=277, looked_for_near=True, evaluation_sets=("flores",), unknown_start=False
)


NGRAM = Rival("ngram", 1.3, difference=0.5, low=0.4, high=0.6, p_value=0.0002, minimum_effect=0.01)
BAD = {
    "not better than the n-gram model": (
        {"bits": replace(TESTS["bits"], better="neither", p_holm=1.0, rivals=(NGRAM,))},
        *("yardsticks", "failed", "bits per byte 1.800 against 4.000 of the base: better than"),
    ),
    "trained on another language": (
        {"bits": paired("bits_per_byte", 4.0, 4.4, better="base")},
        *("yardsticks", "failed", "the base is better"),
    ),
    "no translation scored": (
        {"chrf": None},
        *("yardsticks", "not measured", "only bits per byte (evaluate.generate_items)"),
    ),
    "writes another language": (
        {
            "fidelity": adapter_score("fidelity", 0.1, direction=DIRECTION),
            "outputs": outputs(languages={"lin_Latn": 101, "hau_Latn": 12, "eng_Latn": 7}),
        },
        *(
            "fidelity",
            "failed",
            "only 0.10 of the references' (at least 0.80); other languages of ",
        ),
    ),
    "no identifier for this language": (
        {"fidelity": None, "outputs": outputs(is_covered=False)},
        *(
            "fidelity",
            "not covered",
            "nothing tells whether outputs are in the language (py3langid",
        ),
    ),
    "identified, and no score of it": (
        {"fidelity": None},
        *("fidelity", "not measured", "not measured"),
    ),
    "says the same again": (
        {"outputs": outputs(repetition=0.9)},
        *(
            "repetition",
            "failed",
            "repetition is 0.900, of the references 0.050 (at most 0.2 more)",
        ),
    ),
    "forgets English": (
        {"forgetting": paired("forgetting_bits", 1.0, 1.3, **FORGETTING)},
        *("forgetting", "failed", "English: bits per byte of held-out text rise from 1.000 to"),
    ),
    "no English was scored": (
        {"forgetting": None},
        *("forgetting", "not measured", "no held-out text of a known language"),
    ),
    "far from the base": (
        {"kl": adapter_score("kl_per_token", 2.0, task="kl", language="eng_Latn")},
        *("kl", "failed", "2.000 nats per token (at most 1)"),
    ),
    "trained on shuffled targets": (
        {"wrong_source": paired("source_bits", 0.1, 0.11, low=-0.02, high=0.04, **WRONG_SOURCE)},
        *("wrong_source", "failed", "not shown to use its source more"),
    ),
    "uses its source, by chance": (
        {"wrong_source": paired("source_bits", 0.1, 0.6, p_value=0.2, **WRONG_SOURCE)},
        *("wrong_source", "failed", "p = 0.200"),
    ),
    "near copies in training": (
        {"overlap": replace(OVERLAP, looked_for_near=False)},
        *("contamination", "failed", "near copies of test texts were not looked for"),
    ),
    "started from an unknown adapter": (
        {"overlap": replace(OVERLAP, unknown_start=True)},
        *("contamination", "not measured", "started from another adapter"),
    ),
    "an old corpus": (
        {"overlap": replace(OVERLAP, removed=None)},
        *("contamination", "not measured", "does not record what was removed"),
    ),
    "a gain below the usual minimum effect": (
        {"bits": paired("bits_per_byte", 4.0, 3.98, low=-0.021, high=-0.019)},
        *("yardsticks", "failed", "3.980 against 4.000 of the base: less than the minimum effect"),
    ),
    "30 items": (
        {"chrf": replace(TESTS["chrf"], n=30)},
        *("items", "failed", "number of items: only 30 (at least 50)"),
    ),
}
"""Case -> what is bad, its gate, the finding, and a part of the sentence."""


def evidence(
    *,
    overlap: Overlap = OVERLAP,
    outputs: GroupOutputs | None = OUTPUTS,
    **changes: PairedTest | Score | None,
) -> Evidence:
    """Return evidence that passes; `changes` replace a test or score by name, None removes it."""
    tests = [test for name, test in (TESTS | changes).items() if name in TESTS and test]
    scores = [score for name, score in (SCORES | changes).items() if name in SCORES and score]
    return Evidence(
        evaluated=EvaluateResult(
            scores=tuple(scores),
            comparisons=tuple(tests),
            outputs=() if outputs is None else (outputs,),
        ),
        languages=("hau_Latn",),
        translated=("hau_Latn",),
        overlap=overlap,
    )
