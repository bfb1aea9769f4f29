"""Yardsticks on the items of base and adapter: an n-gram model of what was seen, and a copy."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.artefacts.drawn_rows import rows_seen
from finetune.artefacts.packed_split import open_split
from finetune.evaluate import yardsticks
from finetune.evaluate.parts import parts_of
from finetune.evaluate.run import run
from finetune.evaluate.tasks import held_out_text
from finetune.evaluate.yardsticks import texts_seen
from finetune.statistics.byte_ngrams import count, nats_of
from tests.support.evaluate_job import LANGUAGES, SEQUENCE, make_job
from tests.support.results import train_result
from tests.support.tiny import tiny_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


def _trained(job, *, steps):
    """Return a job whose adapter was released at a step, with two rows per step."""
    train = job.recipe.train.model_copy(update={"batch_tokens": 2 * SEQUENCE, "max_steps": 9})
    recipe = job.recipe.model_copy(update={"train": train})
    result = train_result(best_step=steps, steps=9, supervised_tokens=10)
    artefact = replace(job.inputs["train"], result=result)
    phase = recipe.training_phases[0]
    return replace(job, recipe=recipe, phase=phase, inputs=job.inputs | {"train": artefact})


def _test_text(number: int) -> bytes:
    return (f"Na gode {number}" if number % 2 == 0 else f"شکریہ {number} <b>").encode()


def test_the_n_gram_model_counts_the_texts_of_the_rows_that_were_drawn(tmp_path, base_folder):
    """Until the released step, each text once: those of the rows, in the order of hashes."""
    job = _trained(make_job(tmp_path, base_folder, scale=0.0), steps=3)
    split = open_split(tmp_path / "prepare/train", languages=LANGUAGES, cards=("toy",))
    rows = rows_seen(job, split, steps=3)
    assert len(rows) == 6 < split.num_rows
    documents = split.documents_D
    inside = documents[np.isin(documents["row"], rows) & (documents["language"] == 1)]
    numbers = sorted(30 + int(number) for number in inside["document"])
    found = list(texts_seen(job, "urd_Arab", tokenizer=tiny_tokenizer()))
    assert found == [_test_text(number) for number in numbers]


def test_its_bits_are_those_of_the_same_texts(tmp_path, base_folder):
    """Scores of the yardstick are bits per byte of the test texts, end mark apart."""
    job = _trained(make_job(tmp_path, base_folder, scale=0.0, generate_items=0), steps=3)
    result = run(job)
    for language, first in (("hau_Latn", 0), ("urd_Arab", 1)):
        texts = [_test_text(number) for number in range(first, 30, 2)]
        model = count(list(texts_seen(job, language, tokenizer=tiny_tokenizer())))
        bits, marks = nats_of(model, texts).sum(axis=0) / math.log(2)
        scores = {
            (s["metric"], s["system"]): s["value"]
            for s in result["scores"]
            if s["language"] == language
        }
        assert scores["bits_per_byte", "ngram"] == pytest.approx(bits / sum(map(len, texts)))
        assert scores["end_mark_bits", "ngram"] == pytest.approx(marks / len(texts))


def test_the_n_gram_model_of_a_language_is_counted_once(tmp_path, base_folder, constants):
    """In a recipe with phases it scores the test texts of each, and is the same model."""
    job = _trained(make_job(tmp_path, base_folder, scale=0.0), steps=3)
    counted = []

    def noting(texts):
        counted.append(len(texts))
        return count(texts)

    constants(yardsticks, count=noting)
    [part] = parts_of(job)
    groups = held_out_text.groups(job, part)
    first = yardsticks.by_ngrams(job, part, groups)
    assert yardsticks.by_ngrams(job, replace(part, phase="second"), groups) == first
    assert len(counted) == len(groups) == 2


def test_an_adapter_behind_the_n_gram_model_is_never_better_and_the_page_says_so_first(
    tmp_path, base_folder
):
    """A random adapter against texts that are alike: the warning is above all scores."""
    job = _trained(make_job(tmp_path, base_folder, scale=0.05, documents=110), steps=9)
    result = run(job)
    tests = [t for t in result["comparisons"] if t["metric"] == "bits_per_byte"]
    assert {t["better"] for t in tests} <= {"neither", "base"}
    page = (job.workspace / "report.html").read_text()
    begin = page.index("</h1>")
    first = page[begin:].replace("<!-- first lines -->\n", "", 1)
    assert first.startswith("</h1>\n<p><strong>The adapter predicts held-out text")
    assert "Hausa" in page[begin : page.index("</strong>")]


def test_the_copy_is_the_source(tmp_path, base_folder):
    """chrF++ of the copy is that of the sources as translations."""
    from sacrebleu import CHRF

    result = run(make_job(tmp_path, base_folder, scale=0.0, generate_items=6))
    lines = (tmp_path / "evaluate/generations.jsonl").read_text().splitlines()
    items = [one for one in map(json.loads, lines) if one["direction"]]
    expected = CHRF(word_order=2).corpus_score(
        [one["source"] for one in items], [[one["reference"] for one in items]]
    )
    [copy] = [s for s in result["scores"] if (s["system"], s["metric"]) == ("copy", "chrf++")]
    assert copy["value"] == pytest.approx(expected.score)
