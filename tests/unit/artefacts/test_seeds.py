"""Seeds of one recipe: values by seed, and one paired test of their mean on the same items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import ItemFile, PairedTest
from finetune.artefacts.seeds import pooled
from finetune.report.as_json import pooled_facts
from finetune.statistics.bootstrap import ratio_of_sums
from finetune.statistics.significance import compare

ITEMS = 60


def _evaluation(
    folder: Path, gain: float, *, seed: int, better: bool, items: str = "i"
) -> tuple[Path, EvaluateResult]:
    """Write an evaluation whose adapter needs fewer bits by `gain`, with noise of its own."""
    (folder / "items").mkdir(parents=True)
    length = np.random.default_rng(0).integers(5, 90, ITEMS).astype(float)
    noise = np.random.default_rng(seed).normal(0, 0.3, ITEMS)
    bits = np.stack([3 * length, (3 - gain + noise) * length, 2.5 * length])
    np.save(folder / "items/t.npy", np.stack([bits, np.broadcast_to(length, bits.shape)], axis=2))
    of_all = {"language": "hau_Latn", "direction": None, "phase": None}
    lines = [of_all | {"item": f"{items}{n}", "document": f"d{n // 2}"} for n in range(ITEMS)]
    (folder / "items/t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    value = float(bits[1].sum() / length.sum())
    test = PairedTest(
        *("bits_per_byte", "hau_Latn", None),
        **{"base": 3.0, "adapter": value, "difference": value - 3, "low": 0, "high": 0},
        **{"p_value": 0.01, "n": ITEMS, "better": "adapter" if better else "neither"},
        test="exchange test",
    )
    systems = ("base", "adapter", "ngram")
    listed = ItemFile("held_out_text", "bits_per_byte", systems, "items/t.npy", "items/t.jsonl")
    return folder, EvaluateResult((), (test,), items=(listed,))


def test_seeds_are_averaged_per_item_and_documents_are_exchanged(tmp_path):
    """Mean, deviation and wins are those of the seeds; the test is that of their mean."""
    seeds = [
        _evaluation(tmp_path / str(n), gain, seed=n, better=gain > 0.2)
        for n, gain in enumerate((0.1, 0.3, 0.5))
    ]
    [found] = pooled(seeds)
    assert found.values == tuple(result.comparisons[0].adapter for _, result in seeds)
    assert (found.mean, found.deviation) == pytest.approx(
        (np.mean(found.values), np.std(found.values, ddof=1))
    )
    assert found.better == 2
    mean = np.mean([np.load(folder / "items/t.npy") for folder, _ in seeds], axis=0)
    documents = [f"d{n // 2}" for n in range(ITEMS)]
    rules = {"documents": documents, "score": ratio_of_sums, "resamples": 1000, "seed": 0}
    assert found.against == {
        "base": compare(mean[0], mean[1], **rules),
        "ngram": compare(mean[2], mean[1], **rules),
    }
    assert found.against["base"].p_value < 0.01
    assert found.against["ngram"].difference.value > 0


def test_seeds_are_a_record_of_json(tmp_path):
    """`report --sweep --json` has mean, values by seed, and the test against each rival."""
    seeds = [_evaluation(tmp_path / str(n), 0.3, seed=n, better=True) for n in range(2)]
    [found] = pooled(seeds)
    facts = json.loads(json.dumps({"combination": "lora.rank=8"} | pooled_facts(found)))
    assert (facts["mean"], facts["by_seed"]) == (found.mean, list(found.values))
    assert (facts["metric"], facts["better_in"]) == ("bits_per_byte", 2)
    assert set(facts["against"]) == {"base", "ngram"}
    assert facts["against"]["base"]["p_value"] == found.against["base"].p_value
    page = (Path(__file__).parents[3] / "docs/reference/json.md").read_text("utf-8")
    assert all(f"| `report` | `{name}` |" in page for name in facts)


def test_seeds_on_other_items_are_not_compared(tmp_path):
    """Nothing is paired that is not the same item."""
    one = _evaluation(tmp_path / "a", 0.3, seed=1, better=True)
    other = _evaluation(tmp_path / "b", 0.3, seed=2, better=True, items="j")
    assert pooled([one, other]) == []
