"""New tokens along the whole line: learn, train, evaluate, release, chat, export, stop, go on."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from finetune.cli import main
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.load import load_project
from tests.support.new_tokens import LEXICON
from tests.support.project import write_project

pytestmark = pytest.mark.slow

RECIPE = "recipes/tiny.yaml"
VOCABULARY = "vocabulary: {min_count: 4, learning_rate: 1e-2}\n"


def write(folder: Path) -> Path:
    """Write the small project with texts in Devanagari, made of code points, and new tokens."""
    recipe = write_project(folder)
    cards, rng = folder / "data_cards", random.Random(0)
    lines = [" ".join(rng.choices(LEXICON, k=8)) for _ in range(160)]
    files = {
        "lines.txt": "".join(f"{line}\n" for line in lines[:80]),
        "pairs.tsv": "english\thindi\n"
        + "".join(f"open door {n}\t{line}\n" for n, line in enumerate(lines[80:])),
    }
    for name, text in files.items():
        (cards / name).write_text(text, encoding="utf-8")
        card = cards / f"{name.partition('.')[0]}.md"
        old = card.read_text("utf-8")
        old = old.replace("hau_Latn", "hin_Deva").replace("[ha]", "[hi]").replace(", ha]", ", hi]")
        old = old.replace(": hausa", ": hindi")
        start = old.index("sha256: ") + 8
        digest = hashlib.sha256(text.encode()).hexdigest()
        card.write_text(old[:start] + f'"{digest}"' + old[old.index("\n", start) :], "utf-8")
    text = recipe.read_text("utf-8").replace("hau_Latn", "hin_Deva")
    text = text.replace("sequence_tokens: 128", "sequence_tokens: 256")
    recipe.write_text(text + VOCABULARY, encoding="utf-8")
    return recipe


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which `finetune run` has finished, and what is in its store."""
    folder = tmp_path_factory.mktemp("vocabulary")
    write(folder)
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        assert main(["run", RECIPE]) == 0
        project = load_project(Path(RECIPE))
        store = Store(folder / ".finetune")
        steps = plan.steps_of(project)
        found = {s.label: store.find(s.stage.name, s.key) for s in steps}
    return folder, found


def test_the_base_is_scored_in_its_own_tokens_and_the_documents_are_the_same(finished):
    """Without the extension the base has the same bits per byte, to the bit."""
    folder, found = finished
    plain = folder / "recipes" / "plain.yaml"
    plain.write_text((folder / RECIPE).read_text("utf-8").replace(VOCABULARY, ""), "utf-8")
    store = Store(folder / ".finetune")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        project = open_project(Path("recipes/plain.yaml"), purpose="run")
        steps = plan.steps_of(project)
        done = execute(project, steps, store=store, console=Console(out=io.StringIO()))
    keys = {a.key for label, a in found.items() if label == "prepare (base tokens)"}
    assert keys == {done["prepare"].key}  # shared

    def of_base(result):
        return [
            (s["metric"], s["direction"], s["value"], s["n"])
            for s in result["scores"]
            if s["system"] == "base" and s["metric"] == "bits_per_byte"
        ]

    assert of_base(found["evaluate"].result) == of_base(done["evaluate"].result)


def test_what_it_bought_is_recorded(finished):
    """Bytes a token before and after, speed, and tokens of the corpus stand in the results."""
    _, found = finished
    extension = found["evaluate"].result["extension"]
    assert extension["documents"]["left_out"] == 0
    assert extension["documents"]["compared"] > 20
    cost = extension["bytes_per_token"]["hin_Deva"]
    assert cost["adapter"] > 3 * cost["base"]
    assert extension["training_tokens"]["adapter"] < extension["training_tokens"]["base"]
    assert extension["tokens_per_second"]["adapter"] > 0
    vocabulary = found["vocabulary"].result
    assert vocabulary["protected"]["changed"] == 0
    assert vocabulary["protected"]["texts"] > 0
    tokenizer = vocabulary["vocabulary"] - vocabulary["tokens"]
    assert vocabulary["first"] == tokenizer


def test_tokens_are_learned_on_training_texts_alone(finished, tmp_path):
    """Other test texts give the same tokens: nothing held out for claims is looked at."""
    folder, found = finished
    prepared = found["prepare (base tokens)"]
    copy = tmp_path / "prepare"
    shutil.copytree(prepared.path, copy)
    shutil.rmtree(copy / "test")
    from dataclasses import replace

    from finetune.artefacts.job import Job
    from finetune.tokenizer.run import run

    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        project = load_project(Path(RECIPE))
    (tmp_path / "out").mkdir()
    run(
        Job(
            recipe=project.recipe,
            phase=project.recipe.training_phases[0],
            cards=project.cards,
            inputs={"base": found["base"], "prepare": replace(prepared, path=copy)},
            workspace=tmp_path / "out",
            console=Console(out=io.StringIO()),
        )
    )
    for name in ("vocabulary.json", "tokenizer/tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (
            found["vocabulary"].path / name
        ).read_bytes()


