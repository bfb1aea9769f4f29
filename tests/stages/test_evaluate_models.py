"""Other models that a recipe names: asked the same items, shown beside, deciding nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.compose.composed import Asked, compose
from finetune.compose.composed_parts import Part, checked_parts
from finetune.compose.methods import METHODS
from finetune.errors import RecipeError
from finetune.evaluate.run import run
from finetune.evaluate.score_table import show_scores
from finetune.models.decode.next_tokens import Decoding
from finetune.models.decode.translation_models import refuse_unfit, translate
from finetune.models.intact import inspect
from finetune.output.console import Console
from tests.support.compared_models import with_models, write_translation_model
from tests.support.evaluate_job import make_job
from tests.support.tiny import write_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders with `model/`: the base, another causal model, and a translation model."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root / "base/model")
    write_tiny_model(root / "other/model", kind="qwen2")
    write_translation_model(root / "nllb/model")
    return {name: root / name for name in ("base", "other", "nllb")}


@pytest.fixture(scope="module")
def evaluated(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict, dict]:
    """Return the folder with models, and the results with and without them."""
    alone, beside = (tmp_path_factory.mktemp(name) for name in ("alone", "beside"))
    without = run(make_job(alone, models["base"], scale=0.5))
    job = make_job(beside, models["base"], scale=0.5)
    both = {name: models[name] for name in ("other", "nllb")}
    return job.workspace, run(with_models(job, **both)), without


def test_scores_and_verdicts_stay_as_they_are(evaluated) -> None:
    """Whatever other models answer, base, adapter and yardsticks have the same results."""
    _, with_them, without = evaluated
    assert with_them["scores"] == without["scores"]
    assert with_them["comparisons"] == without["comparisons"]
    assert "models" not in without


def test_a_causal_model_has_both_scores_and_a_translation_model_chrf(evaluated) -> None:
    """An encoder-decoder is asked for translations alone; plain texts are no one's."""
    _, result, _ = evaluated
    found = {(one["model"], one["test"]["metric"]) for one in result["models"]}
    assert found == {("other", "bits_per_byte"), ("other", "chrf++"), ("nllb", "chrf++")}
    assert {one["test"]["language"] for one in result["models"]} == {"hau_Latn"}


def test_their_scores_can_be_recomputed_from_the_file_per_item(evaluated) -> None:
    """The statistics of each item stand beside those of base and adapter."""
    folder, result, _ = evaluated
    [listed] = [one for one in result["items"] if one["metric"] == "bits_per_byte"]
    array_SNK = np.load(folder / listed["scores"])
    lines = [
        json.loads(line) for line in (folder / listed["items"]).read_text("utf-8").splitlines()
    ]
    mine = [n for n, line in enumerate(lines) if line["language"] == "hau_Latn"]
    bits, size = array_SNK[listed["systems"].index("model:other"), mine].sum(axis=0)
    [one] = [m for m in result["models"] if m["test"]["metric"] == "bits_per_byte"]
    assert bits / size == pytest.approx(one["test"]["base"])
    assert one["test"]["difference"] == pytest.approx(one["test"]["adapter"] - bits / size)


