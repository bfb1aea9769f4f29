"""Stage release: the folder that goes to the hub."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from finetune.api.credited import terms_of_release
from finetune.artefacts.job import Artifact
from finetune.artefacts.scores import PairedTest
from finetune.errors import ReleaseError, StoreError
from finetune.pipeline.store import Store
from finetune.release.body import conclusions
from finetune.release.contents import VARYING_LINES
from finetune.release.provenance.checksum_list import LIST
from finetune.release.run import run
from finetune.report.as_json import json_of
from finetune.report.find_runs import find_runs
from finetune.report.forms import markdown, page
from finetune.report.report_document import document_of
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.published import snapshot
from tests.support.release_job import (
    RECIPE,
    card,
    comparison,
    release_job,
    score,
    seen,
    write_adapter,
)
from tests.support.results import vocabulary_result

LOGITS = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
tokens_BT = torch.arange(4, 68).reshape(2, 32)
found = []
for adapter in sys.argv[3:]:
    base = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32)
    with torch.no_grad():
        found.append(PeftModel.from_pretrained(base, adapter).eval()(tokens_BT).logits)
torch.save(torch.stack(found), sys.argv[1])
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A tiny base and a trained adapter, made once."""
    root = tmp_path_factory.mktemp("trained")
    write_adapter(root)
    return root


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.slow
def test_released_folder_gives_the_logits_of_the_training(root, tmp_path):
    """In a fresh process folder and Hub repository give the trained adapter's logits to the bit."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    job = release_job(root)
    run(job)
    out, repo = tmp_path / "logits.pt", job.recipe.released.repo
    with HubServer() as hub:
        files = snapshot(job.workspace)
        hub.add(repo, files)
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        arguments = [str(out), str(root / "base" / "model"), str(job.workspace), repo]
        subprocess.run(
            [sys.executable, "-c", LOGITS, *arguments], check=True, env=os.environ | settings
        )
        # nothing but the adapter is asked for: loading the folder needs no network
        assert {path for _, path in hub.requests if repo not in path} == set()
    base = AutoModelForCausalLM.from_pretrained(root / "base" / "model", dtype=torch.float32)
    tokens_BT = torch.arange(4, 68).reshape(2, 32)
    with torch.no_grad():
        untouched = base(tokens_BT).logits
        trained = PeftModel.from_pretrained(base, root / "train" / "adapter").eval()
        expected = trained(tokens_BT).logits
    for released in torch.load(out, weights_only=True):
        assert torch.equal(released, expected)
    assert not torch.allclose(untouched, expected)


def test_adapter_config_names_the_hub_base(root):
    """The released adapter names the base's Hub id and revision, and no folder."""
    revision = "1" * 40
    base = RECIPE["base"] | {"revision": revision}
    job = release_job(root, recipe={"base": base})
    run(job)
    config = json.loads((job.workspace / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny/base"
    assert config["revision"] == revision
    assert config["inference_mode"] is True
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(root) not in (job.workspace / "adapter_config.json").read_text()


def test_same_inputs_give_the_same_bytes(root):
    """Releasing twice gives the same files to the byte, and the result lists their checksums."""
    first = release_job(root)
    result = run(first)
    files = snapshot(first.workspace)
    shutil.rmtree(first.workspace)
    assert run(release_job(root)) == result
    assert snapshot(first.workspace) == files
    assert set(result["files"]) == set(files)
    assert result["repo"] == "amina/hausa-lora"
    assert result["licence"] == "apache-2.0"


def with_new_tokens(root, *, seconds, speed, energy):
    """A release of an extended vocabulary, with what was measured of time, speed and energy."""
    protected = {"texts": 4, "changed": 0, "tokens_before": 9, "tokens_after": 9}
    learned = vocabulary_result(tokens=32, vocabulary=544)
    learned |= {"protected": protected, "protected_held_back": protected}
    extension = {
        "new_tokens": 32,
        "documents": {"compared": 20, "left_out": 0},
        "bytes_per_token": {"hau_Latn": {"base": 1.5, "adapter": 3.25}},
        "tokens_per_second": {"base": speed, "adapter": 2 * speed},
        "training_tokens": {"base": 900, "adapter": 400},
    }
    train = {"seconds": seconds, "energy": {"kilowatt_hours": energy, "method": "RAPL"}}
    grid = {"electricity": {"grid_gco2_per_kwh": 100, "source": "a page"}}
    evaluate = {"extension": extension, "energy": train["energy"]}
    job = release_job(root, recipe=grid, train=train, evaluate=evaluate)
    vocabulary = Artifact("vocabulary", "0" * 16, root / "vocabulary", learned)
    return replace(job, inputs={**job.inputs, "vocabulary": vocabulary})


def test_equal_runs_differ_in_the_named_lines_of_the_card_alone(root):
    """Time, energy and speed are measured anew each time; the card states it, and nothing else of
    the release depends on them, with new tokens as well."""

    def released(**measured):
        job = with_new_tokens(root, **measured)
        run(job)
        files = snapshot(job.workspace)
        shutil.rmtree(job.workspace)
        return files

    first = released(seconds=60.0, speed=10.0, energy=0.5)
    second = released(seconds=300.0, speed=11.5, energy=0.75)
    sums = [set(files.pop(LIST).decode().splitlines()) for files in (first, second)]
    assert {line.partition("  ")[2] for line in sums[0] ^ sums[1]} == {"README.md"}
    one, other = (files.pop("README.md").decode().splitlines() for files in (first, second))
    assert first == second
    assert len(one) == len(other)
    changed = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    assert len(changed) == len(VARYING_LINES)
    for pair in changed:
        for line in pair:
            assert line.startswith(VARYING_LINES)
            said = ("differs from run to run", "d'une exécution à l'autre", "  emissions: ")
            assert any(part in line for part in said)
    assert b"bytes_per_token" in first["evaluation.json"]


def test_hub_library_accepts_the_card(root):
    """Front matter is read back by huggingface_hub's card classes with all that was recorded."""
    from huggingface_hub import ModelCard

    source = {"kind": "hub", "dataset": "masakhane/pairs", "revision": "2" * 40}
    cards = {"hub-hau": card("hub-hau", corpus={"source": source, "format": "parquet"})}
    recipe = {"corpora": [{"card": "hub-hau", "source": "eng_Latn", "target": "hau_Latn"}]}
    direction = {"direction": "eng_Latn>hau_Latn", "metric": "chrf++"}
    scores = [score("base", 10.0, **direction), score("adapter", 12.5, **direction)]
    job = release_job(root, recipe=recipe, cards=cards, evaluate={"scores": scores})
    run(job)
    data = ModelCard.load(job.workspace / "README.md").data
    assert data.language == ["ha", "en"]
    assert data.license == "apache-2.0"
    assert data.library_name == "peft"
    assert data.base_model == "tiny/base"
    assert data.base_model_relation == "adapter"
    assert data.pipeline_tag == "translation"
    assert data.datasets == ["masakhane/pairs"]
    assert data.metrics == ["chrf"]
    assert {"lora", "base_model:adapter:tiny/base"} <= set(data.tags)
    result, of_base = data.eval_results
    assert (of_base.metric_name, of_base.metric_value) == ("chrF++, base without adapter", 10.0)
    assert (result.metric_type, result.metric_value, result.dataset_type) == (
        *("chrf", 12.5),
        "masakhane/pairs",
    )


def test_card_shows_a_metric_with_its_decimals(root):
    """chrF++ with one, bits per byte with three, in the table and in the conclusions."""
    direction = {"direction": "eng_Latn>hau_Latn", "metric": "chrf++"}
    chrf = [score("base", 12.53, **direction), score("adapter", 21.04, **direction)]
    bits = [score("base", 2.0), score("adapter", 1.5)]
    tests = [comparison(), comparison(**direction, base=12.53, adapter=21.04, low=7.26, high=9.74)]
    job = release_job(root, evaluate={"scores": bits + chrf, "comparisons": tests})
    run(job)
    text = (job.workspace / "README.md").read_text()
    assert "chrF++, 120 items | 21.0 [21.0, 21.1] | 12.5 [12.5, 12.6] | - |" in text
    assert "bits per byte, 120 items | 1.500 [1.450, 1.550] | 2.000 [1.950, 2.050] | - |" in text
    assert "21.0 against 12.5 of the base (95 % interval of the difference +7.3 to +9.7;" in text


def test_the_card_has_every_yardstick_of_a_score(root):
    """One does not take the place of another in the table."""
    bits = [score("base", 2.0), score("adapter", 1.2), score("examples", 1.6), score("ngram", 1.3)]
    job = release_job(root, evaluate={"scores": bits, "comparisons": [comparison()]})
    run(job)
    text = (job.workspace / "README.md").read_text()
    both = "base with examples 1.600 [1.550, 1.650]<br>byte n-gram model 1.300 [1.250, 1.350]"
    assert f"| {both} |" in text


def test_the_card_begins_with_what_an_n_gram_model_does_better(root):
    """More bits than the n-gram model are the first line; the table and the conclusion name it."""
    bits = [score("base", 2.0), score("adapter", 1.5), score("ngram", 1.3)]
    rival = {
        **{"name": "ngram", "value": 1.3, "difference": 0.2, "low": 0.1, "high": 0.3},
        **{"p_value": 0.0002, "minimum_effect": 0.013},
    }
    test = comparison(better="neither", p_holm=1.0, rivals=[rival])
    job = release_job(root, evaluate={"scores": bits, "comparisons": [test]})
    run(job)
    text = (job.workspace / "README.md").read_text()
    lines = [line for line in text.split("---\n", 2)[2].splitlines() if line]
    assert lines[0] == "# hausa-lora"
    assert lines[1].startswith(
        "**The adapter predicts held-out text worse than a byte n-gram model"
    )
    assert "Hausa 1.500 against 1.300" in lines[1]
    assert "| byte n-gram model 1.300 [1.250, 1.350] |" in text
    assert "better than the base, not than the byte n-gram model" in text
    assert "byte n-gram model 1.300, not beaten" in text
    assert "No gain is claimed" in text


def test_first_lines_of_the_card_and_gates_in_every_record(root):
    """An overridden gate, then the n-gram model, then the gain; card, JSON, result and page have
    the gates, the page in place of those of the evaluation."""
    bits = [score("base", 2.0), score("adapter", 1.5), score("ngram", 1.3)]
    rival = {
        **{"name": "ngram", "value": 1.3, "difference": 0.2, "low": 0.1, "high": 0.3},
        **{"p_value": 0.0002, "minimum_effect": 0.013},
    }
    chrf = {"direction": "hau_Latn>eng_Latn", "language": "eng_Latn", "metric": "chrf++"}
    chrf |= {"base": 5.0, "adapter": 18.0}
    tests = [
        comparison(better="neither", rivals=[rival]),
        comparison(**chrf, difference=13.0, low=12.0, high=14.0),
    ]
    override = {"yardsticks": "elders read | every text"}
    job = release_job(
        root,
        recipe={"gates": {"override": override}},
        evaluate={"scores": bits, "comparisons": tests},
    )
    page = job.inputs["evaluate"].path / "report.html"
    page.write_text(
        "<!-- first lines -->old<!-- end of first lines --><!-- gates -->old<!-- end of gates -->"
    )
    result = run(job)
    text = (job.workspace / "README.md").read_text()
    first = [line for line in text.split("---\n", 2)[2].splitlines() if line][1:4]
    assert first[0].startswith("**The gate 'yardsticks' (beats the yardsticks) is overridden")
    assert "Reason: elders read \\| every text" in first[0]
    assert first[1].startswith("**The adapter predicts held-out text worse than a byte n-gram")
    assert first[2].startswith("Better than base and yardsticks: Hausa to English chrF++ 5.0")
    assert "| items: has enough items | passed | Hausa: number of items: 120" in text
    recorded = json.loads((job.workspace / "evaluation.json").read_text())["gates"]
    assert [(g["gate"], g["finding"]) for g in recorded] == [
        (g["gate"], g["finding"]) for g in result["gates"]
    ]
    [one] = [g for g in recorded if g["gate"] == "yardsticks"]
    assert (one["state"], one["override"]) == ("overridden", override["yardsticks"])
    assert one["sentence"].startswith("Hausa: no translation was scored")
    written = (job.workspace / "report.html").read_text()
    assert "old" not in written
    assert "is overridden" in written.partition("<!-- gates -->")[0]
    assert "report.html" not in result["files"]


def test_front_matter_means_the_same_under_yaml_1_1(root):
    """The Hub's YAML 1.1 reader finds the languages that were written."""
    job = release_job(
        root,
        prepare={
            "languages": ["nob_Latn", "hau_Latn"],
            "per_language": {key: {"documents": 9} for key in ("nob_Latn", "hau_Latn")},
        },
    )
    run(job)
    front = (job.workspace / "README.md").read_text().split("---")[1]
    assert yaml.safe_load(front)["language"] == ["nb", "ha", "en"]


def test_card_says_what_was_recorded(root):
    """Counts, rejections, consent, settings, dequantised weights and prompt are in the card."""
    job = release_job(root)
    run(job)
    text = (job.workspace / "README.md").read_text()
    for fact in (
        "dequantised weights of tiny/base",
        "Hausa",
        "1,500",
        "duplicate 12, placeholder 3",
        "published by its translators \\| reviewed",
        "the translators",
        "rank 16",
        "learning_rate 0.0002",
        'prompt = "Translate from English into Hausa:\\n{text}"',
        'PeftModel.from_pretrained(model, "amina/hausa-lora")',
        "the adapter is better, 1.500 against 2.000",
        "peft 0.21.2",
        "| school-hau, hau_Latn | 1,635 | 1,440, 60, 120 | duplicate 12, placeholder 3 |",
    ):
        assert fact in text
    data = json.loads((job.workspace / "training_data.json").read_text())
    assert data["rejected"] == {"duplicate": 12, "placeholder": 3}
    assert data["cards"][0]["sha256"] == {"pairs.tsv": "0" * 64}
    notice = (job.workspace / "NOTICE").read_text()
    assert "School software in Hausa (mit)" in notice


def test_card_says_what_was_seen_in_every_phase(root):
    """Mixture of languages: tokens, unique and repeated ones, and epochs, one row per phase."""
    text_phase = {"name": "texts", "corpora": [{"card": "school-hau"}], "train": {"max_steps": 5}}
    phases = {"phases": [text_phase, text_phase | {"name": "pairs"}]}
    replayed = seen("eng_Latn", tokens=9000, unique=3000, epochs=3) | {"replay": True}
    recipe = phases | {"corpora": None, "train": None}
    job = release_job(root, recipe=recipe, train={"seen_before": [[replayed]]})
    run(job)
    text = (job.workspace / "README.md").read_text()
    for fact in (
        "The tokens are sampled from each language by UniMax with at most 3 epochs.",
        "| texts: eng_Latn (replay), school-hau | 9,000 | 3,000 | 6,000 | 3.00 |",
        "| pairs: hau_Latn, school-hau | 31,000 | 31,000 | 0 | 0.50 |",
    ):
        assert fact in text
    job = release_job(root)
    run(job)
    assert "| hau_Latn, school-hau | 31,000 | 31,000 | 0 | 0.50 |" in (
        job.workspace / "README.md"
    ).read_text("utf-8")


def test_card_without_results_claims_nothing(root):
    """Without scores or tests the card states it and has no model-index."""
    job = release_job(root, evaluate={"scores": [], "comparisons": []})
    run(job)
    text = (job.workspace / "README.md").read_text()
    assert "no gain over the base is claimed" in text
    assert "model-index" not in text
    assert "better" not in text.split("## Results")[1].split("## Use")[0]


@pytest.mark.parametrize(
    ("changes", "says", "never"),
    [
        ({}, "the adapter is better", "No gain"),
        ({"better": "neither", "low": -0.2, "high": 0.1, "p_value": 0.4}, "No gain is claimed", ""),
        ({"better": "base", "low": 0.1, "high": 0.3, "adapter": 2.2}, "**worse**", "No gain"),
        # an interval without 0 over a handful of items makes no winner
        ({"better": "neither", "n": 30}, "too few items for a claim", "is better,"),
        # a winner whose interval holds 0 was not shown, whatever the record says
        ({"better": "adapter", "low": -0.2, "high": 0.1}, "No gain is claimed", "is better,"),
    ],
)
def test_no_gain_is_claimed_without_a_test(changes, says, never):
    """A sentence follows the paired test: better, worse, or not shown."""
    [sentence] = conclusions([PairedTest(**comparison(**changes))])
    assert says in sentence
    assert not never or never not in sentence
    assert f"{changes.get('n', 120)} items" in sentence


def test_conflicting_licences_refuse_the_release(root):
    """A share-alike and a non-commercial card refuse the release; no file is written."""
    names = {"one": "cc-by-sa-4.0", "two": "cc-by-nc-4.0"}
    cards = {name: card(name, licence=licence) for name, licence in names.items()}
    corpora = [{"card": n, "source": "eng_Latn", "target": "hau_Latn"} for n in names]
    job = release_job(root, recipe={"corpora": corpora}, cards=cards)
    with raises(
        ReleaseError,
        code="licences-contradict",
        at="data card 'one'",
        other="data card 'two'",
    ):
        run(job)
    assert not list(job.workspace.iterdir())


def test_terms_of_several_owners_are_carried_on(root):
    """Gemma's terms with non-commercial data: `other`, with a name, a LICENSE and the notices."""
    cards = {"nc": card("nc", licence="cc-by-nc-4.0")}
    recipe = {
        "corpora": [{"card": "nc", "source": "eng_Latn", "target": "hau_Latn"}],
        "base": RECIPE["base"] | {"licence": "gemma"},
    }
    job = release_job(root, recipe=recipe, cards=cards)
    assert run(job)["licence"] == "other"
    text = (job.workspace / "README.md").read_text()
    assert "license_name: cc-by-nc-4.0-and-gemma" in text
    assert "license_link: LICENSE" in text
    assert "cc-by-nc-4.0" in (job.workspace / "LICENSE").read_text()
    assert "Gemma Terms of Use" in (job.workspace / "NOTICE").read_text()


@pytest.mark.parametrize("leak", ["path", "store", "user", "host", "token"])
def test_private_facts_refuse_the_release(root, leak, monkeypatch, variables):
    """A local folder, user, host or token in what owners wrote refuses the release."""
    variables(LOGNAME="fatoudiop")
    monkeypatch.setattr(socket, "gethostname", lambda: "node042.cluster")
    text = {
        "path": f"see {Path.home()}/consent.pdf",
        "store": f"built in {root}/prepare",
        "user": "package llm-tiny of fatoudiop",
        "host": "copied from node042",
        "token": "hf_" + "a1" * 15,
    }[leak]
    job = release_job(root, base={"source": text})
    with pytest.raises(ReleaseError) as refused:
        run(job)
    assert "README.md" in {found.place.file for found in refused.value.problems}


def test_nothing_of_this_machine_is_in_a_release(root):
    """No file of a release holds the store's folder, the working folder or the home folder."""
    job = release_job(root)
    run(job)
    for content in snapshot(job.workspace).values():
        for private in (root, Path.cwd(), Path.home()):
            assert str(private).encode() not in content


def test_what_is_planted_in_records_is_in_no_released_byte(root):
    """Manifests and the trained configuration know paths, user, host and a token; no file does."""
    planted = ["/srv/store-of-fatoudiop", "fatoudiop", "node042.cluster", "hf_" + "a1" * 15]
    job = release_job(root)
    for role in ("base", "train"):
        path = root / role / "manifest.json"
        known = json.loads(path.read_text())
        place = {"host": planted[2], "store": planted[0], "token": planted[3]}
        known["environment"] = known.get("environment", {}) | place
        path.write_text(json.dumps(known))
    path = root / "train" / "adapter" / "adapter_config.json"
    trained = {"base_model_name_or_path": f"{planted[0]}/base", "revision": planted[1]}
    path.write_text(json.dumps(json.loads(path.read_text()) | trained))
    result = run(job)
    for name in result["files"]:
        content = (job.workspace / name).read_bytes()
        assert not [fact for fact in planted if fact.encode() in content], name


@pytest.mark.parametrize("fact", ["/home/fatoudiop/store", "hf_" + "a1" * 15])
def test_what_is_planted_in_the_weights_refuses_the_release(root, fact):
    """The header of a file of tensors holds text of the process that wrote it."""
    from safetensors.torch import load_file, save_file

    path = root / "train" / "adapter" / "adapter_model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt", "note": fact})
    with pytest.raises(ReleaseError) as refused:
        run(release_job(root))
    assert "adapter_model.safetensors" in {found.place.file for found in refused.value.problems}


