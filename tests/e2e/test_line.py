"""The whole line, from data card to released adapter, as a user types it."""

import hashlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.pipeline.store import Store
from finetune.spec.load import load_project
from tests.support.hub_server import HubServer
from tests.support.planted import PLANTED, found, found_in
from tests.support.project import repeatable, write_project

RECIPE = "recipes/tiny.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which `finetune run` has finished once."""
    folder = tmp_path_factory.mktemp("line")
    write_project(folder)
    done = _finetune(folder, "run", RECIPE)
    assert done.returncode == 0, done.stderr
    return folder, done


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "finetune", *arguments]


def _finetune(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        _command(*arguments), cwd=folder, capture_output=True, text=True, check=False
    )


def _contents(folder: Path, pattern: str) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): repeatable(p)
        for p in sorted(folder.glob(pattern))
        if p.is_file()
    }


PRODUCTS = (
    ".finetune/prepare/*/**/*.npy",
    ".finetune/train/*/adapter/*",
    ".finetune/evaluate/*/scores.json",
    ".finetune/hub/**/*",
)


def test_a_run_ends_with_table_report_adapter_and_next_step(finished):
    """A run ends with scores, reports and next commands."""
    folder, done = finished
    out = done.stdout
    for words in (
        "bits_per_byte",
        "chrf++",
        "report",
        "adapter",
        "finetune chat recipes/tiny.yaml\n",
        "finetune submit recipes/tiny.yaml --site ",
    ):
        assert words in out
    assert (folder / ".finetune/hub/org/tiny-lora/adapter_model.safetensors").is_file()
    assert "Traceback" not in done.stderr


def test_what_to_type_next_means_the_same_artefacts(
    finished, tmp_path, monkeypatch, inside, capsys
):
    """Overrides and store of the run are in the commands that it ends with; chat finds them."""
    folder, _ = finished
    inside(folder)
    store = tmp_path / "my store"
    run = ["run", RECIPE, "--set", "train.max_steps=1", "--store", str(store)]
    assert main(run) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "finetune chat" in line]
    words = shlex.split(line[line.index("finetune chat") :])[1:]
    monkeypatch.setattr("sys.stdin", io.StringIO("/quit\n"))
    assert main(words) == 0
    assert "Chat with base and adapter" in capsys.readouterr().out


def test_a_second_run_does_nothing_and_says_so(finished):
    """Everything is done; the released files keep their bytes."""
    folder, _ = finished
    before = _contents(folder, ".finetune/**/*")
    again = _finetune(folder, "run", RECIPE)
    assert again.returncode == 0
    assert again.stdout.count(": cached (") == 6
    assert "running" not in again.stdout
    assert _contents(folder, ".finetune/**/*") == before


