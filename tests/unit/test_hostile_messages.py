"""Messages about hostile recipes, cards, sites, texts and options: nothing raw reaches a terminal.

Each row is a mistake whose message quotes user input.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from tests.support.hostile_text import CONTROLS
from tests.support.shown_text import shown
from tests.support.small_recipe import CARD, RECIPE
from tests.support.surroundings import Inside, Variables

EVIL = "\x1b]0;t\x07\x1b[2J\x9b2J\u202eevil\u2066\u2028\x85\nfine.yaml: fine\r\x08"
Q = json.dumps(EVIL)
"""As a quoted scalar of YAML."""
SITE = "name: here\ndescription: A cluster.\n"
LINES = "Benn.\nÑaar.\nÑett.\n"


def project(root: Path, *, recipe: str = RECIPE, card: str = CARD, texts: str = LINES) -> None:
    """Write a recipe and a card whose text is there."""
    (root / "recipes").mkdir(exist_ok=True)
    (root / "data_cards").mkdir(exist_ok=True)
    data = texts.encode("utf-8", "surrogatepass")
    (root / "data_cards/words.txt").write_bytes(data)
    card = card.replace("0" * 64, hashlib.sha256(data).hexdigest())
    (root / "data_cards/words.md").write_text(card, encoding="utf-8")
    (root / "recipes/r.yaml").write_text(recipe, encoding="utf-8")


def recipe(old: str, new: str) -> dict[str, Any]:
    """Return a project whose recipe has another line."""
    assert old in RECIPE
    return {"recipe": RECIPE.replace(old, new)}


def carded(old: str, new: str) -> dict[str, Any]:
    """Return a project whose card has another line."""
    assert old in CARD
    return {"card": CARD.replace(old, new)}


CHECK = ("check", "recipes/r.yaml")
OF_CARD = ("cards", "check", "words", "--lang", "en")
BROKEN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "key of a recipe": (recipe("name: tiny", f"name: tiny\n{Q}: 1"), CHECK),
    "key of a section": (recipe("max_steps: 3", f"max_steps: 3\n  {Q}: 1"), CHECK),
    "key given twice": (recipe("name: tiny", f"name: tiny\n{Q}: 1\n{Q}: 2"), CHECK),
    "key of a corpus": (recipe("card: words", f"card: words\n    {Q}: 1"), CHECK),
    "name": (recipe("name: tiny", f"name: {Q}"), CHECK),
    "model": (recipe("org/model", Q), CHECK),
    "licence": (recipe("apache-2.0", Q), CHECK),
    "card": (recipe("card: words", f"card: {Q}"), CHECK),
    "number": (recipe("max_steps: 3", f"max_steps: {Q}"), CHECK),
    "choice": (recipe("max_steps: 3", f"max_steps: 3\n  sharding: {Q}"), CHECK),
    "repository": (recipe("org/tiny", Q), CHECK),
    "summary": (recipe("repo: org/tiny", f"repo: org/tiny\n  summary: {Q}"), CHECK),
    "prompt": (recipe("card: words", f"card: words\n    prompt: {Q}"), CHECK),
    "metric": (recipe("train:", f"evaluate:\n  metrics: [{Q}]\ntrain:"), CHECK),
    "list for a text": (recipe("name: tiny", f"name: [{Q}]"), CHECK),
    "tag": (recipe("name: tiny", f"name: !{'x'} {Q}"), CHECK),
    "alias": (recipe("name: tiny", f"name: &a {Q}\nb: *a"), CHECK),
    "not YAML": (recipe("name: tiny", f"name: tiny: {Q}"), CHECK),
    "raw control": (recipe("name: tiny", "name: \x1b[2Jtiny\u2028"), CHECK),
    "key of a card": (carded("license: mit", f"license: mit\n{Q}: 1"), CHECK),
    "key of a block": (carded("format: text", f"format: text\n  {Q}: 1"), OF_CARD),
    "licence of a card": (carded("license: mit", f"license: {Q}"), OF_CARD),
    "language of a card": (carded("wol_Latn", Q), OF_CARD),
    "format": (carded("format: text", f"format: {Q}"), OF_CARD),
    "kind": (carded("kind: text", f"kind: {Q}"), OF_CARD),
    "path": (carded("path: words.txt", f"path: {Q}"), OF_CARD),
    "path that is not there": (carded("path: words.txt", 'path: "no\\u200etext.txt"'), OF_CARD),
    "contact": (carded("contact: someone", f"contact: {Q}"), OF_CARD),
    "title": (carded("pretty_name: Words", f"pretty_name: {Q}"), OF_CARD),
    "pattern": (
        carded("format: text", f"format: text\n  drop_matching: {json.dumps('(' + EVIL)}"),
        OF_CARD,
    ),
    "columns": (carded("format: text", f"format: csv\n  columns: {{{Q}: {Q}}}"), OF_CARD),
    "prose": (carded("# Words", f"# Words\n\n## {EVIL}\n\n![x]({EVIL})"), OF_CARD),
    "texts": ({"texts": f"{EVIL}\n" * 20}, OF_CARD),
    "Toolbox marker": (
        {
            "card": CARD.replace("format: text", "format: toolbox\n  columns: {text: tx}"),
            "texts": "\\_sh v3.0\n\\\x1b[2Jt\u202e x\n\\ref\x9b 1\n",
        },
        OF_CARD,
    ),
    "chat key": (
        {
            "card": CARD.replace("format: text", "format: jsonl\n  columns: {messages: m}").replace(
                "kind: text", "kind: chat"
            ),
            "texts": json.dumps({"m": [{EVIL: EVIL, "role": EVIL}]}) + "\n",
        },
        OF_CARD,
    ),
    "column of a table": (
        {
            "card": CARD.replace("format: text", "format: csv\n  columns: {text: zz}"),
            "texts": f'"{EVIL}","b"\n"x","y"\n',
        },
        OF_CARD,
    ),
    "JSON of a text": (
        {
            "card": CARD.replace("format: text", "format: jsonl\n  columns: {text: zz}"),
            "texts": json.dumps({EVIL: EVIL}, ensure_ascii=False) + "\n",
        },
        OF_CARD,
    ),
}

TYPED: dict[str, tuple[str, ...]] = {
    "verb": (EVIL,),
    "option": ("check", f"--{EVIL}"),
    "argument": ("check", "recipes/r.yaml", EVIL),
    "choice": ("cards", EVIL),
    "recipe": ("check", f"recipes/{EVIL}.yaml"),
    "set": (*CHECK, "--set", f"{EVIL}=1"),
    "set without value": (*CHECK, "--set", EVIL),
    "set of a list": (*CHECK, "--set", f"corpora[9].{EVIL}=1"),
    "set to a value": (*CHECK, "--set", f"name={EVIL}"),
    "set to YAML": (*CHECK, "--set", f"name={{{EVIL}"),
    "language": ("init", "--language", EVIL),
    "name of a card": ("cards", "check", EVIL),
    "folder of cards": ("cards", "list", "--cards", EVIL),
    "artefact": ("runs", "--remove", f"train/{EVIL}"),
    "chain": ("status", EVIL),
    "log": ("logs", EVIL, EVIL),
    "bundle": ("unbundle", f"{EVIL}.tar"),
    "site": ("check", "--site", f"{EVIL}.yaml"),
    "number": ("logs", "-n", EVIL),
    "lang": ("cards", "check", "words", "--lang", EVIL),
}

SITES = {
    "key": f"{SITE}{Q}: 1\n",
    "name": f"name: {Q}\ndescription: x\n",
    "line": f"{SITE}sbatch: [{Q}]\n",
    "option": f"{SITE}sbatch: [{json.dumps('#SBATCH --comment=' + EVIL)}]\n",
    "command": f"{SITE}setup: [{Q}]\n",
    "variable": f"{SITE}environment: {{{Q}: x}}\n",
    "value": f"{SITE}train: {{nodes: {Q}}}\n",
    "placeholder": f"{SITE}account: {Q}\n",
}


def check_said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was said; fails if a terminal would obey it, or if a line was faked."""
    said = capsys.readouterr()
    text = said.out + said.err
    assert text.strip()
    assert shown(text), [c for c in text if not c.isprintable() and c != "\n"]
    assert "\nfine.yaml: fine" not in text
    assert "Traceback" not in text
    return text


