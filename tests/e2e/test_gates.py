"""Gates over the whole line: what `run` leaves private, what `publish` refuses, what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.artefacts.gates.table import GATES
from finetune.cli import main
from tests.support.hub_server import HubServer
from tests.support.project import write_project
from tests.support.surroundings import Inside, Variables

RECIPE = "recipes/tiny.yaml"
PUBLIC = ("--set", "publish.hub=huggingface", "--set", "publish.private=false")
REASON = "made to test the gates"
OVERRIDE = ("--set", f"gates.override={{{', '.join(f'{name}: {REASON}' for name in GATES)}}}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gates")
    write_project(folder)
    return folder


@pytest.fixture
def hub(project: Path, inside: Inside, variables: Variables, tmp_path: Path) -> Iterator[HubServer]:
    """Return a server that would take the release, with the project as working folder."""
    inside(project)
    with HubServer() as server:
        variables(
            HF_ENDPOINT=server.url, HF_TOKEN=server.token("org"), HF_HOME=str(tmp_path / "hf")
        )
        yield server


@pytest.mark.slow
def test_run_makes_nothing_public_and_publish_asks_the_gates(
    project: Path, hub: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` with `private: false` asks the server nothing and names the command; `publish` refuses
    in the same words as its dry run; overridden gates let it, and stand first in the card."""
    assert main(["run", RECIPE, *PUBLIC]) == 0
    said = capsys.readouterr().out
    assert hub.requests == []
    assert (project / ".finetune/hub/org/tiny-lora/README.md").is_file()
    assert "`finetune run` makes nothing public" in said
    [command] = re.findall(r"finetune (publish .*) --dry-run", said)
    assert "gates of a public release" in said

    refusals = []
    for words in (["--dry-run"], []):
        assert main([*shlex.split(command), *words]) == 1
        refusals.append(capsys.readouterr().err)
    assert refusals[0] == refusals[1]
    for name in ("yardsticks", "items", "forgetting", "kl", "wrong_source"):
        assert f"gates.override.{name}" in refusals[0]
    assert hub.repos == {}

    assert main(["release", RECIPE, *PUBLIC, *OVERRIDE]) == 0
    assert main(["publish", RECIPE, *PUBLIC, *OVERRIDE]) == 0
    assert not hub.repos["model", "org/tiny-lora"].private
    card = hub.files("org/tiny-lora")["README.md"].decode()
    first = [line for line in card.split("---\n", 2)[2].splitlines() if line][1]
    assert first.startswith("**The gate 'yardsticks' (beats the yardsticks) is overridden")
    assert REASON in first
    [page] = [p for p in project.glob(".finetune/release/*/report.html") if REASON in p.read_text()]
    assert page.read_text().index("is overridden") < page.read_text().index("<dl>")
