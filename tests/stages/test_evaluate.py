"""The evaluate stage on tiny artefacts: exact numbers, honest verdicts, the same bytes twice."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit, open_split
from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.errors import DataError, StoreError
from finetune.evaluate.parts import parts_of
from finetune.evaluate.run import run
from finetune.evaluate.score_table import table_rows
from finetune.models import kinds
from finetune.output.console import Console
from finetune.spec.recipe import Recipe
from tests.support.prepare_job import make_card
from tests.support.results import base_result, prepare_result, train_result
from tests.support.tiny import tiny_model, tiny_tokenizer, write_tiny_model

LANGUAGES = ("hau_Latn", "urd_Arab")
SEQUENCE = 64


def _document(tokenizer: Any, number: int) -> dict[str, Any]:
    """Even numbers are translations into Hausa, odd ones plain Urdu text."""
    if number % 2 == 0:
        prompt = f"<|im_start|>user\nThe cat {number}<|im_end|>\n<|im_start|>assistant\n"
        answer = f"Na gode {number}"
        head = tokenizer.encode(prompt)
        tail = [*tokenizer.encode(answer), tokenizer.eos_token_id]
        item = {"prompt": prompt, "reference": answer, "source": f"The cat {number}"}
        item |= {"direction": "eng_Latn>hau_Latn"}
        language, text_bytes = 0, len(answer.encode())
    else:
        text = f"شکریہ {number} <b>"
        head, tail = [], [*tokenizer.encode(text), tokenizer.eos_token_id]
        item = {"prompt": None, "reference": None, "source": None, "direction": None}
        language, text_bytes = 1, len(text.encode())
    item |= {"id": f"d{number}", "card": "toy", "language": LANGUAGES[language]}
    flags = [0] * len(head) + [1] * len(tail)
    flags[0] = 0
    return {
        "tokens": head + tail,
        "flags": flags,
        "item": item,
        "language": language,
        "bytes": text_bytes,
    }


def write_split(directory: Path, documents: list[dict[str, Any]]) -> None:
    """Pack documents greedily into rows of SEQUENCE tokens."""
    directory.mkdir(parents=True)
    rows: list[list[dict[str, Any]]] = [[]]
    for number, document in enumerate(documents):
        document["number"] = number
        if sum(len(d["tokens"]) for d in rows[-1]) + len(document["tokens"]) > SEQUENCE:
            rows.append([])
        rows[-1].append(document)
    shape = (len(rows), SEQUENCE)
    tokens, segments = np.zeros(shape, np.uint32), np.zeros(shape, np.int32)
    supervised, records = np.zeros(shape, np.uint8), []
    for r, row in enumerate(rows):
        start = 0
        for s, document in enumerate(row):
            length = len(document["tokens"])
            span = slice(start, start + length)
            tokens[r, span], segments[r, span] = document["tokens"], s + 1
            supervised[r, span] = document["flags"]
            count = sum(document["flags"])
            where = (document["number"], r, start, length, count)
            records.append((*where, document["bytes"], document["language"], 0))
            start += length
    np.save(directory / "tokens.npy", tokens)
    np.save(directory / "segments.npy", segments)
    np.save(directory / "supervised.npy", supervised)
    np.save(directory / "documents.npy", np.array(records, dtype=DOCUMENT_DTYPE))
    lines = [json.dumps(d["item"], ensure_ascii=False) + "\n" for row in rows for d in row]
    (directory / "items.jsonl").write_text("".join(lines), encoding="utf-8")


def write_adapter(directory: Path, *, scale: float) -> None:
    """Write a LoRA adapter whose B is random times `scale` (0: it changes nothing)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    adapted = get_peft_model(tiny_model(), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = scale * torch.randn_like(parameter)
    adapted.save_pretrained(directory)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


def make_job(root: Path, base: Path, *, scale: float, documents: int = 30, **evaluate: Any) -> Job:
    """Return the evaluate job of a recipe on tiny artefacts under `root`."""
    tokenizer = tiny_tokenizer()
    write_split(root / "prepare/test", [_document(tokenizer, n) for n in range(documents)])
    write_adapter(root / "train/adapter", scale=scale)
    (root / "train/loss.png").write_bytes(b"\x89PNG picture")
    recipe = Recipe.model_validate(
        {
            "name": "toy",
            "base": {"model": "./model", "hub_id": "org/tiny", "licence": "apache-2.0"},
            "corpora": [{"card": "toy"}],
            "prepare": {"sequence_tokens": SEQUENCE},
            "train": {"max_steps": 1, "batch_tokens": SEQUENCE},
            "evaluate": {"resamples": 200, "max_new_tokens": 8, "samples": 2} | evaluate,
            "release": {"repo": "org/toy"},
        }
    )
    trained = train_result(best_step=1, steps=1, supervised_tokens=10)
    prepared = prepare_result(languages=list(LANGUAGES), cards=["toy"], chat_template="model")
    inputs = {
        "base": Artifact("base", "b", base, base_result(parameters=90_000)),
        "prepare": Artifact("prepare", "p", root / "prepare", prepared),
        "train": Artifact("train", "t", root / "train", trained),
    }
    workspace = root / "evaluate"
    workspace.mkdir()
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={},
        inputs=inputs,
        workspace=workspace,
        console=Console(out=io.StringIO()),
    )


