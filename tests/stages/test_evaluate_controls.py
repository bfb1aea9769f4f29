"""Controls of an evaluation: use of the source, forgetting, divergence from the base."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.evaluate.run import run
from tests.support.evaluate_job import make_job
from tests.support.tiny import tiny_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, base_folder: Path):
    """Return workspace and result of an evaluation of an adapter that changes something."""
    root = tmp_path_factory.mktemp("evaluated")
    job = make_job(
        root, base_folder, scale=0.05, generate_items=0, control_items=9, kl_prompts=4, examples=0
    )
    return job.workspace, run(job)


def _scores(result, metric):
    return {
        (one["language"], one["system"]): one for one in result["scores"] if one["metric"] == metric
    }


def _statistics(workspace, result, metric):
    """Return the statistics of the items of a metric by system."""
    [of] = [each for each in result["items"] if each["metric"] == metric]
    arrays = np.load(workspace / of["scores"])
    return dict(zip(of["systems"], arrays, strict=True))


def test_the_controls_are_shown_and_nothing_is_claimed_from_them(evaluated):
    """Each has base and adapter, its task and number of items, and no winner."""
    _, result = evaluated
    found = {
        (t["task"], t["metric"], t["language"]): t for t in result["comparisons"] if "task" in t
    }
    assert set(found) == {
        ("wrong_source", "source_bits", "hau_Latn"),
        ("wrong_source", "choice_accuracy", "hau_Latn"),
        ("forgetting", "forgetting_bits", "eng_Latn"),
        ("kl", "kl_per_token", "eng_Latn"),
        ("kl", "kl_per_token", "fra_Latn"),
    }
    assert {test["better"] for test in found.values()} == {"neither"}
    assert found["wrong_source", "source_bits", "hau_Latn"]["n"] == 9
    assert found["wrong_source", "source_bits", "hau_Latn"]["direction"] == "eng_Latn>hau_Latn"
    assert found["forgetting", "forgetting_bits", "eng_Latn"]["n"] == 9
    assert found["kl", "kl_per_token", "fra_Latn"]["n"] == 2


def test_bits_with_the_right_source_are_those_of_the_held_out_texts(
    tmp_path, base_folder, evaluated
):
    """The same targets given the same prompts, by another way."""
    from finetune.artefacts.items import read_items
    from finetune.artefacts.packed_split import open_split
    from finetune.evaluate.tasks.wrong_source import arranged
    from tests.support.evaluate_job import LANGUAGES

    workspace, result = evaluated
    folder = workspace.parent / "prepare/test"
    split = open_split(folder, languages=LANGUAGES, cards=("toy",))
    items = [item for item in read_items(folder, split) if item.direction][:9]
    lines = (workspace / "items/held_out_text.jsonl").read_text().splitlines()
    documents = [json.loads(line)["document"] for line in lines]
    whole = _statistics(workspace, result, "bits_per_byte")["adapter"]
    from finetune.evaluate.measuring.loaded_systems import Systems
    from finetune.evaluate.parts import parts_of
    from finetune.evaluate.tasks.wrong_source import answer
    from finetune.spec.tables.task import Group

    job = make_job(tmp_path, base_folder, scale=0.05, generate_items=0)
    adapter = Systems(job).get("adapter")
    group = Group(language="hau_Latn", items=arranged(items))
    [found] = answer(job, adapter, parts_of(job)[0], [group])
    for item, one in zip(group.items, found, strict=True):
        bits, size = whole[documents.index(item.id)]
        assert one.right_nats / math.log(2) == pytest.approx(bits, rel=1e-4)
        assert one.size_bytes == size


def test_forgetting_is_measured_on_the_sources_as_texts(base_folder, evaluated):
    """Bits of the base equal a direct computation on the other side of the pairs."""
    from finetune.models.load import load_base

    _, result = evaluated
    tokenizer, model = tiny_tokenizer(), load_base(base_folder / "model", precision="fp32")
    nats = size = 0.0
    for number in range(0, 18, 2):
        ids = tokenizer.encode(f"The cat {number}")
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        nats -= sum(float(logits[k, ids[k + 1]]) for k in range(len(ids) - 1))
        size += len(tokenizer.decode(ids[1:]).encode())
    base = _scores(result, "forgetting_bits")["eng_Latn", "base"]
    assert base["value"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)


def test_the_divergence_equals_a_direct_computation(base_folder, evaluated):
    """The mean over the distributions after each prompt and along what the base writes."""
    from peft import PeftModel

    from finetune.evaluate.tasks.kl import everyday_prompts
    from finetune.models.load import load_base

    workspace, result = evaluated
    tokenizer, model = tiny_tokenizer(), load_base(base_folder / "model", precision="fp32")
    adapted = PeftModel.from_pretrained(model, workspace.parent / "train/adapter").eval()
    total = count = 0.0
    for prompt in [text for language, text in everyday_prompts() if language == "fra_Latn"][:2]:
        asked = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer.encode(asked)
        start = len(ids)
        with torch.no_grad(), adapted.disable_adapter():
            for _ in range(64):
                following = int(adapted(torch.tensor([ids])).logits[0, -1].argmax())
                if following == tokenizer.eos_token_id:
                    break
                ids.append(following)
        written = tokenizer.encode(tokenizer.decode(ids[start:], skip_special_tokens=True).strip())
        ids = torch.tensor([ids[:start] + written])
        with torch.no_grad():
            with adapted.disable_adapter():
                base = adapted(ids).logits[0, start - 1 :].double().log_softmax(-1)
            other = adapted(ids).logits[0, start - 1 :].double().log_softmax(-1)
        total += float((base.exp() * (base - other)).sum())
        count += len(base)
    scores = _scores(result, "kl_per_token")
    assert scores["fra_Latn", "adapter"]["value"] == pytest.approx(total / count, rel=1e-3)
    assert scores["fra_Latn", "adapter"]["value"] > 0
    assert scores["fra_Latn", "base"]["value"] == 0


def test_an_adapter_that_changes_nothing_diverges_by_nothing(tmp_path, base_folder):
    """B = 0: the divergence is 0 and every control is that of the base."""
    settings = {"generate_items": 0, "control_items": 8, "kl_prompts": 2, "examples": 0}
    result = run(make_job(tmp_path, base_folder, scale=0.0, **settings))
    assert {s["value"] for s in result["scores"] if s["metric"] == "kl_per_token"} == {0.0}
    tests = [t for t in result["comparisons"] if t.get("task") in ("wrong_source", "forgetting")]
    assert [t["difference"] for t in tests] == [pytest.approx(0, abs=1e-6)] * 3


def test_controls_can_be_switched_off(tmp_path, base_folder):
    """`control_items: 0` and `kl_prompts: 0`: only held-out text and translation are asked."""
    settings = {"generate_items": 0, "control_items": 0, "kl_prompts": 0, "examples": 0}
    result = run(make_job(tmp_path, base_folder, scale=0.0, **settings))
    assert all("task" not in score for score in result["scores"])
