"""The command line: quick, light, and clear to people and machines."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.launch.outcome import read
from finetune.verbs import GROUPS, VERBS
from tests.support.small_recipe import CARD, RECIPE

HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "peft",
    "accelerate",
    "deepspeed",
    "numpy",
    "huggingface_hub",
    "pyarrow",
    "matplotlib",
}
ROOT = Path(__file__).parents[2]


def _modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys, json\nfrom finetune.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_neither_pydantic_nor_anything_heavy():
    """`finetune --help` costs what Python costs."""
    loaded = _modules_after("--help")
    assert not loaded & {*HEAVY, "pydantic", "ruamel", "rich", "jinja2", "yaml"}


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_looking_imports_nothing_heavy(verb):
    """`check` and `plan` stay fast because they load no numerics."""
    loaded = _modules_after(verb, "recipes/hausa-school.yaml")
    assert "pydantic" in loaded
    assert not loaded & HEAVY


def test_every_verb_has_help(capsys):
    """No verb is only a name."""
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        assert VERBS[verb].help in " ".join(capsys.readouterr().out.split())


def test_a_verb_is_a_module_in_the_folder_of_its_group():
    """`finetune VERB` is verbs/GROUP/VERB.py, and no other module lies there."""
    folder = ROOT / "finetune/verbs"
    there = {
        (path.parent.name, path.stem)
        for path in (*folder.glob("*/*.py"), *(folder / "data").glob("cards"))
        if path.stem != "__init__"
    }
    assert there == {(verb.group, verb.name) for verb in VERBS.values()}
    assert {verb.group for verb in VERBS.values()} == set(GROUPS)


def test_help_lists_verbs_by_group(capsys):
    """Every verb that people type stands once, under the heading of its group."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    blocks = dict(block.split(":\n", 1) for block in text.split("\n\n") if ":\n" in block)
    for group, heading in GROUPS.items():
        listed = [line.split()[0] for line in blocks[heading].splitlines()]
        assert listed == [v.name for v in VERBS.values() if v.group == group and not v.hidden]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("chek", "Did you mean 'check'?"),
        ("merge", "export RECIPE --format merged"),
        ("qqq", "--help"),
    ],
)
def test_an_unknown_verb_is_told_what_to_type(typed, words, capsys):
    """A misspelt verb gets the nearest, a renamed one its new name."""
    with pytest.raises(SystemExit) as stopped:
        main([typed, "recipe.yaml"])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_wrong_input_is_exit_code_2_without_a_traceback(tmp_path, capsys):
    """One clear line on stderr."""
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: x\n")
    assert main(["check", str(recipe)]) == 2
    captured = capsys.readouterr()
    assert "r.yaml" in captured.err
    assert "Traceback" not in captured.err


def test_check_says_what_is_not_established(tmp_path, capsys):
    """A card written from documentation is told to be one, with every fact that is missing."""
    unsure = "  not_established: [source.revision, whether it is one dialect]\n  status: not-run\n"
    head, _, rest = CARD.partition("    kind: files\n")
    _, _, rest = rest.partition("  format: text\n")
    source = "    kind: hub\n    dataset: org/words\n  format: parquet\n  columns: {text: text}\n"
    card = head + source + unsure + rest
    (tmp_path / "data_cards").mkdir()
    (tmp_path / "data_cards/words.md").write_text(card)
    (tmp_path / "recipes").mkdir()
    recipe = tmp_path / "recipes/tiny.yaml"
    recipe.write_text(RECIPE)
    assert main(["check", str(recipe)]) == 0
    said = capsys.readouterr().out
    assert "written from documentation, as their authors could not open the corpora: words" in said
    assert "not established (words): source.revision" in said
    assert "not established (words): whether it is one dialect" in said


def test_json_gives_problems_to_machines(tmp_path, capsys):
    """Every line of --json is an object."""
    assert main(["check", "--json", str(tmp_path / "none.yaml")]) == 2
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "RecipeError"
    assert "none.yaml" in record["problems"][0]


def test_schema_is_json_schema(capsys):
    """Editors can read it."""
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "corpora" in schema["properties"]
    assert schema["additionalProperties"] is False


def test_init_writes_a_recipe_and_a_card_that_load(tmp_path, monkeypatch, capsys):
    """What is scaffolded is valid, and is never overwritten."""
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("benn\nñaar\n", encoding="utf-8")
    assert main(["init", "--language", "wol_Latn", "--text", "my.txt"]) == 0
    from finetune.spec.load import load_project

    project = load_project(Path("recipes/wol-latn.yaml"))
    assert project.cards["wol-latn"].corpus.languages == ["wol_Latn"]
    assert main(["init", "--language", "wol_Latn"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert main(["init", "--language", "no"]) == 2


SLEEPER = """
import sys, time
from finetune.cli import main
from finetune.verbs.start import runs
def wait(options, console):
    print("ready", flush=True)
    try:
        time.sleep(30)
    except Exception:
        print("swallowed", flush=True)
runs.run = wait
sys.exit(main(["runs"]))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("watched", [False, True])
def test_any_verb_answers_a_stop_with_75(tmp_path, name, watched):
    """Without a traceback; under a batch script it notes 75 and ends with 0, so that srun does not
    kill other ranks that are still saving."""
    outcomes = {"FINETUNE_OUTCOMES": str(tmp_path / "notes")} if watched else {}
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | outcomes,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=20)
    assert process.returncode == (0 if watched else 75)
    assert "swallowed" not in out
    assert err.startswith(f"stopped as asked ({name})")
    assert "Traceback" not in err
    if watched:
        assert [(o.rank, o.exit_code) for o in read(tmp_path / "notes")] == [(0, 75)]


def test_failures_are_noted_with_their_reason(tmp_path, monkeypatch):
    """A batch script learns the message of an error, and what was a bug."""
    monkeypatch.setenv("FINETUNE_OUTCOMES", str(tmp_path))
    assert main(["check", "nothing.yaml"]) == 2
    [noted] = read(tmp_path)
    assert noted.exit_code == 2
    assert noted.expected
    assert "nothing.yaml" in noted.reason
    monkeypatch.setattr("finetune.verbs.start.check.run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["check", "nothing.yaml"])
    [noted] = read(tmp_path)
    assert (noted.exit_code, noted.expected) == (1, False)
    assert noted.reason == "ZeroDivisionError: division by zero"
