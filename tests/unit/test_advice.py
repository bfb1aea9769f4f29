"""Every command that a message advises exists, and after it the first command succeeds."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.verbs.parser import parse, parser_of
from tests.support.advice import ROOT, all_advice
from tests.support.every import assert_every
from tests.support.project import write_project
from tests.support.surroundings import Inside

R = "recipes/tiny.yaml"
CLUSTER = "needs a queue: tests/cluster runs cancel, resubmit, logs and results of real jobs"
NETWORK = "needs a network: tests/unit/sources fetches from a server of its own"
NAMED = "names a command in passing without proposing it"
READER = "of a file that is another's to make; the command is run in tests/unit/prepare"
HERE = "tests/unit/test_advice.py::"
LISTS = (
    "tests/unit/cards/test_withdrawal_list.py::test_the_command_that_is_reported_restores_the_list"
)
REMOVED = f"{HERE}test_a_damaged_artefact_is_made_again"
JUDGE = "tests/unit/judge/"
COLLECTED = "test_files_of_several_campaigns_are_told_apart"

OPTION = (
    "tests/unit/cards/test_new_options.py::test_an_option_that_a_message_proposes_makes_the_card"
)
RUN_BY: dict[str, str] = {
    "finetune advise": NAMED,
    "finetune bundle": NAMED,
    "finetune cancel": CLUSTER,
    'finetune cards catalogue">': NAMED,
    "finetune cards check {}": f"{HERE}test_a_broken_card_is_looked_at",
    "finetune cards fingerprint": READER,
    "finetune cards mdc": "tests/unit/sources/data_collective/test_client.py::"
    "test_a_card_is_written_from_an_identifier_and_read_again",
    "finetune cards new": f"{HERE}test_cards_new_where_there_is_none",
    "finetune cards new --encoding {}": OPTION,
    "finetune cards new --format tsv": OPTION,
    "finetune cards new --format {}": OPTION,
    "finetune cards new --header": OPTION,
    "finetune cards new --personal-names": OPTION,
    "finetune cards new --quotes": OPTION,
    "finetune cards new --separator": OPTION,
    "finetune cards publish": NAMED,
    "finetune cards update": "tests/unit/cards/test_update.py::",
    "finetune cards withdraw": LISTS,
    "finetune cards withdraw writes this list": NAMED,
    "finetune cards withdraw {} --restore{}": LISTS,
    "finetune cards withdraw {} --undo": (
        "tests/unit/cards/test_withdrawal_list.py::"
        "test_that_it_is_meant_can_be_said_with_the_command_that_is_reported"
    ),
    "finetune chat {}": f"{HERE}test_what_run_tells_is_typed",
    "finetune check --site {}": CLUSTER,
    "finetune check recipes/{}.yaml": f"{HERE}test_what_init_tells_is_typed",
    "finetune check {}": "tests/unit/advice/test_advise.py::",
    "finetune check {}{}": "tests/e2e",
    "finetune compose": NAMED,
    "finetune doctor": NAMED,
    "finetune estimate": NAMED,
    "finetune estimate --site": NAMED,
    "finetune export --format merged": NAMED,
    "finetune fetch": NETWORK,
    "finetune fetch RECIPE": f"{HERE}test_fetch_is_what_a_missing_base_needs",
    "finetune fetch {}": NETWORK,
    "finetune init": f"{HERE}test_what_init_tells_is_typed",
    "finetune init --example a recipe": "tests/packaging/test_wheel.py::",
    "finetune init --language {} --text FILE": f"{HERE}test_what_init_tells_is_typed",
    "finetune init --language wol_Latn a recipe": f"{HERE}test_what_init_tells_is_typed",
    "finetune judge build": f"{JUDGE}test_judge_verb.py::test_a_page_is_built_from_the_store",
    "finetune judge build --prompts": (
        f"{JUDGE}test_judge_verb.py::test_answers_to_prompts_have_a_campaign_of_their_own"
    ),
    "finetune judge collect": f"{JUDGE}test_collect.py::{COLLECTED}",
    "finetune judge collect FILES --campaign {}": f"{JUDGE}test_collect.py::{COLLECTED}",
    "finetune logs": CLUSTER,
    "finetune prepare": f"{HERE}test_review_after_prepare",
    "finetune publish": NAMED,
    "finetune publish once more": NAMED,
    "finetune publish {} --dry-run": (
        "tests/e2e/test_gates.py::test_run_makes_nothing_public_and_publish_asks_the_gates"
    ),
    "finetune publish {} --hub huggingface --dry-run": f"{HERE}test_what_run_tells_is_typed",
    "finetune release RECIPE": f"{HERE}test_run_then_publish",
    "finetune release": NAMED,
    "finetune report --sweep{}": CLUSTER,
    "finetune resubmit": CLUSTER,
    "finetune resubmit --accept-versions": CLUSTER,
    "finetune resubmit {}": CLUSTER,
    "finetune run": NAMED,
    "finetune run FILE --set train.epochs=0.3": NAMED,
    "finetune run recipes/hausa-school.yaml the whole pipeline": "tests/e2e",
    "finetune runs": f"{HERE}test_runs_lists_what_can_be_removed",
    "finetune runs --remove STAGE/KEY": f"{HERE}test_runs_lists_what_can_be_removed",
    "finetune runs --store {} --remove {}": REMOVED,
    "finetune runs {}": f"{HERE}test_runs_lists_what_can_be_removed",
    "finetune status {}": CLUSTER,
    "finetune status {}{}": (
        "tests/unit/cluster/test_ways_to_submit.py::"
        "test_without_slurm_a_script_is_written_and_nothing_submitted"
    ),
    "finetune status{}": CLUSTER,
    "finetune run {}": f"{HERE}test_what_init_tells_is_typed",
    "finetune submit": NAMED,
    "finetune submit --time {}": CLUSTER,
    "finetune submit {} --site {} --dry-run": (f"{HERE}test_what_run_tells_is_typed"),
    "finetune submit {} --store STORE --site {}{}": CLUSTER,
    "finetune unbundle": "tests/e2e",
}
"""Command, with `{}` for facts -> the test that types it, or the reason why none does."""


def test_every_command_in_a_message_is_typed_by_a_test_or_has_a_reason() -> None:
    """A new message with a command needs a row above; a row without a message goes."""
    found = {advice.command for advice in all_advice()}
    assert found - set(RUN_BY) == set()
    assert set(RUN_BY) - found == set()
    for by in RUN_BY.values():
        file, _, name = by.partition("::")
        if file.startswith("tests/"):
            place = ROOT / file
            assert place.exists(), by
            assert not name or f"def {name}(" in place.read_text("utf-8"), by


def test_a_command_in_a_message_has_a_verb_and_options_that_exist() -> None:
    """Verb, sub-verb and every option are those of the command line."""

    def exists(advice) -> None:
        words = advice.command.split()
        parser = parser_of(words[1])
        known = _options(parser, [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)])
        assert {word.partition("{")[0] for word in words if word.startswith("--")} <= known

    assert_every(all_advice(), exists, name=lambda advice: f"{advice.file}: {advice.command}")


def _options(parser, names: list[str]) -> set[str]:
    """Return the options of a verb, and of its action if one is named."""
    found: set[str] = set()
    for action in parser._actions:
        if isinstance(action.choices, dict) and names and names[0] in action.choices:
            found |= _options(action.choices[names[0]], names[1:])
        found |= set(action.option_strings)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that was run to the end, with a store of its own and a changed rank."""
    folder = tmp_path_factory.mktemp("advice")
    write_project(folder)
    return folder