def test_the_release_loads_as_its_card_says(finished, tmp_path):
    """The card's lines, with plain transformers and PEFT in a fresh process, give our logits."""
    folder, found = finished
    release = folder / ".finetune/hub/org/tiny-lora"
    card = (release / "README.md").read_text("utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    begin = code.index("base = ")
    end = code.index("prompt = ")
    lines = code[:begin] + code[begin:end]
    lines = lines.replace('"org/tiny-base"', repr(str(found["base"].path / "model")))
    lines = lines.replace('"org/tiny-lora"', repr(str(release))).replace("revision=revision", "")
    script = (
        lines
        + "\nimport json, torch\n"
        + f"text = {LEXICON[0] + ' ' + LEXICON[1]!r}\n"
        + "ids = tokenizer(text, return_tensors='pt')\n"
        + "assert tokenizer.decode(ids['input_ids'][0]) == text\n"
        + "model.eval()\n"
        + "with torch.no_grad():\n"
        + "    logits = model(**ids).logits[0, -1]\n"
        + "print(json.dumps([ids['input_ids'][0].tolist(), logits.tolist()]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    ids, logits = json.loads(done.stdout.strip().splitlines()[-1])
    from finetune.models.load import load_adapter, load_base

    ours = load_adapter(
        load_base(found["base"].path / "model", precision="fp32"), found["train"].path / "adapter"
    )
    wanted = ours(input_ids=torch.tensor([ids])).logits[0, -1]
    torch.testing.assert_close(torch.tensor(logits), wanted, atol=1e-5, rtol=1e-4)
    assert "New tokens" in card
    assert max(ids) >= found["vocabulary"].result["first"]


def test_a_merged_folder_is_a_plain_model_with_equal_logits(finished, tmp_path, capsys):
    """Exported as merged, transformers opens the folder alone, with the same logits."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune.models.load import load_adapter, load_base

    folder, found = finished
    target = tmp_path / "merged"
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        assert main(["export", RECIPE, "--format", "merged", "--out", str(target)]) == 0
        assert "llama.cpp" in capsys.readouterr().out  # words were kept whole
        assert (
            main(["export", RECIPE, "--format", "merged", "--out", str(target)]) != 0
        )  # is there already
    tokenizer = AutoTokenizer.from_pretrained(target)
    ids = tokenizer(LEXICON[3] + " open door", return_tensors="pt")["input_ids"]
    merged = AutoModelForCausalLM.from_pretrained(target)(input_ids=ids).logits
    ours = load_adapter(
        load_base(found["base"].path / "model", precision="fp32"), found["train"].path / "adapter"
    )
    torch.testing.assert_close(merged, ours(input_ids=ids).logits, atol=1e-4, rtol=1e-3)
    assert str(folder) not in (target / "config.json").read_text("utf-8")


def test_chat_answers_with_both(finished, monkeypatch, capsys):
    """Base and adapter answer side by side; the base never with a new token."""
    from finetune.chat.systems import load_systems
    from finetune.chat.talk import Manner
    from finetune.models.generate import Decoding, generate
    from finetune.models.load import load_base, load_tokenizer

    _, found = finished
    model = found["base"].path / "model"
    tokenizer = load_tokenizer(model)
    manner = Manner(max_new_tokens=8, threads=1)
    systems = load_systems(
        model, found["train"].path / "adapter", tokenizer=tokenizer, manner=manner
    )
    prompt = LEXICON[0]
    alone = generate(
        load_base(model, precision="fp32"), tokenizer, [prompt], decoding=Decoding(8), batch_size=1
    )[0]
    assert systems.generators["base"](prompt, lambda _: None) == alone
    assert isinstance(systems.generators["adapter"](prompt, lambda _: None), str)


def test_stopped_and_continued_is_bit_identical(finished, tmp_path):
    """A training that stopped after two steps goes on to the very same adapter."""
    folder, _ = finished
    copy = tmp_path / "again"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / ".finetune/train")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(copy)
        schedule = ["--set", "train.schedule=constant"]
        assert main(["train", RECIPE, *schedule, "--set", "train.max_steps=2"]) == 0
        assert main(["train", RECIPE, *schedule]) == 0
        resumed = _weights(copy, schedule)
        shutil.rmtree(copy / ".finetune/train")
        assert main(["train", RECIPE, *schedule]) == 0
        assert _weights(copy, schedule) == resumed


def _weights(folder: Path, schedule: list[str]) -> bytes:
    project = load_project(Path(RECIPE), overrides=schedule[1::2])
    [step] = [s for s in plan.steps_of(project) if s.stage.name == "train"]
    artifact = Store(folder / ".finetune").find("train", step.key)
    assert artifact is not None
    return (artifact.path / "adapter/adapter_model.safetensors").read_bytes()


def test_phases_share_one_vocabulary(finished, inside):
    """Plain text, then translations: learned once on both, and scored phase by phase."""
    folder, _ = finished
    text = (folder / RECIPE).read_text("utf-8")
    train = text[text.index("train:") : text.index("evaluate:")]
    start, end = text.index("corpora:"), text.index("prepare:")
    inner = train.replace("\n", "\n    ").rstrip().replace("max_steps: 4", "max_steps: 2")
    phases = "phases:\n" + "".join(
        f"  - name: {name}\n    corpora: [{entry}]\n    {inner}\n"
        for name, entry in (
            ("texts", "{card: lines}"),
            ("pairs", "{card: pairs, source: eng_Latn, target: hin_Deva}"),
        )
    )
    two = folder / "recipes/two.yaml"
    two.write_text(text[:start] + phases + text[end:].replace(train, ""), "utf-8")
    inside(folder)
    project = open_project(two, purpose="run")
    steps = plan.steps_of(project)
    assert [s.label for s in steps if s.stage.name == "vocabulary"] == ["vocabulary"]
    store = Store(folder / ".finetune")
    done = execute(project, steps, store=store, console=Console(out=io.StringIO()))
    result = done["evaluate"].result
    assert {s["phase"] for s in result["scores"] if s["metric"] == "bits_per_byte"} == {
        "texts",
        "pairs",
    }
    assert result["extension"]["bytes_per_token"]["hin_Deva"]["adapter"] > 3
    assert "New tokens" in (done["release"].path / "README.md").read_text("utf-8")