def test_their_translations_stand_beside_the_others(evaluated) -> None:
    """In generations.jsonl, for speakers to judge; other items have those of base and adapter."""
    folder, _, _ = evaluated
    lines = (folder / "generations.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    asked = [one for one in records if one["direction"]]
    assert asked
    assert all(set(one["models"]) == {"other", "nllb"} for one in asked)
    assert not [one for one in records if not one["direction"] and "models" in one]


def test_the_base_as_another_model_has_the_scores_of_the_base(tmp_path, models) -> None:
    """Prompts laid out again, tokenized again and scored alone give the same bits and texts."""
    result = run(with_models(make_job(tmp_path, models["base"], scale=0.5), same=models["base"]))
    bases = {
        s["metric"]: s["value"]
        for s in result["scores"]
        if s["system"] == "base" and s["language"] == "hau_Latn"
    }
    for one in result["models"]:
        assert one["test"]["base"] == pytest.approx(bases[one["test"]["metric"]], rel=1e-5)


def test_the_adapter_as_another_adapter_of_the_base_has_the_scores_of_the_adapter(
    tmp_path, models
) -> None:
    """On the recipe's base and on a model of its own: the same weights give the same scores."""
    job = make_job(tmp_path, models["base"], scale=0.5)
    mine = job.inputs["train"].path
    (tmp_path / "own").mkdir()
    (tmp_path / "own/model").symlink_to(models["base"] / "model")
    (tmp_path / "own/adapter").symlink_to(mine / "adapter")
    result = run(with_models(job, adapters=("again", "own"), again=mine, own=tmp_path / "own"))
    found = {(one["model"], one["test"]["metric"]) for one in result["models"]}
    assert found == {(n, m) for n in ("again", "own") for m in ("bits_per_byte", "chrf++")}
    for one in result["models"]:
        assert one["test"]["base"] == pytest.approx(one["test"]["adapter"], rel=1e-5)
    base = {s["metric"]: s["value"] for s in result["scores"] if s["system"] == "base"}
    assert result["models"][0]["test"]["base"] != pytest.approx(base["bits_per_byte"], rel=1e-3)


def test_a_composed_adapter_is_evaluated_like_any_other(tmp_path, models) -> None:
    """Two halves of the adapter have its scores, half of it has others."""
    job = make_job(tmp_path, models["base"], scale=0.5)
    trained = AdapterSource(
        name="org/one",
        base=models["base"] / "model",
        adapter=job.inputs["train"].path / "adapter",
        base_id="org/base",
    )
    cat = METHODS["cat"]
    for name, weight in (("whole", 0.5), ("half", 0.25)):
        (tmp_path / name / "adapter").mkdir(parents=True)
        parts = checked_parts([Part("one", trained, weight), Part("two", trained, weight)], cat)
        compose(parts, tmp_path / name / "adapter", Asked(cat))
    beside = {name: tmp_path / name for name in ("whole", "half")}
    result = run(with_models(job, adapters=tuple(beside), **beside))
    bits = {
        m["model"]: m["test"] for m in result["models"] if m["test"]["metric"] == "bits_per_byte"
    }
    assert bits["whole"]["base"] == pytest.approx(bits["whole"]["adapter"], rel=1e-5)
    assert bits["half"]["base"] != pytest.approx(bits["half"]["adapter"], rel=1e-3)


def test_a_stopped_evaluation_asks_no_model_again(tmp_path, models, monkeypatch) -> None:
    """Answers of a model stay in the workspace until all is measured."""
    from finetune.evaluate import run as stage

    job = with_models(make_job(tmp_path, models["base"], scale=0.5), nllb=models["nllb"])
    monkeypatch.setattr(stage, "_write", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(job)
    monkeypatch.undo()
    monkeypatch.setattr(
        "finetune.evaluate.measuring.loaded_systems.load_model", lambda *_: pytest.fail("loaded")
    )
    assert run(job)["models"]


def test_table_and_report_name_them_as_deciding_nothing(evaluated) -> None:
    """A table of its own, and the report has the same rows."""
    folder, result, _ = evaluated
    out = io.StringIO()
    show_scores(parse_result(result, EvaluateResult, path=folder), console=Console(out=out))
    assert "other models on the same items: they decide nothing" in out.getvalue()
    page = (folder / "report.html").read_text("utf-8")
    assert "They decide nothing" in page
    assert "nllb (org/nllb, apache-2.0)" in page


def test_a_translation_model_writes_in_the_language_it_is_asked_for(models) -> None:
    """The first token is that of the target; a code that it does not have is an error."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = models["nllb"] / "model"
    model, tokenizer = (
        one.from_pretrained(folder) for one in (AutoModelForSeq2SeqLM, AutoTokenizer)
    )
    seen = []
    forward = model.generate
    model.generate = lambda **given: seen.append(given) or forward(**given)
    ask = {"decoding": Decoding(4), "rows": 2}
    texts = translate(
        model, tokenizer, ["a", "abc", "ab"], languages=("eng_Latn", "wol_Latn"), **ask
    )
    assert [given["forced_bos_token_id"] for given in seen] == [
        tokenizer.convert_tokens_to_ids("wol_Latn")
    ] * 2
    assert int(seen[0]["input_ids"][0, 0]) == tokenizer.convert_tokens_to_ids("eng_Latn")
    assert len(texts) == 3
    with pytest.raises(RecipeError) as refused:
        translate(model, tokenizer, ["a"], languages=("eng_Latn", "xyz_Latn"), **ask)
    assert refused.value.codes == ("no-such-language-code",)


def test_a_translation_model_is_checked_and_is_no_base(models) -> None:
    """Its folder is inspected as a base's; as a base it is refused, as another model it is not."""
    folder = models["nllb"] / "model"
    assert inspect(folder, where="m").tensors
    refuse_unfit(folder, is_compared=True, where="m")
    with pytest.raises(RecipeError) as refused:
        refuse_unfit(folder, is_compared=False, where="m")
    assert refused.value.codes == ("unknown-kind",)


def test_another_encoder_decoder_is_refused_with_a_sentence(tmp_path) -> None:
    """Without a language token a model has no way to know what to write."""
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(RecipeError) as refused:
        refuse_unfit(tmp_path, is_compared=True, where="m")
    assert refused.value.codes == ("not-compared",)
