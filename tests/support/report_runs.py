"""A store of evaluated runs, written by hand: several languages, seeds and settings."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.cluster.chain.chain import Chain, ChainJob, write_chain
from tests.support.artefacts import finished
from tests.support.judge_job import TEXTS
from tests.support.results import base_result, comparison, prepare_result, train_result

LANGUAGES = tuple(TEXTS)
ITEMS = 60
_LEVEL = {"base": 3.4, "adapter": 2.6, "examples": 3.2, "ngram": 2.9}
CONDITIONS = "split:test|precision:fp32|device:cpu|seed:0"


def keys_of(number: int) -> dict[str, str]:
    """Return the keys of a run's artefacts by stage."""
    own = enumerate(("train", "evaluate", "release"), 16 * number)
    return {"base": f"{1:016x}", "prepare": f"{2:016x}"} | {stage: f"{n:016x}" for n, stage in own}


def write_run(
    store: Path,
    number: int,
    *,
    seed: int = 0,
    rank: int = 8,
    conditions: str = CONDITIONS,
    languages: Sequence[str] = LANGUAGES,
    shared: bool = True,
    released: bool = True,
    items: str = "item",
) -> str:
    """Write base, prepared texts, training, evaluation and release; return `evaluate/KEY`."""
    keys = keys_of(number)
    _write_shared(store, keys)
    inputs = {"base": f"base/{keys['base']}", "prepare": f"prepare/{keys['prepare']}"}
    made_of = {"lora": {"rank": rank}, "train": {"seed": seed, "max_steps": 40}}
    folder = store / "train" / keys["train"]
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text(_metrics(number), encoding="utf-8")
    result = _trained(number, languages)
    finished(
        folder,
        result=result,
        inputs=inputs,
        content={"content": made_of},
        started=time.time() - 754,
    )
    folder = store / "evaluate" / keys["evaluate"]
    evaluated = _evaluated(
        folder, number, conditions=conditions, languages=languages, shared=shared, items=items
    )
    inputs |= {"train": f"train/{keys['train']}"}
    finished(folder, result=evaluated, inputs=inputs, started=time.time() - 301)
    if released:
        inputs |= {"evaluate": f"evaluate/{keys['evaluate']}"}
        path = store / "release" / keys["release"]
        result = {"repo": f"org/tiny-{number}", "licence": "mit", "files": {}, "gate": []}
        finished(path, result=result, inputs=inputs)
    return f"evaluate/{keys['evaluate']}"


def _write_shared(store: Path, keys: Mapping[str, str]) -> None:
    """Write what all runs have in common, once."""
    if (store / "base" / keys["base"]).is_dir():
        return
    finished(store / "base" / keys["base"], result=base_result(), started=time.time() - 9)
    folder = store / "prepare" / keys["prepare"]
    folder.mkdir(parents=True)
    funnel = [
        {
            "card": "open",
            "language": language,
            "read": 1000,
            "rejected": {"copy": 120, "too-short": 30},
            "kept": {"train": 700, "validation": 50, "test": 100},
        }
        for language in LANGUAGES
    ]
    (folder / "report.json").write_text(json.dumps({"funnel": funnel}), encoding="utf-8")
    finished(folder, result=prepare_result(languages=list(LANGUAGES)), started=time.time() - 75)


def _metrics(number: int) -> str:
    """Return the records of two attempts: one that was stopped, and one that ended."""
    losses = (4.0 * 0.93 ** (step * 0.7) + 1.2 + 0.02 * number for step in range(1, 41))
    lines = [
        {"kind": "train", "step": n, "loss": one, "seconds": 9.0} for n, one in enumerate(losses, 1)
    ]
    begin = {"kind": "start", "ranks": 1, "device": "cpu", "seconds": 31.0}
    first = begin | {"time": "2026-09-01T10:00:00+00:00", "step": 0}
    second = begin | {"time": "2026-09-01T12:30:00+00:00", "step": 20}
    ended = [{"kind": "end", "seconds": 240.0, "outcome": word} for word in ("stopped", "done")]
    records = [first, *lines[:20], ended[0], second, *lines[20:], ended[1]]
    return "".join(json.dumps(record) + "\n" for record in records)


def _trained(number: int, languages: Sequence[str]) -> dict[str, Any]:
    history: list[dict[str, Any]] = [
        {
            "step": step,
            "train_loss": 2.0,
            "bits_per_byte": {x: 3.4 - 0.02 * step + 0.01 * number for x in languages},
        }
        for step in (10, 20, 30, 40)
    ]
    return train_result(
        steps=40,
        best_step=40,
        seconds=754.0,
        tokens_per_second=2100.0,
        tokens=1_583_400,
        history=history,
        validation_bits_per_byte=history[-1]["bits_per_byte"],
        energy={
            "kilowatt_hours": 0.00213,
            "low_kilowatt_hours": 0.0011,
            "high_kilowatt_hours": 0.0042,
            "method": "estimate, not measured",
            "grid": {"gco2_per_kwh": 56.0, "source": "a table of grids"},
        },
    )


