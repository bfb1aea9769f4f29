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
from finetune.verbs import GROUPS, RENAMED, VERBS
from finetune.verbs.parser import renaming
from tests.support.failing_verb import failing
from tests.support.light_half import HEAVY, ROOT
from tests.support.small_recipe import CARD, RECIPE

SLOW = {"ruamel.yaml", "langcodes", "language_data", "fontTools", "httpx2", "lxml", "packaging"}
"""Imported when they are used, and not for a look at a recipe."""
UNUSED = {"finetune.artefacts.results", "finetune.sources.hub_fetch", "finetune.spec.site"}


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
    assert not loaded & {*HEAVY, *SLOW, "pydantic", "yaml", "re2", "importlib.metadata", "socket"}
    assert len({name for name in loaded if name.startswith("finetune")}) <= 30


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_looking_imports_nothing_heavy(verb):
    """`check` and `plan` load no numerics, and what takes long only when it is used: the slow YAML
    parser for rare documents, names of languages, the network, results of stages."""
    loaded = _modules_after(verb, "recipes/hausa-school.yaml")
    assert "pydantic" in loaded
    assert not loaded & {*HEAVY, *SLOW}
    if verb == "check":
        assert not loaded & {*UNUSED, "rich", "jinja2"}


def test_nothing_is_built_for_a_check_but_the_validators_of_its_files():
    """A validator of a section is built when the section is used alone: each costs a module."""
    code = (
        "import finetune.cards.check.findings, finetune.verbs.start.plan\n"
        "from finetune.spec.section import Section\n"
        "def below(cls):\n    yield cls\n"
        "    for one in cls.__subclasses__(): yield from below(one)\n"
        "print([cls.__name__ for cls in below(Section) if cls.__pydantic_complete__])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_every_verb_has_help(capsys):
    """No verb is only a name."""
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        first = VERBS[verb].help.partition(" ")[0].capitalize()
        text = " ".join(capsys.readouterr().out.split())
        assert f"{first}{VERBS[verb].help[len(first) :]}." in text


def test_a_verb_is_a_module_in_the_folder_of_its_group():
    """`finetune VERB` is verbs/GROUP/VERB.py, and no other module lies there."""
    folder = ROOT / "finetune/verbs"
    there = {
        (path.parent.name, path.stem)
        for path in (*folder.glob("*/*.py"), *folder.glob("*/*/"))
        if path.stem not in ("__init__", "__pycache__") and path.parent.name != "__pycache__"
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
    ("typed", "hint"),
    [
        (["chek"], "Did you mean 'check'?"),
        (["resume", "recipe.yaml"], "Did you mean 'run'?"),
        (["cards", "chek"], "Did you mean 'check'?"),
        (["tokenizer", "audti"], "Did you mean 'audit'?"),
        (["runs", "--stroe", "x"], "Did you mean '--store'?"),
        (["cards", "check", "--crads", "x"], "Did you mean '--cards'?"),
        (["publish", "recipe.yaml", "--hub", "huggingfase"], "Did you mean 'huggingface'?"),
        (["qqq"], "--help"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(typed, hint, capsys):
    """Of a verb, sub-verb, option or choice, with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        main(typed)
    assert stopped.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["check", "recipes/hausa-scool.yaml"], "recipes/hausa-school.yaml"),
        (["check", "hausa-school"], "recipes/hausa-school.yaml"),
        (["check", "--site", "slurm/sites/jean-zay-h10.yaml"], "slurm/sites/jean-zay-h100.yaml"),
        (["check", "--site", "lumi"], "slurm/sites/lumi.yaml"),
    ],
)
def test_a_misspelt_file_gets_a_suggestion(typed, hint, capsys, inside):
    """The nearest YAML file beside it, or of the usual folder."""
    inside(ROOT)
    assert main(typed) == 2
    assert f"Did you mean '{hint}'?" in capsys.readouterr().err


def test_no_words_print_the_help(capsys):
    """`finetune` alone prints the list of verbs, and is no error."""
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 0
    assert "Evaluate and release:" in capsys.readouterr().out


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_works_with_a_warning(old, capsys):
    """It is parsed as the words that replaced it, which the warning names."""
    verb, *words = RENAMED[old]
    assert renaming([old, "x"]) is not None
    assert f"`finetune {' '.join(RENAMED[old])}`" in str(renaming([old]))
    with pytest.raises(SystemExit) as stopped:
        main([old, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: finetune {verb}")
    assert all(word in shown for word in words if word.startswith("--"))
    assert old not in VERBS


def test_there_are_at_most_32_verbs():
    """The list fits on a screen."""
    assert sum(not verb.hidden for verb in VERBS.values()) <= 32


def test_wrong_input_is_exit_code_2_without_a_traceback(tmp_path, capsys):
    """One clear line on stderr."""
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: x\n")
    assert main(["check", str(recipe)]) == 2
    captured = capsys.readouterr()
    assert "r.yaml" in captured.err
    assert "Traceback" not in captured.err


def test_check_says_what_is_not_established(tmp_path, capsys):
    """A card written from documentation is reported as one, with every missing fact."""
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
    assert "written from documentation, without access to the corpora: words" in said
    assert "not established (words): source.revision" in said
    assert "not established (words): whether it is one dialect" in said


def test_json_gives_problems_to_machines(tmp_path, capsys):
    """A problem has a code, a place, facts and a message."""
    assert main(["check", "--json", str(tmp_path / "none.yaml")]) == 2
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["record"]) == (1, "error")
    assert (record["kind"], record["exit_code"]) == ("RecipeError", 2)
    [found] = record["problems"]
    assert found["code"] == "no-such-file"
    assert found["file"] == str(tmp_path / "none.yaml")
    assert found["facts"] == {}
    assert "none.yaml" in found["message"]


def test_schema_is_json_schema(capsys):
    """Editors can read it."""
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "corpora" in schema["properties"]
    assert schema["additionalProperties"] is False


@pytest.mark.usefixtures("workdir")
def test_init_writes_a_recipe_and_a_card_that_load(tmp_path, capsys):
    """Scaffolded files are valid, and are never overwritten."""
    Path("my.txt").write_text("benn\nñaar\n", encoding="utf-8")
    assert main(["init", "--language", "wol_Latn", "--text", "my.txt", "--license", "mit"]) == 0
    from finetune.spec.load import load_project

    project = load_project(Path("recipes/wol-latn.yaml"))
    assert project.cards["wol-latn"].corpus.languages == ["wol_Latn"]
    assert main(["init", "--language", "wol_Latn"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert main(["init", "--language", "no"]) == 2


INIT_FILES = {
    "PAIRES.CSV": "français;wolof\nBonjour;Nanga def\nMerci;Jërëjëf\n",
    "alpaca.json": '[{"instruction": "Lan la?", "input": "", "output": "Ndox la."}]',
    "my.txt": "benn\nñaar\n",
}


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(
    ("file", "language", "format", "kind"),
    [
        ("PAIRES.CSV", "fra_Latn,wol_Latn", "csv", "parallel"),
        ("alpaca.json", "wolof", "json", "chat"),
        ("my.txt", "Wolof", "text", "text"),
    ],
)
def test_init_reads_files_as_cards_new_does(file, language, format, kind):
    """Pairs, conversations and texts become a card of their kind, and a recipe that is valid."""
    Path(file).write_text(INIT_FILES[file], encoding="utf-8")
    assert main(["init", "--language", language, "--text", file, "--licence", "cc-by-4.0"]) == 0
    [recipe] = Path("recipes").glob("*.yaml")
    assert main(["check", str(recipe)]) == 0
    from finetune.spec.load import load_project

    [card] = load_project(recipe).cards.values()
    assert card.corpus.kind == kind
    assert card.corpus.format.startswith(format)
    assert recipe.read_text("utf-8").startswith(
        "# yaml-language-server: $schema=recipe.schema.json"
    )
    assert Path("recipes/recipe.schema.json").is_file()


@pytest.mark.usefixtures("workdir")
def test_init_takes_the_keys_of_a_table(capsys):
    """Proposals of messages about a file, such as its encoding, can be given to `init` too."""
    Path("a.csv").write_bytes("texte;n\ndéjà vu;1\nété;2\n".encode("windows-1252"))
    command = ["init", "--language", "wol_Latn", "--text", "a.csv", "--licence", "mit"]
    assert main(command) == 2
    assert main([*command, "--encoding", "windows-1252"]) == 0
    card = Path("data_cards/wol-latn.md").read_text(encoding="utf-8")
    assert "encoding: windows-1252" in card


@pytest.mark.usefixtures("workdir")
def test_init_needs_the_licence_of_texts(capsys):
    """Without a terminal the flag is named, and nothing is written."""
    Path("my.txt").write_text("benn\nñaar\n", encoding="utf-8")
    assert main(["init", "--language", "wol_Latn", "--text", "my.txt"]) == 2
    assert "--licence" in capsys.readouterr().err
    assert not list(Path("recipes").glob("*.yaml"))


@pytest.mark.usefixtures("workdir")
def test_an_init_that_was_cut_short_is_finished_by_the_same_command(tmp_path, capsys):
    """A recipe as it is written here, without its card, is no obstacle; one that was edited is."""
    recipe, card = Path("recipes/wol-latn.yaml"), Path("data_cards/wol-latn.md")
    command = ["init", "--language", "wol_Latn"]
    assert main(command) == 0
    whole = recipe.read_bytes(), card.read_bytes()
    card.unlink()
    assert main(command) == 0
    assert (recipe.read_bytes(), card.read_bytes()) == whole
    card.unlink()
    recipe.write_bytes(whole[0] + b"# mine\n")
    assert main(command) == 2
    assert "wol-latn.yaml already exists" in capsys.readouterr().err
    assert recipe.read_bytes().endswith(b"# mine\n")


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
    assert err.startswith(f"stopped on request ({name})")
    assert "Traceback" not in err
    if watched:
        assert [(o.rank, o.exit_code) for o in read(tmp_path / "notes")] == [(0, 75)]


def test_failures_are_noted_with_their_reason(tmp_path, variables):
    """A batch script learns the message of an error, and what was a bug."""
    variables(FINETUNE_OUTCOMES=str(tmp_path))
    assert main(["check", "nothing.yaml"]) == 2
    [noted] = read(tmp_path)
    assert noted.exit_code == 2
    assert noted.expected
    assert "nothing.yaml" in noted.reason
    verbs = failing("check", ZeroDivisionError("division by zero"))
    assert main(["check", __file__], verbs=verbs) == 70
    [noted] = read(tmp_path)
    assert (noted.exit_code, noted.expected) == (70, False)
    assert "ZeroDivisionError: division by zero" in noted.reason