def _by(result: dict[str, Any], metric: str, language: str) -> dict[str, Any]:
    found = [c for c in result["comparisons"] if (c["metric"], c["language"]) == (metric, language)]
    assert len(found) == 1
    return found[0]


def _bits_per_byte_by_hand(documents: list[dict[str, Any]], adapter: Path | None) -> float:
    """Plain transformers (and PEFT), one document at a time."""
    from peft import PeftModel

    model = tiny_model()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    nats = 0.0
    for document in documents:
        ids = torch.tensor([document["tokens"]])
        with torch.no_grad():
            log_p = model(ids).logits.log_softmax(-1)[0]
        for at in range(1, len(document["tokens"])):
            if document["flags"][at]:
                nats -= float(log_p[at - 1, ids[0, at]])
    return nats / math.log(2) / sum(d["bytes"] for d in documents)


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
    documents = [_document(tiny_tokenizer(), n) for n in range(30)]
    for index, language in enumerate(LANGUAGES):
        mine = [d for d in documents if d["language"] == index]
        found = _by(result, "bits_per_byte", language)
        adapter = tmp_path / "train/adapter"
        assert found["n"] == 15
        assert found["base"] == pytest.approx(_bits_per_byte_by_hand(mine, None), rel=1e-5)
        assert found["adapter"] == pytest.approx(_bits_per_byte_by_hand(mine, adapter), rel=1e-5)
        assert found["adapter"] != pytest.approx(found["base"], rel=1e-4)


def test_an_adapter_that_changes_nothing_wins_nothing(tmp_path, base_folder):
    """With B = 0 every difference is exactly 0 with interval [0, 0], p = 1, and neither wins."""
    result = run(make_job(tmp_path, base_folder, scale=0.0, generate_items=6))
    assert len(result["comparisons"]) == 3
    for found in result["comparisons"]:
        assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
        assert found["p_value"] == 1
        assert found["better"] == "neither"


@pytest.mark.parametrize(("sign", "better"), [(-1, "adapter"), (1, "base")])
def test_the_better_system_wins(tmp_path, base_folder, sign, better):
    """One step down the loss makes the adapter better, one step up makes the base better."""
    job = make_job(tmp_path, base_folder, scale=0.0, generate_items=0)
    _step_along_gradient(tmp_path / "train/adapter", size=sign * 0.003)
    result = run(job)
    for found in result["comparisons"]:
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
        document = _document(tiny_tokenizer(), number)
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
    assert json.loads((job.workspace / "scores.json").read_text()) == result
    assert {s["system"] for s in result["scores"]} == {"base", "adapter"}
    assert all(s["signature"] and s["low"] <= s["value"] <= s["high"] for s in result["scores"])
    lines = (job.workspace / "generations.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["direction"] for r in records] == ["eng_Latn>hau_Latn"] * 4 + [None] * 2
    assert all(r["prompt"] and {"base", "adapter", "reference"} <= set(r) for r in records)
    page = (job.workspace / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert page.count('<i class="dot"') == len(result["scores"]) > 0
    assert 'dir="auto"' in page
    assert "&lt;b&gt;" in page  # a corpus cannot write into the page
    assert "<b>" not in page
    assert str(tmp_path) not in page
    assert "http" not in page.replace('<meta http-equiv="Content-Security-Policy"', "")


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
