"""Records of Every Eval Ever: for each system a file of scores, and a file with a line per item.

They lie as in its collection, `data/COLLECTION/DEVELOPER/MODEL/UUID.json` and
`UUID_samples.jsonl`. What is not known stays absent: texts that may not be passed on, outputs.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artefacts.every_eval_ever.schema_facts import (
    Evaluated,
    metric_facts,
    model_facts,
    score_facts,
    source_facts,
)
from finetune.artefacts.scores import ItemFile, Score
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import task_of

SCHEMA_VERSION = "0.3.0"
FOLDER = "every_eval_ever"
COLLECTION = "finetune-held-out"


def write_records(evaluated: Evaluated, folder: Path) -> None:
    """Write the records of every system below `folder`."""
    for system in dict.fromkeys(score.system for score in evaluated.result.scores):
        _write(_Record(evaluated, system), folder / FOLDER)


@dataclass(frozen=True)
class _Record:
    evaluated: Evaluated
    system: str

    @cached_property
    def model(self) -> dict[str, Any]:
        return model_facts(self.evaluated, self.system)

    @cached_property
    def id(self) -> str:
        """Of this evaluation of this system: the same scores have the same one."""
        scores = repr([score for score in self.evaluated.result.scores])
        digest = hashlib.sha256(scores.encode()).hexdigest()[:16]
        return f"{COLLECTION}/{self.model['id']}/{self.system}-{digest}"

    @property
    def path(self) -> str:
        """Place in the collection, without its ending."""
        developer, _, name = self.model["id"].rpartition("/")
        digest = hashlib.sha256(self.id.encode()).digest()
        number = uuid.UUID(bytes=digest[:16], version=4)
        return f"data/{COLLECTION}/{developer or 'unknown'}/{name}/{number}"

    @property
    def scores(self) -> list[Score]:
        mine = [score for score in self.evaluated.result.scores if score.system == self.system]
        return [score for score in mine if np.isfinite((score.value, score.low, score.high)).all()]


def _write(record: _Record, folder: Path) -> None:
    lines = [line for score in record.scores for line in _samples(record, score)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path = folder / f"{record.path}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = _aggregate(record)
    if lines:
        samples = f"{record.path}_samples.jsonl"
        (folder / samples).write_text(text, "utf-8", newline="\n")
        found["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": samples,
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(text.encode()).hexdigest(),
            "total_rows": len(lines),
        }
    content = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    path.write_text(content + "\n", "utf-8", newline="\n")


def _aggregate(record: _Record) -> dict[str, Any]:
    evaluated, seconds = record.evaluated, str(int(record.evaluated.finished))
    trained_here = record.system == "adapter"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": record.id,
        "evaluation_timestamp": seconds,
        "retrieved_timestamp": seconds,
        "source_metadata": {
            "source_type": "evaluation_run",
            "source_organization_name": evaluated.organisation,
            "evaluator_relationship": "first_party" if trained_here else "third_party",
        },
        "eval_library": {"name": "finetune", "version": evaluated.version},
        "model_info": record.model,
        "evaluation_results": [
            {
                "evaluation_result_id": _result_id(score),
                "evaluation_name": _name(score),
                "source_data": source_facts(evaluated, score, _cards(evaluated, score)),
                "metric_config": metric_facts(score),
                "score_details": score_facts(evaluated, score),
            }
            for score in record.scores
        ],
    }


def _samples(record: _Record, score: Score) -> Iterator[dict[str, Any]]:
    """Yield a line for each item of a score: its own score, its texts if they may be passed on."""
    evaluated, listed = record.evaluated, _listed(record.evaluated, score)
    if listed is None or record.system not in listed.systems:
        return
    items = _items(evaluated, listed)
    array_SNK = np.load(evaluated.folder / listed.scores, allow_pickle=False)
    rows_NK = array_SNK[listed.systems.index(record.system)]
    values_N = metric(score.metric).value(np.where(np.isnan(rows_NK), 1.0, rows_NK))
    for item, row_K, value in zip(items, rows_NK, values_N, strict=True):
        if not _is_of(item, score) or not np.isfinite([*row_K, value]).all():
            continue
        source, reference = item.get("source") or "", item.get("reference")
        raw = {"raw": source, "reference": [reference] if reference else []}
        hashed = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()
        yield {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": record.id,
            "model_id": record.model["id"],
            "evaluation_name": _name(score),
            "evaluation_result_id": _result_id(score),
            "sample_id": item["item"],
            "sample_hash": hashlib.sha256(hashed).hexdigest() if reference else None,
            "interaction_type": "single_turn",
            "input": raw,
            "output": {"raw": []},
            "answer_attribution": [],
            # the schema wants a judgement; of a score that is no right or wrong it says nothing
            "evaluation": {"score": float(value), "is_correct": _is_right(score, float(value))},
            "metadata": {name: str(item[name]) for name in ("document", "card") if name in item},
        }


def _is_right(score: Score, value: float) -> bool:
    return metric(score.metric).scale == (0, 1) and value == 1


def _cards(evaluated: Evaluated, score: Score) -> list[str]:
    listed = _listed(evaluated, score)
    if listed is None:
        return sorted(evaluated.cards)
    items = _items(evaluated, listed)
    return sorted({item["card"] for item in items if _is_of(item, score) and "card" in item})


def _listed(evaluated: Evaluated, score: Score) -> ItemFile | None:
    task = task_of(score.task, direction=score.direction).name
    found = (f for f in evaluated.result.items if (f.task, f.metric) == (task, score.metric))
    return next(found, None)


def _items(evaluated: Evaluated, listed: ItemFile) -> Sequence[dict[str, Any]]:
    text = (evaluated.folder / listed.items).read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def _is_of(item: dict[str, Any], score: Score) -> bool:
    keys = ("language", "direction", "phase")
    return all(item[key] == getattr(score, key) for key in keys)


def _name(score: Score) -> str:
    """Return the name of what was asked: `translation.eng_Latn-hau_Latn`."""
    task = task_of(score.task, direction=score.direction).name
    parts = [task, (score.direction or score.language).replace(">", "-"), score.phase]
    return ".".join(part for part in parts if part)


def _result_id(score: Score) -> str:
    return f"{_name(score)}.{score.metric}"
