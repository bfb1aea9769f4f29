"""Keys: what changes the result changes them, and nothing else does."""

import hashlib
from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.pipeline.plan import steps_of
from finetune.spec.load import load_project
from tests.support.small_recipe import CARD, RECIPE


@pytest.fixture
def keys(tmp_path, inside):
    """Return a function from overrides to {label: key}."""
    inside(tmp_path)
    Path("data_cards").mkdir()
    Path("data_cards/words.txt").write_text("benn\n")
    sha256 = hashlib.sha256(b"benn\n").hexdigest()
    Path("data_cards/words.md").write_text(CARD.replace("0" * 64, sha256))
    Path("tiny.yaml").write_text(RECIPE)

    def _keys(*overrides: str) -> dict[str, str]:
        project = load_project(Path("tiny.yaml"), overrides=overrides)
        return {step.label: step.key for step in steps_of(project)}

    return _keys


STAGES = ["base", "prepare", "train", "baseline", "evaluate", "release"]


def after_change(order, first):
    """Return what depends on a stage: all after it, but the base is measured for any adapter."""
    later = order[order.index(first) :]
    return [stage for stage in later if (first, stage) != ("train", "baseline")]


@pytest.mark.parametrize(
    ("override", "first_changed"),
    [
        ("name=other", None),
        ("run.threads=1", None),
        ("run.checkpoint_every_steps=1", None),
        ("run.gradient_checkpointing=true", None),
        ("publish.private=false", None),
        ("release.summary=hello", "release"),
        ("evaluate.resamples=500", "evaluate"),
        ("lora.rank=8", "train"),
        ("train.seed=1", "train"),
        ("train.max_steps=4", "train"),
        ("prepare.min_characters=2", "prepare"),
        ("corpora[0].max_documents=2", "prepare"),
        ("base.revision=0000000000000000000000000000000000000002", "base"),
        ("base.licence=mit", "release"),
    ],
)
def test_a_change_reruns_from_its_stage_on(keys, override, first_changed):
    """Changing one LoRA setting re-runs train onwards and not prepare; a name re-runs nothing."""
    before, after = keys(), keys(override)
    changed = [stage for stage in STAGES if before[stage] != after[stage]]
    assert changed == (after_change(STAGES, first_changed) if first_changed else [])


def test_new_tokens_share_the_base_tokens_with_a_recipe_without(keys):
    """With a vocabulary the corpora are prepared twice, the first time under the same key."""
    plain, extended = keys(), keys("vocabulary={}")
    assert extended["prepare (base tokens)"] == plain["prepare"]
    assert extended["base"] == plain["base"]
    for stage in STAGES[1:]:
        assert extended[stage] != plain[stage]


@pytest.mark.parametrize(
    ("override", "first_changed"),
    [
        ("vocabulary.learning_rate=1e-2", "train"),
        ("vocabulary.size=100", "vocabulary"),
        ("vocabulary.init=align", "vocabulary"),
        ("lora.rank=8", "train"),
        ("prepare.min_characters=2", "prepare (base tokens)"),
    ],
)
def test_a_change_of_new_tokens_reruns_from_its_stage_on(keys, override, first_changed):
    """Another rate for the rows trains again and learns no token again."""
    order = ["base", "prepare (base tokens)", "vocabulary", *STAGES[1:]]
    before, after = keys("vocabulary={}"), keys("vocabulary={}", override)
    changed = [stage for stage in order if before[stage] != after[stage]]
    assert changed == after_change(order, first_changed)


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("vocabulary.languages=[hau_Latn]", "no-target-language"),
        ("vocabulary.protect=[wol_Latn]", "nothing-to-extend"),
        ("vocabulary={languages: [wol_Latn], protect: [wol_Latn]}", "extended-and-protected"),
    ],
)
def test_new_tokens_for_none_are_refused_before_anything_runs(keys, override, code):
    """A language that is the target of no corpus, or that is protected, is named with its place."""
    with pytest.raises(RecipeError) as caught:
        keys("vocabulary={}", override)
    assert caught.value.codes == (code,)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("{card: word}", "no-such-corpus"),
        ("{card: words}", "language-not-in-card"),
        ("{card: words, language: fra_Latn}", "language-not-in-card"),
        ("{card: words, language: wol_Latn}", "forgetting-of-trained-language"),
    ],
)
def test_forgetting_is_of_held_out_texts_in_a_language_that_is_not_trained(keys, named, code):
    """A gate that reads the language of the recipe itself would always pass."""
    with pytest.raises(RecipeError) as caught:
        keys(f"evaluate.forgetting={named}")
    assert caught.value.codes == (code,)


