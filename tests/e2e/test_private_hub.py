"""An organisation's documents from files to a hub of its own, where nothing else is reached.

The shipped recipe and its cards run in a network namespace with a loopback only, with a random base
and with documents that hold personal data. A hub that speaks the Hub's protocol is on the loopback.
Each command runs under strace: an address other than that hub's may not be tried.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.brought_files import docx, pdf
from tests.support.namespace import ALONE, require_namespaces
from tests.support.tiny import write_tiny_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "recipes/private-handbook.yaml"
REPO = "us/handbook-lora"
EMAIL, PHONE = "awa.ndiaye@clinic-of-ours.sn", "+221 77 512 34 56"
PLANTED = f"Ask {EMAIL} or call {PHONE} before the visit."
SMALL = {
    "base.model": "./model",
    "base.hub_id": "tiny/base",
    "lora.rank": 2,
    "train.max_steps": 2,
    "train.batch_tokens": 512,
    "train.warmup_steps": 1,
    "train.validate_every_steps": 1,
    "evaluate.max_new_tokens": 4,
    "evaluate.kl_prompts": 0,
    "evaluate.resamples": 100,
    "release.repo": REPO,
}
SET = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
PUBLISH = ["-m", "finetune", "publish", RECIPE, *SET, "--hub", "huggingface"]
ELSEWHERE = (
    "import socket\ntry:\n socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError: pass"
)
COMMANDS: list[tuple[list[str], dict[str, str]]] = [
    (["-m", "finetune", "run", RECIPE, *SET], {}),
    (PUBLISH, {}),
    ([*PUBLISH, "--make-public"], {}),
    (PUBLISH, {"HF_ENDPOINT": "https://huggingface.co"}),
    (["-c", ELSEWHERE], {}),
]


def _plant(cards: Path, form: str, data: bytes) -> None:
    """Add a document to the card of a format."""
    name = f"handbook/planted.{form}"
    (cards / name).write_bytes(data)
    card = cards / f"handbook-{form}.md"
    added = f"      - path: {name}\n        sha256: '{hashlib.sha256(data).hexdigest()}'\n"
    text = card.read_text("utf-8").replace("    files:\n", f"    files:\n{added}", 1)
    card.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the commands said and reached, with the folder of the project."""
    require_namespaces()
    folder = tmp_path_factory.mktemp("inside")
    write_tiny_model(folder / "model")
    cards = folder / "data_cards"
    shutil.copytree(ROOT / "data_cards/handbook", cards / "handbook")
    for card in ROOT.glob("data_cards/handbook-*.md"):
        shutil.copy(card, cards)
    (folder / "recipes").mkdir()
    shutil.copy(ROOT / RECIPE, folder / RECIPE)
    _plant(cards, "docx", docx([PLANTED, "Visits are on Tuesday and Friday."]))
    _plant(cards, "pdf", pdf(PLANTED))
    _plant(cards, "html", f"<!doctype html><html><body><p>{PLANTED}</p></body></html>".encode())
    (folder / "commands.json").write_text(json.dumps(COMMANDS))
    inside = [*ALONE, sys.executable, "-m", "tests.support.own_hub", str(folder)]
    done = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found | {"folder": folder}


def test_only_the_named_hub_is_reached(seen: dict[str, Any]) -> None:
    """Documents to release without a connection; publishing connects to the hub and to nothing."""
    run, published = seen["runs"][:2]
    assert (run["code"], run["reached"]) == (0, []), run["said"][-2000:]
    assert published["code"] == 0, published["said"][-2000:]
    assert published["reached"]
    address = f'sin_port=htons({seen["port"]}), sin_addr=inet_addr("127.0.0.1")'
    assert [line for line in published["reached"] if address not in line] == []
    assert list(seen["repos"]) == [REPO]
    assert "adapter_model.safetensors" in seen["repos"][REPO]["files"]


def test_a_connection_to_another_service_is_noticed(seen: dict[str, Any]) -> None:
    """Also one on this machine."""
    assert "htons(9)" in "".join(seen["runs"][4]["reached"])


def test_nothing_can_be_made_public(seen: dict[str, Any]) -> None:
    """Neither with --make-public nor on the public Hub, and neither sends a request."""
    _, published, shown, elsewhere, _ = seen["runs"]
    assert seen["repos"][REPO]["private"] is True
    for refused, code in ((shown, "shown to everyone"), (elsewhere, "not a server of their owner")):
        assert refused["code"] == 1
        assert code in " ".join(refused["said"].split())
        assert refused["reached"] == []
        assert refused["requests"] == published["requests"]


def test_personal_data_stays_in_the_documents(seen: dict[str, Any]) -> None:
    """Address and number of the planted documents are masked in whatever the line wrote."""
    number = re.compile(rb"77\D?512\D?34\D?56")
    files = {name: bytes.fromhex(data) for name, data in seen["repos"][REPO]["files"].items()}
    store = [path for path in (seen["folder"] / ".finetune").rglob("*") if path.is_file()]
    files |= {str(path): path.read_bytes() for path in store}
    assert len(files) > 50
    holding = [n for n, data in files.items() if EMAIL.encode() in data or number.search(data)]
    assert holding == []
    report = next(path for path in store if path.name == "report.json" and "prepare" in str(path))
    assert '"email"' in report.read_text()
