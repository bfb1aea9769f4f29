"""The evaluate stage on tiny artefacts: exact numbers, honest verdicts, the same bytes twice."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.artefacts.items import Item
from finetune.artefacts.packed_split import PackedSplit, open_split
from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.errors import DataError, StoreError
from finetune.evaluate.parts import parts_of
from finetune.evaluate.run import run
from finetune.evaluate.score_table import table_rows
from finetune.models import kinds
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import metric
from tests.support.evaluate_job import LANGUAGES, document_of, make_job
from tests.support.prepare_job import make_card
from tests.support.tiny import tiny_model, tiny_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


def _by(result: dict[str, Any], metric: str, language: str) -> dict[str, Any]:
    found = [c for c in result["comparisons"] if (c["metric"], c["language"]) == (metric, language)]
    assert len(found) == 1
    return found[0]


def _bits_by_hand(documents: list[dict[str, Any]], adapter: Path | None) -> tuple[float, float]:
    """Bits per byte and bits of the end mark, by transformers and PEFT, document by document."""
    from peft import PeftModel

    model = tiny_model()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    nats, marks = 0.0, 0.0
    for document in documents:
        ids = torch.tensor([document["tokens"]])
        with torch.no_grad():
            log_p = model(ids).logits.log_softmax(-1)[0]
        for at in range(1, len(document["tokens"])):
            if document["flags"][at] and at + 1 == len(document["tokens"]):
                marks -= float(log_p[at - 1, ids[0, at]])
            elif document["flags"][at]:
                nats -= float(log_p[at - 1, ids[0, at]])
    size_bytes = sum(d["bytes"] for d in documents)
    return nats / math.log(2) / size_bytes, marks / math.log(2) / len(documents)


def test_test_texts_are_opened_by_the_kind_of_the_base(tmp_path, base_folder, constants):
    """The row of the table that takes the base opens the prepared test split."""
    opened = []

    def noted(directory: Path, **names: Any) -> PackedSplit:
        opened.append(directory.name)
        return open_split(directory, **names)

    constants(kinds, KINDS=(replace(kinds.CAUSAL, open_split=noted),))
    (part,) = parts_of(make_job(tmp_path, base_folder, scale=0.0))
    assert opened == ["test"]
    first = part.items.index(next(i for i in part.items if i.id == "d1"))
    expected = [*tiny_tokenizer().encode("شکریہ 1 <b>"), tiny_tokenizer().eos_token_id]
    assert part.splits["adapter"].token_ids_of(first) == expected


def test_bits_per_byte_equal_a_hand_computation(tmp_path, base_folder):
    """Base and adapter score as plain transformers and PEFT do, document by document."""
    job = make_job(tmp_path, base_folder, scale=0.05, generate_items=0)
    result = run(job)
    documents = [document_of(tiny_tokenizer(), n) for n in range(30)]
    for index, language in enumerate(LANGUAGES):
        mine = [d for d in documents if d["language"] == index]
        found = _by(result, "bits_per_byte", language)
        adapter = tmp_path / "train/adapter"
        marks = _by(result, "end_mark_bits", language)
        assert found["n"] == marks["n"] == 15
        for system, weights in (("base", None), ("adapter", adapter)):
            both = _bits_by_hand(mine, weights)
            assert (found[system], marks[system]) == pytest.approx(both, rel=1e-5)
        assert found["adapter"] != pytest.approx(found["base"], rel=1e-4)


def test_an_adapter_that_changes_nothing_wins_nothing(tmp_path, base_folder):
    """With B = 0 every difference is exactly 0 with interval [0, 0], p = 1, and neither wins."""
    result = run(make_job(tmp_path, base_folder, scale=0.0, generate_items=6))
    assert len(result["comparisons"]) == 9
    for found in result["comparisons"]:
        assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
        assert found["p_value"] == 1
        assert found["better"] == "neither"


@pytest.mark.parametrize(("sign", "better"), [(-1, "adapter"), (1, "base")])
def test_the_better_system_wins(tmp_path, base_folder, sign, better):
    """One step down the loss makes the adapter better, one step up makes the base better."""
    sizes = {"documents": 110, "trained": 0}  # without training texts there is no n-gram model
    job = make_job(tmp_path, base_folder, scale=0.0, **sizes, generate_items=0)
    _step_along_gradient(tmp_path / "train/adapter", size=sign * 0.01)
    result = run(job)
    for language in LANGUAGES:
        assert _by(result, "end_mark_bits", language)["better"] == "neither"
        found = _by(result, "bits_per_byte", language)
        assert found["better"] == better
        assert (found["difference"] < 0) == (better == "adapter")
        assert found["p_value"] < 0.05
    pairs = parse_result(result, EvaluateResult, path=job.workspace).pairs
    shown = " ".join(cell for row in table_rows(pairs) for cell in row)
    assert f"{better} better" in shown


def _step_along_gradient(adapter: Path, *, size: float) -> None:
    from peft import PeftModel

    model = PeftModel.from_pretrained(tiny_model(), adapter, is_trainable=True)
    for number in range(30):
        document = document_of(tiny_tokenizer(), number)
        ids = torch.tensor([document["tokens"]])
        labels = ids.masked_fill(torch.tensor([document["flags"]]) == 0, -100)
        model(input_ids=ids, labels=labels).loss.backward()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            assert parameter.grad is not None
            parameter.data = size * parameter.grad.sign()
    model.save_pretrained(adapter)


def test_the_same_inputs_give_the_same_bytes(tmp_path, base_folder):
    """Two evaluations write identical scores.json, generations.jsonl and report.html."""
    workspaces = []
    for name in ("one", "two"):
        job = make_job(tmp_path / name, base_folder, scale=0.05, generate_items=4)
        run(job)
        workspaces.append(job.workspace)
    for file in ("scores.json", "generations.jsonl", "report.html"):
        assert (workspaces[0] / file).read_bytes() == (workspaces[1] / file).read_bytes()


def test_what_is_written(tmp_path, base_folder):
    """scores.json is the result; generations hold both systems; the report is one safe page."""
    job = make_job(tmp_path, base_folder, scale=0.05, generate_items=4)
    result = run(job)
    written = json.loads((job.workspace / "scores.json").read_text())
    assert written | {"energy": result["energy"]} == result  # energy differs every time
    assert {s["system"] for s in result["scores"]} == {
        "base",
        "adapter",
        "ngram",
        "copy",
        "examples",
    }
    assert all(s["signature"] and s["low"] <= s["value"] <= s["high"] for s in result["scores"])
    lines = (job.workspace / "generations.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["direction"] for r in records] == ["eng_Latn>hau_Latn"] * 4 + [None] * 2
    assert all(r["prompt"] and {"base", "adapter", "reference"} <= set(r) for r in records)
    page = (job.workspace / "report.html").read_text()
    assert "data:image/png;base64," in page
    in_charts = [s for s in result["scores"] if metric(s["metric"]).table == "scores"]
    assert page.count('<i class="dot"') == len(in_charts) > 0
    assert 'dir="auto"' in page
    assert "&lt;b&gt;" in page  # a corpus cannot write into the page
    assert "<b>" not in page
    assert str(tmp_path) not in page
    assert "http" not in page.replace('<meta http-equiv="Content-Security-Policy"', "")


def test_generations_are_cut_where_references_end():
    """At the 99th percentile of their lengths and an end mark, or at the recipe's limit if less."""
    from finetune.evaluate.base_and_adapter import most_tokens

    tokenizer, texts = tiny_tokenizer(), ["na gode " * times for times in (1, 2, 3)]
    items = [Item("i", "toy", "hau_Latn", "p", text, None, None) for text in texts]
    longest = max(len(tokenizer.encode(text)) for text in texts)
    for limit, expected in ((500, longest + 1), (5, 5)):
        assert most_tokens(items, tokenizer, Evaluate(max_new_tokens=limit)) == expected
    assert most_tokens([], tokenizer, Evaluate(max_new_tokens=7)) == 7


