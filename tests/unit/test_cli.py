"""The command line: quick, light, and clear to people and machines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.cli import VERBS, main

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
        assert VERBS[verb][1] in " ".join(capsys.readouterr().out.split())


def test_wrong_input_is_exit_code_2_without_a_traceback(tmp_path, capsys):
    """One clear line on stderr."""
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: x\n")
    assert main(["check", str(recipe)]) == 2
    captured = capsys.readouterr()
    assert "r.yaml" in captured.err
    assert "Traceback" not in captured.err


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