def test_own_chat_template_is_released(root):
    """A base without a template was trained with ChatML: the template goes along."""
    (root / "prepare").mkdir(exist_ok=True)
    (root / "prepare" / "chat_template.jinja").write_text("{{ messages }}")
    job = release_job(root, prepare={"chat_template": "chatml"})
    assert "chat_template.jinja" in run(job)["files"]
    assert "tokenizer.chat_template = Path(" in (job.workspace / "README.md").read_text()


def test_damaged_training_is_explained(root):
    """A training without its adapter is a clear error."""
    (root / "train" / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(StoreError) as refused:
        run(release_job(root))
    assert refused.value.codes == ("adapter-missing",)


def test_snippet_of_the_card_is_python(root):
    """The code that the card shows compiles, with and without revision and template."""
    for number, (base, prepare) in enumerate(
        [({}, {}), ({"revision": "3" * 40}, {"chat_template": None})]
    ):
        where = root.with_name(f"copy{number}")
        shutil.copytree(root, where)
        job = release_job(where, recipe={"base": RECIPE["base"] | base}, prepare=prepare)
        run(job)
        code = (job.workspace / "README.md").read_text().split("```python\n")[1].split("```")[0]
        compile(code, "card", "exec")


def test_access_of_a_corpus_is_carried_on_to_the_adapter(root):
    """The card of the adapter asks for what the corpus asks for, and reports it to people."""
    from huggingface_hub import ModelCard

    access = {"kind": "ask", "conditions": "no advertising | ever"}
    job = release_job(root, cards={"school-hau": card(corpus={"access": access})})
    result = run(job)
    released = ModelCard.load(job.workspace / "README.md")
    assert result["gate"] == [released.data.to_dict()["extra_gated_prompt"]]
    assert "no advertising | ever" in result["gate"][0]
    assert "no advertising \\| ever" in released.text


def test_a_withdrawn_card_is_not_in_the_release(root):
    """Nothing of it was used, so neither licence nor table nor notice names it."""
    gone = card("gone", licence="cc-by-nd-4.0", corpus={"status": "withdrawn"})
    recipe = {
        "corpora": [
            {"card": name, "source": "eng_Latn", "target": "hau_Latn"}
            for name in ("school-hau", "gone")
        ]
    }
    job = release_job(root, recipe=recipe, cards={"school-hau": card(), "gone": gone})
    assert run(job)["licence"] == "apache-2.0"
    assert "gone" not in (job.workspace / "training_data.json").read_text()
    assert "cc-by-nd" not in (job.workspace / "NOTICE").read_text()


@pytest.mark.parametrize(
    ("corpus", "code", "key", "facts"),
    [
        (
            {"consent": {"expires": "2020-01-31"}},
            "consent-ended",
            "consent.expires",
            {"day": "2020-01-31"},
        ),
        (
            {"permitted_uses": ["train-models"]},
            "use-not-permitted",
            "permitted_uses",
            {"use": "publish-models"},
        ),
        (
            {"not_established": ["license"]},
            "licence-not-established",
            "license",
            {"licence": "mit"},
        ),
    ],
)
def test_what_owners_do_not_permit_is_not_released(root, corpus, code, key, facts):
    """The stage refuses too, independent of earlier checks."""
    with raises(ReleaseError, code=code, at=f"'school-hau': {key}", **facts):
        run(release_job(root, cards={"school-hau": card(corpus=corpus)}))


def test_a_card_without_a_kept_text_is_no_training_data(root: Path) -> None:
    """It was read and nothing of it was kept: the release names neither it nor its languages."""
    cards = {
        "school-hau": card(),
        "empty": card("empty").model_copy(update={"pretty_name": "Nothing in here"}),
    }
    job = release_job(root, cards=cards)
    report = root / "prepare/report.json"
    [row] = json.loads(report.read_text("utf-8"))["funnel"]
    none = {"card": "empty", "read": 0, "kept": {"train": 0, "validation": 0, "test": 0}}
    report.write_text(json.dumps({"funnel": [row, row | none]}), encoding="utf-8")
    run(job)
    assert "Nothing in here" not in (job.workspace / "README.md").read_text("utf-8")


def test_card_and_file_say_whose_texts_were_drawn(root):
    """The paragraph on the card, in both languages, is that of the rows in credits.csv."""
    job = release_job(root)
    run(job)
    card_text = (job.workspace / "README.md").read_text("utf-8")
    assert "## Credits" in card_text
    assert "By corpus: School software in Hausa 100.00%." in card_text
    assert "Par corpus" in card_text
    rows = (job.workspace / "credits.csv").read_text("utf-8").splitlines()
    assert rows[1].startswith("card,School software in Hausa,school-hau,mit,,")
    assert rows[1].endswith(",100.00")


def test_terms_of_communities_stand_in_every_part_of_the_release(root):
    """The strictest of two cards with its owner: card in two languages, gate text, notice, data
    files, provenance, report and credits of the folder; the result bars a public release."""
    council = {"who": "Council of elders", "contact": "council@example.org"}
    terms = {"authority": council, "adapters": "private", "forbidden_uses": ["military"]}
    cards = {
        "school-hau": card(corpus={"terms": terms}),
        "books": card("books", corpus={"terms": {"adapters": "agree", "rehosting": "ask"}}),
    }
    job = release_job(root, cards=cards)
    result = run(job)
    readme = (job.workspace / "README.md").read_text()
    english, french = readme.split("<summary>En français</summary>")
    assert "- Not to be made public (Council of elders (school-hau))." in english
    assert "- À ne pas rendre public (Council of elders (school-hau))." in french
    assert "Only for those who accept" not in readme  # of the other card, which is freer
    front = yaml.safe_load(readme.split("---")[1])
    assert "Not to be made public (Council of elders" in front["extra_gated_prompt"]
    assert "Not permitted: military use" in front["extra_gated_prompt"]
    assert "Not permitted: military use" in (job.workspace / "NOTICE").read_text()
    data = json.loads((job.workspace / "training_data.json").read_text())["terms"]
    assert data["adapters"] == {
        "what": "private",
        "owners": ["Council of elders (school-hau)"],
    }
    assert data == json.loads((job.workspace / "provenance/terms.json").read_text())
    assert data == json.loads(json.dumps(result["terms"]))
    assert any("Not to be made public" in line for line in result["gate"])
    found = terms_of_release(str(job.workspace), store=Store(root))
    assert found is not None
    assert found.rehosting.what == "ask"
    runs = find_runs(
        [str(job.workspace)], store=Store(root), open_recipe=lambda _: pytest.fail("none")
    )
    shown = document_of(runs, store=root)
    assert "À ne pas rendre public" in markdown(shown, language="fr")
    assert "À ne pas rendre public" in page(shown, language="en")
    assert json_of(shown)["runs"][0]["terms"]["rehosting"]["what"] == "ask"