@pytest.fixture
def here(trained: Path, inside: Inside) -> Iterator[Path]:
    """Make the project the working folder."""
    inside(trained)
    yield trained
    for left in ("out", "site.yaml"):
        shutil.rmtree(trained / left, ignore_errors=True)


def proposed(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> list[list[str]]:
    """Type a command that ends with `code`; return the commands that its messages advise."""
    capsys.readouterr()
    assert main(words) == code
    said = capsys.readouterr()
    lines = re.findall(r"finetune ([^`;\n]+)", said.out + said.err)
    return [shlex.split(line.partition(", then")[0]) for line in lines]


MORE = ("--set", "lora.rank=2", "--store", "elsewhere")


def test_train_then_export(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that export proposes before training is complete, with --set and --store."""
    export = ("export", R, *MORE, "--format", "peft", "--output", "out")
    [command] = proposed(capsys, *export, code=1)
    assert main(command) == 0
    assert main(export) == 0


def test_run_then_publish(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Message of `publish` before a release."""
    [command] = proposed(capsys, "publish", R, *MORE, "--dry-run", code=1)
    assert main(command) == 0
    assert main(["publish", R, *MORE, "--dry-run"]) == 0


def test_chat_is_reported_to_train_with_the_options_that_were_typed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command as for an export."""
    [command] = proposed(capsys, "chat", R, "--set", "lora.rank=3", "--store", "no where", code=1)
    assert command == ["train", R, "--set", "lora.rank=3", "--store", str(here / "no where")]


def test_what_run_tells_is_typed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command after a run parses as it stands; the dry ones are run by tests of theirs."""
    commands = proposed(capsys, "run", R, *MORE, code=0)
    assert [command[0] for command in commands] == ["chat", "publish", "submit"]
    for command in commands:
        options = parse(command)
        assert options.overrides == ["lora.rank=2"]
        assert options.store == here / "elsewhere"


def test_a_damaged_artefact_is_made_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the message, then the same command."""
    assert main(["run", R, *MORE]) == 0
    [report] = Path("elsewhere/prepare").glob("*/report.json")
    report.write_text("{")
    commands = proposed(capsys, "run", R, *MORE, code=1)
    assert commands[0][0] == "runs"
    assert main(commands[0]) == 0
    assert main(["run", R, *MORE]) == 0


def test_runs_lists_what_can_be_removed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name leads to the list, and what is listed can be removed."""
    assert main(["run", R, *MORE]) == 0
    proposed(capsys, "runs", "--store", "elsewhere", "--remove", "prepare/none", code=2)
    assert main(["runs", "--store", "elsewhere", "--json"]) == 0
    listed = capsys.readouterr().out
    [folder] = Path("elsewhere/evaluate").glob("?" * 16)
    assert folder.name in listed
    assert main(["runs", "--store", "elsewhere", "--remove", f"evaluate/{folder.name}"]) == 0


def test_review_after_prepare(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card without a prepared corpus is reviewed after `prepare` of a recipe with it."""
    review = ("cards", "review", "lines", "out.csv", "--store", "fresh")
    proposed(capsys, *review, code=2)
    assert main(["prepare", R, "--store", "fresh"]) == 0
    assert main(list(review)) == 0


def test_a_broken_card_is_looked_at(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`cards list` names the command that states the problem with a card."""
    broken = here / "data_cards/broken.md"
    broken.write_text("no card\n")
    assert main(["cards", "list", "--lang", "en"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "cards check broken" in said
    assert main(["cards", "check", "broken"]) == 2
    broken.unlink()


def test_fetch_is_what_a_missing_base_needs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recipes whose base is a folder need nothing fetched; the command does no harm."""
    assert main(["fetch", R, "--store", "elsewhere"]) == 0
    assert main(["check", R, "--store", "elsewhere"]) == 0


@pytest.mark.usefixtures("workdir")
def test_what_init_tells_is_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe and a card that were scaffolded are checked with the proposed commands."""
    Path("my.txt").write_text("benn\nñaar\n", encoding="utf-8")
    typed = ("init", "--language", "wol_Latn", "--text", "my.txt", "--licence", "mit")
    commands = proposed(capsys, *typed, code=0)
    assert commands[0][:2] == ["cards", "check"]
    for command in commands:
        verb = "plan" if command[0] == "run" else command[0]  # to run it takes minutes
        assert main([verb, *command[1:]]) == 0
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("workdir")
def test_a_card_without_a_licence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`init` without a licence names `cards new`, which makes a card that lacks it."""
    Path("my words.csv").write_text("text\nbenn\nñaar\n", encoding="utf-8")
    [command] = proposed(capsys, "init", "--language", "wol_Latn", "--text", "my words.csv", code=2)
    assert main([*command, "--language", "wol_Latn"]) == 0
    assert list(Path("data_cards").glob("*.md"))


@pytest.mark.usefixtures("workdir")
def test_cards_new_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without cards tells how one is made."""
    [command] = proposed(capsys, "cards", "list", code=2)
    Path("my.txt").write_text("benn\n", encoding="utf-8")
    assert main([*command, "my.txt", "--language", "wol_Latn"]) == 0
    assert main(["cards", "list"]) == 0