def test_document_bound_is_per_language(tmp_path, base_folder):
    """max_documents keeps that many documents of every language."""
    job = make_job(tmp_path, base_folder, scale=0.0, generate_items=0, max_documents=4)
    assert {c["n"] for c in run(job)["comparisons"]} == {4}


def test_nothing_to_evaluate_on_is_said(tmp_path, base_folder):
    """A test split without text is a DataError that names the setting."""
    job = make_job(tmp_path, base_folder, scale=0.0, documents=1)
    records = np.load(tmp_path / "prepare/test/documents.npy")
    records["supervised_bytes"] = 0
    np.save(tmp_path / "prepare/test/documents.npy", records)
    with pytest.raises(DataError) as refused:
        run(job)
    assert refused.value.codes == ("empty-test-split",)


def test_cards_without_a_test_get_no_score_and_no_claim(tmp_path, base_folder):
    """With `test: none` on every card the evaluation ends without scores, and its page says so."""
    job = make_job(tmp_path, base_folder, scale=0.0, documents=1)
    for path in (tmp_path / "prepare/test").glob("*.npy"):
        np.save(path, np.load(path)[:0])
    (tmp_path / "prepare/test/items.jsonl").write_text("")
    card = make_card(tmp_path / "cards", "toy", "Ina kwana?", test="none")
    result = run(replace(job, cards={"toy": card}))
    assert (list(result["scores"]), list(result["comparisons"])) == ([], [])
    assert "were not compared" in (job.workspace / "report.html").read_text()


def test_items_that_do_not_fit_the_split_are_refused(tmp_path, base_folder):
    """An items.jsonl with a line too few is a StoreError, never a shifted pairing."""
    job = make_job(tmp_path, base_folder, scale=0.0, documents=3)
    path = tmp_path / "prepare/test/items.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StoreError) as refused:
        run(job)
    facts = refused.value.problems[0].facts
    assert (facts["items"], facts["documents"]) == (2, 3)
