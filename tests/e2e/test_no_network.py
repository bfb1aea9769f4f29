"""The whole line on a machine without any network interface, from `prepare` to export and chat.

Everything outside is fetched before, from a server that speaks the Hub's protocol. Then each verb
runs in a network namespace of its own under strace: it has to end well, and no address of a network
may be connected to or written to, not even the loopback's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.hub_server import HubServer
from tests.support.namespace import ALONE, TRACED, reached, require_namespaces
from tests.support.project import write_project

pytestmark = pytest.mark.slow

RECIPE = "recipes/tiny.yaml"
TASK = """\
task: quiz_hau
dataset_path: tiny/quiz
dataset_name: hau
test_split: test
output_type: multiple_choice
doc_to_text: "Tambaya: {{question}}\\nAmsa:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {language: hau_Latn, version: 1.0}
"""
ROWS = [{"question": f"Mene ne {n}?", "choices": ["iya", "a'a"], "answer": n % 2} for n in range(8)]
DATA_SET = {
    "README.md": b"---\nconfigs:\n- config_name: hau\n  data_files:\n"
    b"  - split: test\n    path: hau/test.jsonl\n---\n",
    "hau/test.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
}
LINE = (
    ("run", RECIPE),
    ("report", RECIPE),
    ("export", RECIPE, "--format", "merged", "-o", "merged"),
    ("chat", RECIPE, "--max-tokens", "4"),
)


def _in_no_network(
    folder: Path, *command: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command without a network; return how it ended, and where it tried to reach."""
    log = folder / "network.log"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        [*TRACED, str(log), *ALONE, *command],
        cwd=folder,
        input="Ina kwana?\n/quit\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done, reached(log.read_text())


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose task data was fetched, with every tracker that is installed."""
    require_namespaces()
    folder = tmp_path_factory.mktemp("alone")
    recipe = write_project(folder)
    (folder / "quiz.yaml").write_text(TASK)
    trackers = [name for name in ("wandb", "mlflow", "trackio") if find_spec(name)]
    text = recipe.read_text().replace("evaluate: {", "evaluate: {tasks: [quiz.yaml], ")
    text = text.replace(
        "tensorboard: false", f"tensorboard: true, trackers: [{', '.join(trackers)}]"
    )
    recipe.write_text(text)
    with HubServer() as hub:
        hub.add("tiny/quiz", DATA_SET, kind="dataset")
        env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf")}
        command = [sys.executable, "-m", "finetune", "fetch", RECIPE]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def test_the_whole_line_needs_no_network_and_asks_for_none(cut_off: Path) -> None:
    """Data card to chat, public tasks and trackers included, after `fetch`."""
    for verb in LINE:
        done, tried = _in_no_network(cut_off, sys.executable, "-m", "finetune", *verb)
        assert done.returncode == 0, (verb, done.stdout[-2000:], done.stderr[-2000:])
        assert not tried, (verb, tried[:5])
        assert "switched off" not in done.stdout + done.stderr, verb
    scores = [
        json.loads(path.read_text()) for path in cut_off.glob(".finetune/evaluate/*/scores.json")
    ]
    assert "quiz_hau" in json.dumps(scores)
    assert (cut_off / "merged/model.safetensors").is_file()
    assert (cut_off / ".finetune/hub/org/tiny-lora/adapter_model.safetensors").is_file()
    assert list(cut_off.glob(".finetune/train/*/tensorboard/*"))


def test_a_connection_that_is_tried_is_noticed(tmp_path: Path) -> None:
    """Also one that fails: by address, and by a name that would have to be resolved."""
    require_namespaces()
    for where in ("('192.0.2.1', 80)", "('example.invalid', 80)"):
        code = f"import socket\ntry:\n socket.create_connection({where}, 1)\nexcept OSError:\n pass"
        done, tried = _in_no_network(tmp_path, sys.executable, "-c", code)
        assert done.returncode == 0, done.stderr
        assert tried, where
