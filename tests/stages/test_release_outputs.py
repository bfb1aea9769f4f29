"""The description of outputs on the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.release.run import run
from tests.support.release_job import release_job, score, write_adapter
from tests.support.results import comparison

DIRECTION = {"language": "hau_Latn", "direction": "eng_Latn>hau_Latn"}


def _facts(**changes: Any) -> dict[str, Any]:
    plain = {"n": 60, "empty": 0, "words": 120, "distinct_words": 90, "repetition": 0.02}
    return plain | {"copies": 0, "languages": {"hau_Latn": 53, "eng_Latn": 7}} | changes


ADAPTER = _facts(
    **{"distinct_words": 24, "repetition": 0.541, "empty": 2},
    languages={"lin_Latn": 42, "hau_Latn": 6, "zxx": 2, "uzb_Latn": 2, "xho_Latn": 2},
)
SYSTEMS = {"reference": _facts(), "adapter": ADAPTER}


def _card(root: Path, **group: Any) -> str:
    write_adapter(root)
    outputs = {**DIRECTION, "phase": None, "is_covered": True, "identified_by": "py3langid"}
    fidelity = score("adapter", 0.11, **DIRECTION, metric="fidelity")
    bits = [score("base", 2.0), score("adapter", 1.5)]
    job = release_job(
        root,
        evaluate={
            "scores": [*bits, fidelity],
            "comparisons": [comparison()],
            "outputs": [outputs | {"systems": SYSTEMS} | group],
        },
    )
    run(job)
    return (job.workspace / "README.md").read_text()


def test_the_card_has_a_row_for_references_and_systems(tmp_path):
    """Languages by name, repetition and copies; fidelity is in no row of scores."""
    text = _card(tmp_path)
    reference = (
        "| English to Hausa | references | 53 of 60 |  | English 7 | 0.02 | 0 | 0 | 90 of 120 |"
    )
    assert reference in text
    row = next(line for line in text.splitlines() if "| adapter | 6 of 60 |" in line)
    assert "| 0.11 \\[0.06, 0.16\\] |" in row
    assert "| Lingala 42, " in row
    assert "no letters 2" in row
    assert "| 0.54 | 0 | 2 | 24 of 120 |" in row
    assert "| language fidelity |" not in text


def test_an_unknown_language_is_said(tmp_path):
    """The card names the languages that could not be identified, and what was tried."""
    how = "py3langid 0.4: 3 of 60 references"
    text = _card(tmp_path, is_covered=False, identified_by=how)
    assert "whether outputs are in the language is not known" in text
    assert "3 of 60 references" in text
    assert "| unknown |" in text


def test_the_card_has_a_row_for_each_kind_of_hard_input(tmp_path):
    """Numbers of outputs of base and adapter; a kind without numbers or pairs has none."""
    write_adapter(tmp_path)
    plain = {**DIRECTION, "phase": None, "n": 8, "empty": 0, "repeated": 0}
    words = plain | {"kind": "one word", "unexplained": 3}
    pairs = plain | {"kind": "negation", "unexplained": 0, "pairs_alike": 4}
    job = release_job(
        tmp_path,
        evaluate={
            "scores": [score("base", 2.0), score("adapter", 1.5)],
            "comparisons": [comparison()],
            "hard_inputs": [
                words | {"system": "base", "empty": 5},
                words | {"system": "adapter", "unexplained": 1},
                pairs | {"system": "base"},
                pairs | {"system": "adapter", "pairs_alike": 0},
            ],
        },
    )
    run(job)
    text = (job.workspace / "README.md").read_text().replace("\\", "").replace("&gt;", ">")
    assert "| Inputs | N | Empty | Mostly repeated | Unexplained |" in text
    assert "| English to Hausa, one word | 8 | 5 -> 0 | 0 -> 0 | 3 -> 1 |  |  |" in text
    assert "| English to Hausa, negation | 8 | 0 -> 0 | 0 -> 0 | 0 -> 0 |  | 4 -> 0 |" in text


def test_the_card_states_what_a_corpus_of_one_document_cannot_show(tmp_path):
    """As report and summary do; beside the scores, not in place of them."""
    write_adapter(tmp_path)
    counts = {
        "card": "school-hau",
        "documents": 1,
        "held_out": 0,
        "texts": 0,
        "share": 0.0,
        "why": "one",
    }
    scores = [score("base", 2.0), score("adapter", 1.5)]
    evaluate = {"scores": scores, "comparisons": [comparison()], "documents": [counts]}
    job = release_job(tmp_path, evaluate=evaluate)
    run(job)
    text = (job.workspace / "README.md").read_text()
    assert "school-hau: one document each, so nothing can be said about texts of other" in text