def run(*typed: str) -> int:
    """Run the command line; return its exit code."""
    try:
        return main(typed)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, variables: Variables, inside: Inside) -> None:
    inside(tmp_path)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), FINETUNE_STORE=str(tmp_path / "store"))


@pytest.mark.parametrize(
    ("case", "machine"),
    [*((case, False) for case in BROKEN), *((case, True) for case in list(BROKEN)[::4])],
)
def test_messages_about_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, *, machine: bool
) -> None:
    """A wrong recipe, card or corpus file."""
    files, typed = BROKEN[case]
    project(tmp_path, **files)
    run(*typed, *(["--json"] if machine else []))
    said = check_said(capsys)
    if machine:
        assert all(
            isinstance(json.loads(line), dict) for line in said.splitlines() if line[:1] == "{"
        )


@pytest.mark.parametrize("case", TYPED)
def test_messages_about_what_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """argparse's own words, and those of verbs."""
    project(tmp_path)
    assert run(*TYPED[case]) != 0
    check_said(capsys)


@pytest.mark.parametrize("case", SITES)
def test_messages_about_sites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """A wrong site, and a sound one whose text is hostile."""
    (tmp_path / "here.yaml").write_text(SITES[case], encoding="utf-8")
    assert run("check", "--site", "here.yaml") == 2
    check_said(capsys)


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_in_a_key_and_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Every kind of control, one by one."""
    text = CONTROLS[name]
    if "half" not in name:
        project(tmp_path, **recipe("name: tiny", f"name: tiny\n{json.dumps(text)}: 1"))
        assert run(*CHECK) == 2
        check_said(capsys)
    assert run(*CHECK, "--set", f"{text}=1") == 2
    check_said(capsys)
    assert run(text) == 2
    check_said(capsys)


def test_a_long_value_and_many_problems_are_short_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """70,000 characters are not repeated; 400 unknown keys are counted."""
    project(tmp_path, **recipe("name: tiny", f"name: {'x' * 70_000}"))
    assert run(*CHECK) == 2
    said = check_said(capsys)
    assert len(said) < 6000
    many = "".join(f"k{n}: 1\n" for n in range(400))
    project(tmp_path, **recipe("name: tiny", f"name: tiny\n{many}".rstrip()))
    assert run(*CHECK) == 2
    said = check_said(capsys)
    assert len(said.splitlines()) < 120
    assert "more problems" in said
    project(tmp_path)
    assert run(*CHECK, "--set", f"{'y' * 70_000}=1") == 2
    assert len(check_said(capsys)) < 9000


def test_a_model_that_writes_escapes_writes_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Generations in `chat` are shown, alone and side by side; the isolates of lines are ours."""
    from finetune.chat.talk import _show
    from finetune.output.console import Console

    for answers in ({"base": EVIL}, {"base": EVIL, "adapter": f"ߒߞߏ {EVIL}"}, {"base": ""}):
        for machine in (False, True):
            _show(Console(json_lines=machine), answers)
            said = capsys.readouterr().out
            assert shown(re.sub("[\u2066\u2067]([^\u2066-\u2069\n]+)\u2069", r"\1", said))
            assert said


def test_a_log_with_escapes_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logs of jobs and their libraries are printed as text."""
    from finetune.output.console import Console

    Console().show(f"step 1\n{EVIL}\nstep 2\n", end="")
    said = capsys.readouterr().out
    assert shown(said)
    assert said.splitlines()[0] == "step 1"
    assert said.splitlines()[-1] == "step 2"
