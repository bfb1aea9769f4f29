"""New tokens under several processes: trained as by one, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from finetune.artefacts.job import Artifact
from finetune.train.run import run
from tests.ranks.launch import train
from tests.support.results import base_result, prepare_result
from tests.support.training_job import CARDS, LANGUAGES, make_job, write_inputs, write_vocabulary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SETTINGS: dict[str, Any] = {"run": {"micro_batch_size": 1}}


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """One process alone, and two with every sharding."""
    root = tmp_path_factory.mktemp("rows")
    write_inputs(root / "inputs", tie_word_embeddings=False)
    vocabulary = write_vocabulary(root / "inputs")
    prepared = prepare_result(languages=list(LANGUAGES), cards=list(CARDS))
    inputs = {
        "base": Artifact("base", "b", root / "inputs/base", base_result()),
        "prepare": Artifact("prepare", "p", root / "inputs/prepare", prepared),
        "vocabulary": vocabulary,
    }
    run(make_job(root / "alone", inputs, **SETTINGS))
    run(make_job(root / "alone-plus", inputs, lora={"loraplus_lr_ratio": 4.0}, **SETTINGS))
    asked = [
        {
            "workspace": str(root / name),
            "inputs": str(root / "inputs"),
            "train": {"sharding": name},
        }
        | SETTINGS
        for name in ("ddp", "zero1", "zero2", "zero3", "fsdp")
    ]
    asked[1]["lora"] = {"loraplus_lr_ratio": 4.0}  # one more group of parameters
    found = train(root / "launch", asked, ranks=2)
    return root, dict(zip(("ddp", "zero1", "zero2", "zero3", "fsdp"), found, strict=True))


@pytest.mark.parametrize("sharding", ["ddp", "zero1", "zero2"])
def test_two_ranks_train_the_rows_that_one_does(launched, sharding):
    """Adapter and new rows, in embedding and head, agree to float32 rounding."""
    root, results = launched
    assert results[sharding]["sharding"] == sharding
    file = "adapter/adapter_model.safetensors"
    alone = root / ("alone-plus" if sharding == "zero1" else "alone")
    one, two = load_file(alone / file), load_file(root / sharding / file)
    assert one.keys() == two.keys()
    assert sum("trainable_tokens" in name for name in one) == 2
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 2e-5


@pytest.mark.parametrize("sharding", ["zero3", "fsdp"])
def test_a_split_embedding_is_refused(launched, sharding):
    """ZeRO-3 and FSDP, which split the embedding, are refused before anything is trained."""
    _, results = launched
    assert results[sharding]["error"] == "RecipeError"
    assert results[sharding]["codes"] == ["sharding-refused"]
