"""The scores per item: all that is shown follows from them, and no text leaves with them."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.evaluate.run import run
from tests.support.evaluate_job import make_job
from tests.support.prepare_job import make_card
from tests.support.recomputed import recomputed
from tests.support.tiny import write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, base_folder: Path
) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the result of an evaluation with three metrics."""
    root = tmp_path_factory.mktemp("evaluated")
    settings = {"generate_items": 55, "metrics": ["exact_match"]}
    job = make_job(root, base_folder, scale=0.05, documents=110, **settings)
    return job.workspace, run(job)


def test_every_number_follows_from_the_files_of_the_items(evaluated) -> None:
    """Values, intervals, p-values, yardsticks, adjustment and winner, in thirty lines of numpy."""
    folder, result = evaluated
    claims = []
    for test in result["comparisons"]:
        found = recomputed(folder, test, resamples=200, seed=0)
        for score in result["scores"]:
            if all(score[k] == test[k] for k in ("metric", "language", "direction")):
                value = found["value"][score["system"]]
                assert score["value"] == pytest.approx(value)
                low, high = found["interval"][score["system"]]
                expected = (min(low, value), max(high, value))
                assert (score["low"], score["high"]) == pytest.approx(expected)
        real, low, high, p_value, detectable = found["base"]
        assert test["difference"] == pytest.approx(real)
        assert (test["low"], test["high"]) == pytest.approx((min(low, real), max(high, real)))
        assert test["p_value"] == pytest.approx(p_value)
        assert test["detectable"] == pytest.approx(detectable)
        assert len(test["rivals"]) == len(found) - 3
        for rival in test["rivals"]:
            _, rival_low, rival_high, rival_p, _ = found[rival["name"]]
            assert rival["p_value"] == pytest.approx(rival_p)
            assert (rival["low"], rival["high"]) == pytest.approx((rival_low, rival_high), abs=1e-9)
        if test["p_holm"] is not None:  # what is only shown has none
            claims.append((_claim(test), test["p_holm"]))
    assert len(claims) == 4
    for rank, (p_value, p_holm) in enumerate(sorted(claims)):
        highest = max((4 - r) * p for r, (p, _) in enumerate(sorted(claims)[: rank + 1]))
        assert p_holm == pytest.approx(min(1.0, highest))
        assert p_value <= p_holm


def test_every_number_of_the_page_follows_from_the_items(evaluated) -> None:
    """Scores, intervals, differences and what is detectable, as the report prints them."""
    folder, result = evaluated
    page = html.unescape((folder / "report.html").read_text())
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    numbers = set(re.findall(r"[+-]?\d+\.\d+", re.sub(r"<[^>]*>", " ", table)))
    printed: set[str] = set()
    for test in result["comparisons"]:
        found = recomputed(folder, test, resamples=200, seed=0)
        sides = [*found["value"].values(), *np.concatenate(list(found["interval"].values()))]
        against = [found[name] for name in found if name not in ("value", "interval")]
        real = [min(one[1], one[0]) for one in against] + [max(one[2], one[0]) for one in against]
        for places in (1, 2, 3):
            printed |= {f"{value:.{places}f}" for value in sides}
            printed |= {f"{one[4]:.{places}f}" for one in against}
            printed |= {f"{value:+.{places}f}" for value in (*real, *(one[0] for one in against))}
        printed |= {f"{one[3]:.{places}f}" for one in against for places in (1, 2, 3, 4)}
        adjusted = test["p_holm"]
        printed |= {f"{adjusted:.{n}f}" for n in (3, 4) if adjusted is not None}
        printed |= (
            {f"{adjusted:.2g}", f"{100 * test['difference'] / (test['base'] or 1):+.1f}"}
            if (adjusted is not None)
            else set()
        )
    assert len(numbers) > 30
    assert numbers <= printed


def _claim(test: dict[str, Any]) -> float:
    gain = -1 if test["metric"] == "bits_per_byte" else 1
    if gain * test["difference"] <= 0:
        return float(test["p_value"])
    if any(gain * rival["difference"] <= 0 for rival in test["rivals"]):
        return 1.0
    return float(max(test["p_value"], *(rival["p_value"] for rival in test["rivals"]), 0.0))


def test_items_are_named_by_hashes_and_have_no_text(evaluated) -> None:
    """Without a card that lets texts be passed on, no source, reference or output is in a line."""
    folder, result = evaluated
    assert {file["metric"] for file in result["items"]} == {
        *("bits_per_byte", "end_mark_bits", "chrf++", "chrf++_plain", "exact_match"),
        *("fidelity", "repetition_rate", "copy_rate"),
    }
    for file in result["items"]:
        lines = (folder / file["items"]).read_text().splitlines()
        for line in map(json.loads, lines):
            assert set(line) == {"language", "direction", "phase", "document", "item", "card"}
            assert len(line["item"]) == 64
        assert len({json.loads(line)["item"] for line in lines}) == len(lines)


@pytest.mark.parametrize(
    ("corpus", "has_texts"),
    [
        ({}, True),
        ({"permitted_uses": ["train-models", "publish-models"]}, False),
        ({"access": {"kind": "ask", "conditions": "ask us"}}, False),
        ({"personal_data": "present"}, False),
    ],
)
def test_texts_stand_there_only_where_their_owners_let_them_be_passed_on(
    tmp_path, base_folder, corpus, has_texts
) -> None:
    """Source and reference follow access, permitted uses and personal data of the card."""
    job = make_job(tmp_path, base_folder, scale=0.0, documents=4, generate_items=2)
    card = make_card(tmp_path / "cards", "toy", "Ina kwana?")
    block = card.corpus.model_validate(card.corpus.model_dump(exclude_unset=True) | corpus)
    run(replace(job, cards={"toy": card.model_copy(update={"corpus": block})}))
    text = (job.workspace / "items/translation.jsonl").read_text()
    assert ("The cat 0" in text) == ("Na gode 0" in text) == has_texts
