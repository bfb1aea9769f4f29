"""The base with examples: a yardstick on the items of base and adapter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.artefacts.items import read_items
from finetune.artefacts.packed_split import open_split
from finetune.evaluate import base_and_adapter, examples
from finetune.evaluate.examples import library_of
from finetune.evaluate.parts import parts_of
from finetune.evaluate.run import run
from finetune.evaluate.training_pairs import training_pairs
from tests.support.evaluate_job import LANGUAGES, make_job
from tests.support.tiny import tiny_model, tiny_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


def _items(tmp_path):
    split = open_split(tmp_path / "prepare/test", languages=LANGUAGES, cards=("toy",))
    return [one for one in read_items(tmp_path / "prepare/test", split) if one.direction]


def test_pairs_are_those_of_the_training_split(tmp_path, base_folder):
    """Question and answer of each translation, in the order of hashes; plain texts are none."""
    job = make_job(tmp_path, base_folder, scale=0.0)
    pairs = list(training_pairs(job, language="hau_Latn"))
    assert pairs == [(f"The cat {n}", f"Na gode {n}") for n in range(30, 60, 2)]
    assert list(training_pairs(job, language="urd_Arab")) == []


def test_the_nearest_pairs_stand_last_in_the_prompt_and_never_the_item_itself(
    tmp_path, base_folder
):
    """Few-shot turns as the template lays them out; what does not fit is the least near."""
    job = make_job(tmp_path, base_folder, scale=0.0)
    [item, *_] = _items(tmp_path)
    near = replace(item, source="The cat 44 5", prompt=item.prompt.replace("cat 0", "cat 44 5"))
    itself = replace(item, source="The cat 44", prompt=item.prompt.replace("cat 0", "cat 44"))
    [part] = parts_of(job)
    library = library_of(job, part, tiny_tokenizer(), [near, itself, item])
    expected = (
        "<|im_start|>user\nThe cat 44<|im_end|>\n<|im_start|>assistant\nNa gode 44<|im_end|>\n"
        "<|im_start|>user\nThe cat 44 5<|im_end|>\n<|im_start|>assistant\n"
    )
    prompt = library.prompt(near, count=2, fits=lambda _: True)
    assert prompt.endswith(expected)
    assert prompt.count("Na gode") == 2
    assert library.prompt(near, count=2, fits=lambda text: text.count("gode") < 2) == expected
    assert library.prompt(near, count=2, fits=lambda _: False) is None
    assert "Na gode 44<" not in library.prompt(itself, count=15, fits=lambda _: True)


def test_its_scores_are_those_of_the_same_targets_after_examples(tmp_path, base_folder):
    """Bits equal a direct computation on prompt and answer; plain texts have no such score."""
    job = make_job(tmp_path, base_folder, scale=0.0, examples=2, generate_items=4)
    result = run(job)
    with_examples = {
        (s["metric"], s["language"]): s for s in result["scores"] if s["system"] == "examples"
    }
    assert set(with_examples) == {
        ("bits_per_byte", "hau_Latn"),
        ("end_mark_bits", "hau_Latn"),
        ("chrf++", "hau_Latn"),
        ("chrf++_plain", "hau_Latn"),
        ("fidelity", "hau_Latn"),
        ("repetition_rate", "hau_Latn"),
        ("copy_rate", "hau_Latn"),
    }
    score = with_examples["bits_per_byte", "hau_Latn"]
    assert "examples:2,retrieval:chr" in score["signature"]
    model, tokenizer, nats, size = tiny_model(), tiny_tokenizer(), 0.0, 0
    items = _items(tmp_path)
    library = library_of(job, parts_of(job)[0], tokenizer, items)
    for item in items:
        context = tokenizer.encode(library.prompt(item, count=2, fits=lambda _: True))
        target = tokenizer.encode(item.reference)
        with torch.no_grad():
            logits = model(torch.tensor([context + target])).logits[0].log_softmax(-1)
        for place, token in enumerate(target):
            nats -= float(logits[len(context) + place - 1, token])
        size += len(item.reference.encode())
    assert score["value"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)
    tests = [t for t in result["comparisons"] if t["metric"] != "end_mark_bits"]
    named = {t["language"]: [r["name"] for r in t["rivals"]] for t in tests}
    assert "examples" in named["hau_Latn"]
    assert "examples" not in named["urd_Arab"]


def test_without_examples_there_is_no_such_yardstick(tmp_path, base_folder):
    """`examples: 0`: only the other yardsticks are asked."""
    result = run(make_job(tmp_path, base_folder, scale=0.0, examples=0, generate_items=2))
    assert "examples" not in {score["system"] for score in result["scores"]}
    assert all("examples:0" in score["signature"] for score in result["scores"])


def test_training_pairs_are_decoded_once(tmp_path, base_folder, constants):
    """Scores and texts after examples, in many shards, take them from one index."""
    decoded = []

    def noting(job, *, language, cards):
        decoded.append((language, cards))
        return training_pairs(job, language=language, cards=cards)

    constants(examples, training_pairs=noting)
    constants(base_and_adapter, SHARD_ITEMS={"cpu": 4, "cuda": 4})
    run(make_job(tmp_path, base_folder, scale=0.0, examples=2, generate_items=8))
    assert decoded == [("hau_Latn", None)]
