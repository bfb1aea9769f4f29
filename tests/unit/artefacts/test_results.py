"""Results of stages: written as JSON, read back typed, refused in facts where they are forged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import (
    BaseResult,
    EvaluateResult,
    PrepareResult,
    ReleaseResult,
    TrainResult,
    VocabularyResult,
    as_json,
    parse_result,
    read_result,
)
from finetune.artefacts.scores import Score
from finetune.errors import StoreError
from finetune.pipeline.store import Store
from tests.support.artefacts import finished
from tests.support.problems import raises
from tests.support.results import base_result, prepare_result, train_result, vocabulary_result

FOLDER = Path("store/train/0123456789abcdef")
SCORE = Score("chrf++", "hau_Latn", "eng_Latn>hau_Latn", "base", 20.0, 18.5, 22.0, 90, "nc:6")
WHOLE = {
    BaseResult: base_result(),
    PrepareResult: prepare_result(
        subsets=[{"language": "hau_Latn", "card": "toy", "rows": 2, "tokens": 9, "bytes": 30}]
    ),
    TrainResult: train_result(
        history=[{"step": 2, "train_loss": math.nan, "bits_per_byte": {"hau_Latn": 2}}],
        energy={"kilowatt_hours": 0.01, "method": "RAPL"},
        mixture={"settings": {"by": "language"}, "intervals": [{"end": 4, "weights": [1, 3]}]},
    ),
    VocabularyResult: vocabulary_result(),
    ReleaseResult: {"repo": "org/toy", "licence": "mit", "files": {"README.md": "0" * 64}},
}


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
def test_a_result_is_read_back_as_it_was_written(kind: type[Any]) -> None:
    """Read, written and read again, a result has every value of its JSON."""
    result = parse_result(WHOLE[kind], kind, path=FOLDER)
    again = as_json(result)
    assert json.dumps({name: again[name] for name in WHOLE[kind]})  # none is lost
    assert json.dumps(as_json(parse_result(again, kind, path=FOLDER))) == json.dumps(again)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"steps": "4"}, "result.steps"),
        ({"tokens": None}, "result.tokens"),
        ({"history": [{"step": 1}]}, "result.history.0.train_loss"),
        ({"energy": {"kilowatt_hours": [], "method": ""}}, "result.energy.kilowatt_hours"),
        (
            {"mixture": {"settings": {}, "intervals": [{"end": 1}]}},
            "result.mixture.intervals.0.weights",
        ),
    ],
)
def test_a_forged_value_is_refused_with_file_key_and_remedy(
    change: dict[str, Any], key: str
) -> None:
    """Another type, or a key that is gone, is a StoreError that names the place."""
    place = f"{FOLDER}/manifest.json: {key}"
    with raises(StoreError, code="unreadable-result", at=place) as refused:
        read_result(Artifact("train", FOLDER.name, FOLDER, train_result(**change)), TrainResult)
    assert f"--remove train/{FOLDER.name}" in str(refused.value.problems[0].facts["remedy"])


@pytest.mark.parametrize("kind", [BaseResult, PrepareResult, TrainResult, EvaluateResult])
def test_an_empty_result_is_refused(kind: type[Any]) -> None:
    """Fields that every version recorded have no default."""
    with pytest.raises(StoreError):
        parse_result({}, kind, path=FOLDER)


def test_what_older_versions_did_not_record_has_a_default() -> None:
    """A training of before data mixtures, ranks and energy is read; newer keys are ignored."""
    result = parse_result(train_result(later="x"), TrainResult, path=FOLDER)
    assert (result.ranks, result.sharding, result.energy, result.mixture) == (1, "none", None, None)
    assert result.seen is None


def test_optional_facts_are_omitted_of_scores() -> None:
    """`task`, `split` and `extension` are in the file only where they say something."""
    written = as_json(EvaluateResult((SCORE,), comparisons=()))
    assert set(written) == {"scores", "comparisons"}
    assert not {"task", "split"} & set(written["scores"][0])


def test_scores_are_rows_of_a_data_frame() -> None:
    """Every score has the same columns of plain values, the optional ones included."""
    row = asdict(SCORE)
    assert (row["task"], row["split"], row["n"]) == (None, "test", 90)
    assert all(isinstance(value, str | int | float | None) for value in row.values())


def test_a_store_passes_over_a_result_that_cannot_be_read(tmp_path: Path) -> None:
    """Listing the others goes on, with one warning for the forged one."""
    for key, result in (("a", train_result()), ("b", {"steps": 4})):
        finished(tmp_path / "train" / (key * 16), result=result)
    warnings: list[str] = []
    store = Store(tmp_path, warn=warnings.append)
    for _ in range(2):
        [(artifact, _, result)] = store.results("train", TrainResult)
        assert (artifact.key, result.steps) == ("a" * 16, 4)
    assert len(warnings) == 1
