"""The examples of `docs/start/your-data.md` and of getting started, run as they are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from finetune.cards.look import records_of
from finetune.cli import main
from finetune.spec.load import load_card
from tests.support.surroundings import Inside

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/start/your-data.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`([\w/.-]+)`[^\n]*\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^finetune (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, inside: Inside) -> Path:
    """A new folder with the files of the page, in which its commands ran."""
    inside(tmp_path)
    for name, text in FILE.findall(PAGE):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    for command in COMMANDS:
        assert main(shlex.split(command)) == 0, command
    return tmp_path


def test_every_example_becomes_a_card_whose_texts_are_read(project: Path) -> None:
    """Each command makes a sound card, its files have the shown texts, the recipe passes."""
    texts = {}
    for path in sorted((project / "data_cards").glob("*.md")):
        card = load_card(path)
        texts[path.stem] = (card.corpus.kind, len(list(records_of(card))))
    assert texts == {
        "alpaca": ("chat", 2),
        "messages": ("chat", 2),
        "news": ("parallel", 2),
        "pairs": ("parallel", 2),
        "prompts": ("chat", 2),
        "sentences": ("text", 2),
        "sharegpt": ("chat", 2),
        "stories": ("text", 3),
        "tale": ("text", 2),
    }
    assert len(COMMANDS) == len(texts) + 2


@pytest.mark.usefixtures("workdir")
def test_the_commands_of_getting_started_work_as_they_are_printed(tmp_path: Path) -> None:
    """`init` as on the page and what it prints end well, without an edit between them."""
    Path("my-texts.txt").write_text("Nanga def?\nMaa ngi fi rekk.\n", encoding="utf-8")
    page = (ROOT / "docs/start/getting-started.md").read_text("utf-8")
    typed = re.findall(r"^finetune (init --language .*|check recipes/wol-latn.*)$", page, re.M)
    assert len(typed) == 2
    for command in typed:
        assert main(shlex.split(command)) == 0