def test_a_recipe_may_release_nothing(finished):
    """`release: none` ends with the evaluation, reports it, and takes everything before from the
    store; the adapter is where training left it."""
    folder, _ = finished
    published = _contents(folder, ".finetune/hub/**/*")
    done = _finetune(folder, "run", RECIPE, "--set", "release=none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": cached (") == 5
    assert "bits_per_byte" in done.stdout
    assert "no release (release: none)" in done.stdout
    assert "put it online" not in done.stdout
    [adapter] = [line.split()[1] for line in done.stdout.splitlines() if line[:8] == "adapter "]
    assert (Path(adapter) / "adapter_model.safetensors").is_file()
    assert _contents(folder, ".finetune/hub/**/*") == published


@pytest.mark.slow
def test_the_same_recipe_elsewhere_gives_the_same_bytes(finished, tmp_path):
    """Tokens, adapter, scores and release do not depend on where or when."""
    folder, _ = finished
    write_project(tmp_path)
    assert _finetune(tmp_path, "run", RECIPE).returncode == 0
    for pattern in PRODUCTS:
        expected = _contents(folder, pattern)
        assert expected
        assert _contents(tmp_path, pattern) == expected


def test_one_lora_setting_reruns_train_and_not_prepare(finished, capsys, inside):
    """The plan states what would run."""
    folder, _ = finished
    inside(folder)
    assert main(["plan", "--json", RECIPE, "--set", "lora.rank=2"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {r["stage"]: r["state"] for r in records if "state" in r} == {
        "base": "cached",
        "prepare": "cached",
        "train": "to do",
        "baseline": "cached",
        "evaluate": "to do",
        "release": "to do",
    }


def test_nothing_released_names_this_machine(finished):
    """No local path leaves in any released text."""
    folder, _ = finished
    for file in (folder / ".finetune/hub").rglob("*"):
        if file.suffix in (".md", ".json", ".txt"):
            text = file.read_text(encoding="utf-8")
            assert str(folder) not in text
            assert "./model" not in text


@pytest.mark.slow
def test_chat_shows_both_answers(finished):
    """A line in, two answers out."""
    folder, _ = finished
    command = _command("chat", RECIPE, "--max-tokens", "4")
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, input="Ina kwana?\n", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "base" in done.stdout
    assert "adapter" in done.stdout


def test_publish_dry_run_sends_nothing(finished, tmp_path, variables):
    """The list of files and the place; the server is asked, and nothing is made there."""
    folder, _ = finished
    with HubServer() as hub:
        token = hub.token("org")
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=token, HF_HOME=str(tmp_path / "hf"))
        done = _finetune(folder, "publish", RECIPE, "--hub", "huggingface", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "adapter_model.safetensors" in done.stdout
    assert hub.url in done.stdout
    assert hub.requests
    assert {method for method, _ in hub.requests} == {"GET"}
    assert hub.repos == {}


def test_runs_lists_and_removes(finished, tmp_path):
    """Artefacts of the store are listed and removed."""
    folder, _ = finished
    listed = _finetune(folder, "runs", "--json")
    names = [json.loads(line)["artefact"] for line in listed.stdout.splitlines()]
    kept = {"base", "prepare", "train", "baseline", "evaluate", "release"}
    assert {n.split("/")[0] for n in names} == kept
    wrong = _finetune(folder, "runs", "--remove", "train/nothing")
    assert wrong.returncode == 2


@pytest.mark.slow
def test_two_processes_on_the_same_recipe_do_not_damage_each_other(tmp_path):
    """Both end well, and every artefact was built once."""
    write_project(tmp_path)
    both = [
        subprocess.Popen(_command("run", RECIPE), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("finetune chat" in output for output in outputs)
    assert len(list(tmp_path.glob(".finetune/*/*/manifest.json"))) == 6
    assert not list(tmp_path.glob(".finetune/**/*.lease*"))


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_cut_off_ends_the_same(finished, tmp_path, signal_number):
    """End a process in the middle, run again: the release has the same bytes. At any instant, and
    for every verb: tests/nightly/kills.py, of which some are tried in tests/nightly."""
    folder, _ = finished
    write_project(tmp_path)
    process = subprocess.Popen(
        _command("run", RECIPE), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".finetune/prepare/*/manifest.json")):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, stderr = process.communicate()
    assert b"Traceback" not in stderr
    assert _finetune(tmp_path, "run", RECIPE).returncode == 0
    for pattern in PRODUCTS:
        assert _contents(tmp_path, pattern) == _contents(folder, pattern)


WRONG = [
    ("data_cards/lines.txt", b"changed\n", "sha256"),
    ("data_cards/lines.md", b"no front matter", "begins with a line `---`"),
    ("recipes/tiny.yaml", b"name: [", "not YAML"),
    ("data_cards/pairs.md", ("format: tsv", "format: tsw"), "Did you mean 'tsv'?"),
]


@pytest.mark.parametrize(("file", "content", "message"), WRONG)
@pytest.mark.usefixtures("workdir")
def test_wrong_input_is_refused_before_anything_is_written(
    tmp_path, capsys, file, content, message
):
    """Exit code 2, one clear message, an empty store."""
    write_project(tmp_path)
    if isinstance(content, tuple):
        content = Path(file).read_text(encoding="utf-8").replace(*content).encode()
    Path(file).write_bytes(content)
    assert main(["run", RECIPE]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob(".finetune/*/*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["lora.target_modules=[q_porj]"], "q_proj"),
        (["prepare.min_characters=5000"], "too-short"),
    ],
)
def test_settings_that_leave_nothing_say_so(finished, inside, capsys, settings, message):
    """Targets that match nothing, a corpus that is empty after filtering."""
    folder, _ = finished
    inside(folder)
    overrides = [part for setting in settings for part in ("--set", setting)]
    assert main(["train", RECIPE, *overrides]) in (1, 2)
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("workdir")
def test_fetch_locks_and_a_change_is_noticed(tmp_path, capsys):
    """After fetch, a base with other bytes is refused until it is meant."""
    write_project(tmp_path)
    assert main(["fetch", RECIPE]) == 0
    lock = Path("recipes/tiny.lock.json")
    assert "sha256" in lock.read_text() or "files" in lock.read_text()
    config = Path("model/config.json")
    config.write_text(config.read_text() + "\n")
    os.utime(config, (1, 1))
    assert main(["check", RECIPE]) == 2
    assert "changed since it was locked" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("workdir")
def test_phases_train_one_after_the_other(tmp_path):
    """Plain text first, then pairs from the first adapter; both phases' test texts are scored."""
    recipe = write_project(tmp_path)
    text = recipe.read_text()
    start, end = text.index("corpora:"), text.index("prepare:")
    train = text[text.index("train:") : text.index("evaluate:")]
    indented = train.replace("\n", "\n    ").rstrip()
    phases = (
        "phases:\n  - name: text\n    corpora: [{card: lines}]\n    " + indented + "\n"
        "  - name: pairs\n    corpora: [{card: pairs, source: eng_Latn, target: hau_Latn}]\n    "
        + indented
        + "\n"
    )
    recipe.write_text(text[:start] + phases + text[end:].replace(train, ""))
    done = _finetune(tmp_path, "run", RECIPE)
    assert done.returncode == 0, done.stderr
    assert len(load_project(Path(RECIPE)).recipe.training_phases) == 2
    made = [a for a, _ in Store(tmp_path / ".finetune").artifacts()]
    assert [a.stage for a in made].count("train") == 2
    (scores,) = (a.result["scores"] for a in made if a.stage == "evaluate")
    assert {s["phase"] for s in scores if s["metric"] == "bits_per_byte"} == {"text", "pairs"}
    (release,) = (a.path for a in made if a.stage == "release")
    card = (release / "README.md").read_text()
    assert "Phase text:" in card
    assert "(text)" in card


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_quantised_base_goes_the_whole_line(finished, tmp_path, bits, inside):
    """A base in 4 or 8 bits trains, validates between steps, and learns as the whole one does."""
    folder, _ = finished
    inside(folder)
    store = tmp_path / "store"
    command = ["run", RECIPE, "--store", str(store), "--set", f"base.quantization={bits}"]
    assert main(command) == 0

    def losses(root: Path) -> list[float]:
        (metrics,) = root.glob("train/*/metrics.jsonl")
        lines = map(json.loads, metrics.read_text().splitlines())
        return [line["loss"] for line in lines if line["kind"] == "train"]

    whole, quantised = losses(folder / ".finetune"), losses(store)
    assert quantised[-1] < quantised[0]
    assert quantised == pytest.approx(whole, rel=5e-3)
    card = next(store.glob("release/*/README.md")).read_text()
    assert f"The frozen base was loaded in {bits}" in card


@pytest.mark.slow
def test_personal_data_of_a_corpus_stands_in_nothing_that_the_line_writes(tmp_path):
    """Store, reports, release, caches, table for speakers and every line of output: only copies of
    the corpus have it."""
    write_project(tmp_path)
    data = PLANTED["wol_Latn"]
    corpus, card = tmp_path / "data_cards/lines.txt", tmp_path / "data_cards/lines.md"
    old = corpus.read_bytes()
    planted = [f"Woo ma ci {one} su ko neexee {n}." for n, one in enumerate(data * 3)]
    corpus.write_text("\n".join([*planted, *data, old.decode()]), encoding="utf-8")
    text = card.read_text(encoding="utf-8").replace("hau_Latn", "wol_Latn").replace("[ha]", "[wo]")
    sums = [hashlib.sha256(content).hexdigest() for content in (old, corpus.read_bytes())]
    card.write_text(text.replace(*sums), encoding="utf-8")
    shown = ""
    for arguments in (
        ["check", RECIPE],
        ["plan", RECIPE],
        ["run", RECIPE],
        ["report", RECIPE],
        ["cards", "check"],
        ["cards", "catalogue", "page"],
        ["cards", "review", "lines", "rejected.csv"],
    ):
        done = subprocess.run(
            _command(*arguments),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        assert "Traceback" not in done.stderr
        shown += done.stdout + done.stderr
    assert (tmp_path / ".finetune/hub/org/tiny-lora/adapter_model.safetensors").is_file()
    assert (tmp_path / "rejected.csv").is_file()
    assert found(shown, data) == []
    assert found_in(tmp_path, data, copies=[corpus]) == {}
