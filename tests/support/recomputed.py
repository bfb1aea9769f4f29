"""Scores, intervals and p-values from the files of an evaluation, without the product's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def chrf(sums):
    """Return chrF++ from n-gram counts: generation, reference, both, for each of 8 orders."""
    own, wanted, both = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    used = (own > 0) & (wanted > 0)
    orders = np.maximum(used.sum(-1), 1)
    precision = np.where(used, both / np.maximum(own, 1), 0).sum(-1) / orders
    recall = np.where(used, both / np.maximum(wanted, 1), 0).sum(-1) / orders
    return 100 * 5 * precision * recall / np.maximum(4 * precision + recall, 1e-300)


def recomputed(folder: Path, test: dict[str, Any], *, resamples: int, seed: int) -> dict[str, Any]:
    """Return what an evaluation or release says of a comparison, from its items alone."""
    listed = next(folder / n for n in ("scores.json", "evaluation.json") if (folder / n).is_file())
    [of] = [f for f in json.loads(listed.read_text())["items"]
            if f["metric"] == test["metric"]]  # fmt: skip
    items = [json.loads(line) for line in (folder / of["items"]).read_text().splitlines()]
    mine = [i for i, one in enumerate(items)
            if all(one[k] == test[k] for k in ("language", "direction", "phase"))
            and one.get("held_out") == test.get("held_out")]  # fmt: skip
    names = list(dict.fromkeys(items[i]["document"] for i in mine))
    rows = np.load(folder / of["scores"])[:, mine]
    sums = np.zeros((len(of["systems"]), len(names), rows.shape[2]))
    for at, i in enumerate(mine):
        sums[:, names.index(items[i]["document"])] += rows[:, at]
    by = {
        name: one for name, one in zip(of["systems"], sums, strict=True) if not np.isnan(one).any()
    }
    score = (
        chrf
        if test["metric"].startswith("chrf++")
        else lambda s: s[..., 0] / np.maximum(s[..., 1], 1e-300)
    )
    drawn = np.random.Generator(np.random.Philox(seed)).integers(
        len(names), size=(resamples, len(names))
    )
    flips = np.random.Generator(np.random.Philox(seed)).integers(2, size=(4999, len(names)))
    found: dict[str, Any] = {"value": {n: float(score(one.sum(0))) for n, one in by.items()}}
    found["interval"] = {
        n: np.quantile(score(one[drawn].sum(1)), [0.025, 0.975]) for n, one in by.items()
    }
    for name in set(by) - {"adapter"}:
        one, two = by[name], by["adapter"]
        gap = score(two[drawn].sum(1)) - score(one[drawn].sum(1))
        moved = one.sum(0) + flips @ (two - one)
        gaps = np.abs(score(one.sum(0) + two.sum(0) - moved) - score(moved))
        real = found["value"]["adapter"] - found["value"][name]
        p = (1 + (gaps >= abs(real) * (1 - 1e-9)).sum()) / 5000 if real else 1.0
        found[name] = (real, *np.quantile(gap, [0.025, 0.975]), p, 2.802 * gap.std())
    return found