def test_a_card_without_test_texts_has_none_to_score(keys):
    """`test: none`, unless the entry makes all of its texts test texts."""
    keys()
    card = Path("data_cards/words.md").read_text()
    english = card.replace("wol_Latn", "eng_Latn").replace("[wo]", "[en]")
    english = english.replace("  format:", "  test: none\n  format:")
    Path("data_cards/english.md").write_text(english)
    named = "evaluate.forgetting={card: english}"
    with pytest.raises(RecipeError) as caught:
        keys("corpora=[{card: words}, {card: english, replay: true}]", named)
    assert caught.value.codes == ("no-test-texts",)
    two = "corpora=[{card: words}, {card: english, evaluate_only: true}]"
    before, after = keys(two), keys(two, named)
    assert [s for s in STAGES if before[s] != after[s]] == ["baseline", "evaluate", "release"]


def test_the_owners_words_rerun_only_the_release(keys):
    """A new contact on the card is news for the model card, not for the tokens."""
    before = keys()
    card = Path("data_cards/words.md")
    card.write_text(card.read_text().replace("someone", "someone else"))
    after = keys()
    assert [s for s in STAGES if before[s] != after[s]] == ["release"]


def test_training_runs_that_differ_in_length_share_a_lineage(keys):
    """So that a raised max_steps finds what it can continue from."""
    keys()
    longer = steps_of(load_project(Path("tiny.yaml"), overrides=["train.max_steps=9"]))
    shorter = steps_of(load_project(Path("tiny.yaml")))
    assert longer[2].lineage == shorter[2].lineage
    assert longer[2].key != shorter[2].key


def test_phases_follow_each_other(keys):
    """The second training starts from the first."""
    keys()
    text = RECIPE.replace(
        "corpora:\n  - card: words\ntrain:\n  max_steps: 3\n  batch_tokens: 512\n",
        "phases:\n"
        "  - {name: one, corpora: [{card: words}], train: {max_steps: 3}}\n"
        "  - {name: two, corpora: [{card: words}], train: {max_steps: 5}}\n",
    )
    Path("tiny.yaml").write_text(text)
    steps = steps_of(load_project(Path("tiny.yaml")))
    labels = [s.label for s in steps]
    assert labels == [
        "base",
        "prepare one",
        "train one",
        "prepare two",
        "train two",
        "baseline",
        "evaluate",
        "release",
    ]
    assert steps[4].inputs["start"] is steps[2]
    assert steps[5].inputs["prepare"] is steps[3]
    assert steps[5].inputs["prepare:one"] is steps[1]


def test_a_phase_depends_on_what_the_others_hold_out(keys):
    """Other texts in phase two prepare phase one again; another length of its training does not."""
    keys()
    text = RECIPE.replace(
        "corpora:\n  - card: words\ntrain:\n  max_steps: 3\n  batch_tokens: 512\n",
        "phases:\n"
        "  - {name: one, corpora: [{card: words}], train: {max_steps: 3}}\n"
        "  - {name: two, corpora: [{card: words}], train: {max_steps: 5}}\n",
    )
    Path("tiny.yaml").write_text(text)

    def prepare_one(*overrides: str) -> str:
        return steps_of(load_project(Path("tiny.yaml"), overrides=overrides))[1].key

    assert prepare_one("phases[1].train.max_steps=9") == prepare_one()
    assert prepare_one("phases[1].corpora[0].max_documents=1") != prepare_one()


def test_a_withdrawal_reruns_prepare_and_all_after_it(keys):
    """A list of withdrawn records beside the card changes every key from prepare on."""
    before = keys()
    Path("data_cards/withdrawn").mkdir()
    Path("data_cards/withdrawn/words.txt").write_text("0" * 64 + "\n")
    after = keys()
    assert [s for s in STAGES if before[s] != after[s]] == STAGES[1:]


def test_a_model_that_is_compared_has_a_step_of_its_own_and_changes_the_evaluation(keys):
    """It is fetched as a base is, and training does not depend on it."""
    named = '[{"name": "big", "model": "org/big", "revision": "%s", "licence": "mit"}]'
    before = keys()
    first, second = (keys(f"evaluate.models={named % (digit * 40)}") for digit in "12")
    assert set(first) - set(before) == {"model big"}
    assert first["model big"] != second["model big"]
    assert first["evaluate"] != second["evaluate"] != before["evaluate"]
    assert {first[name] == before[name] for name in ("base", "train", "baseline")} == {True}


def test_an_adapter_of_the_base_is_a_step_without_the_base(keys):
    """Its key follows its files, of a folder or of a training run's, and not their place."""
    for place in ("old", "moved/adapter"):
        Path(place).mkdir(parents=True)
        Path(place, "adapter_config.json").write_text("{}")
        Path(place, "adapter_model.safetensors").write_bytes(b"weights")
        Path(place, "optimizer.json").write_text(place)
    first, second = (
        keys(f"evaluate.models=[{{name: old, adapter: ./{place}}}]") for place in ("old", "moved")
    )
    assert first == second
    assert first["evaluate"] != keys()["evaluate"]
    assert {first[name] == keys()[name] for name in ("base", "train", "baseline")} == {True}
    Path("old/adapter_model.safetensors").write_bytes(b"others")
    assert keys("evaluate.models=[{name: old, adapter: ./old}]")["model old"] != first["model old"]