def _evaluated(
    folder: Path,
    number: int,
    *,
    conditions: str,
    languages: Sequence[str],
    shared: bool,
    items: str,
) -> dict[str, Any]:
    (folder / "items").mkdir(parents=True)
    systems = list(_LEVEL)
    random = np.random.default_rng(0)  # the same texts for every run
    parts, lines, generations = [], [], []
    scores: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    for place, language in enumerate(languages):
        bytes_N = random.integers(12, 600, ITEMS).astype(np.float64)
        noise_N = random.normal(0.0, 0.25, ITEMS)
        level = _LEVEL | {"adapter": _LEVEL["adapter"] + 0.03 * number + 0.2 * place}
        bits = {name: bytes_N * (level[name] + noise_N) for name in systems}
        parts.append(np.stack([np.stack([bits[n], bytes_N], axis=1) for n in systems]))
        lines += [_line(language, n, items, shared=shared) for n in range(ITEMS)]
        generations += [_generation(language, n, number) for n in range(12)]
        value = {name: float(bits[name].sum() / bytes_N.sum()) for name in systems}
        scores += [_score(language, name, value[name], conditions) for name in systems]
        tests.append(_test(language, value))
    np.save(folder / "items/held_out_text.bits_per_byte.npy", np.concatenate(parts, axis=1))
    (folder / "items/held_out_text.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "generations.jsonl").write_text("".join(generations), encoding="utf-8")
    file = {
        "task": "held_out_text",
        "metric": "bits_per_byte",
        "systems": systems,
        "scores": "items/held_out_text.bits_per_byte.npy",
        "items": "items/held_out_text.jsonl",
    }
    outputs = [_outputs(language, number) for language in languages]
    return {"scores": scores, "comparisons": tests, "items": [file], "outputs": outputs}


def _line(language: str, number: int, items: str, *, shared: bool) -> str:
    facts = {"language": language, "direction": None, "phase": None}
    facts |= {"document": f"d{number}", "item": f"{items}-{language}-{number}", "card": "open"}
    return json.dumps(facts | (_texts(language, number) if shared else {})) + "\n"


def _texts(language: str, number: int) -> dict[str, str]:
    return {"source": f"Good morning {number}", "reference": f"{TEXTS[language][0]} {number}"}


def _generation(language: str, number: int, run: int) -> str:
    adapter, base = TEXTS[language]
    facts = {"id": f"{number}", "card": "open", "language": language, "phase": None}
    facts |= {"direction": None, "prompt": "?", **_texts(language, number)}
    return json.dumps(facts | {"base": f"{base} {base}", "adapter": f"{adapter} {run}"}) + "\n"


def _score(language: str, system: str, value: float, conditions: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"metric": "bits_per_byte", "language": language}
    facts |= {
        "direction": None,
        "phase": None,
        "system": system,
        "value": value,
        "low": value - 0.08,
        "high": value + 0.08,
    }
    return facts | {"n": ITEMS, "signature": f"bits_per_byte|{conditions}"}


def _test(language: str, value: Mapping[str, float]) -> dict[str, Any]:
    rivals = [
        {
            "name": name,
            "value": value[name],
            "difference": value["adapter"] - value[name],
            "low": value["adapter"] - value[name] - 0.05,
            "high": value["adapter"] - value[name] + 0.05,
            "p_value": 0.0002,
            "minimum_effect": 0.01,
        }
        for name in ("examples", "ngram")
    ]
    gap = value["adapter"] - value["base"]
    wins = value["adapter"] < value["ngram"] - 0.06
    return comparison(
        language=language,
        base=value["base"],
        adapter=value["adapter"],
        difference=gap,
        low=gap - 0.06,
        high=gap + 0.06,
        n=ITEMS,
        p_value=0.0002,
        p_holm=0.0006,
        phase=None,
        better="adapter" if wins else "neither",
        rivals=rivals,
    )


def _outputs(language: str, number: int) -> dict[str, Any]:
    facts = {"n": 12, "empty": 0, "words": 60, "distinct_words": 40, "repetition": 0.04}
    systems = {
        "reference": facts | {"languages": {language: 12}, "copies": 0},
        "base": facts | {"languages": {"eng_Latn": 9, language: 3}, "copies": 2},
        "adapter": facts | {"languages": {language: 11 - number % 3}, "copies": 0},
    }
    place = {"language": language, "direction": None, "phase": None}
    return place | {"is_covered": True, "identified_by": "franc", "systems": systems}


def write_sweep(store: Path, numbers: Mapping[str, int]) -> None:
    """Write the chain `c-1` of a sweep: setting -> number of the run."""
    jobs = [
        ChainJob(
            name=f"evaluate.{task}",
            stages=("evaluate",),
            script="s",
            log="l",
            artefacts=(f"evaluate/{keys_of(number)['evaluate']}",),
            inputs=(f"train/{keys_of(number)['train']}",),
            settings=(setting,),
        )
        for task, (setting, number) in enumerate(numbers.items())
    ]
    chain = Chain(
        folder=store / "chains/c-1",
        id="c-1",
        recipe="r.yaml",
        site="none",
        created="2026-01-01T00:00:00+00:00",
        store=str(store),
        jobs=tuple(jobs),
        max_restarts=0,
        scheduler="none",
    )
    write_chain(chain)
