"""The same training on one process and on every layout of ranks over the nodes of a real Slurm.

In CI: DDP, ZeRO-3 and FSDP on two nodes, DDP and ZeRO-3 on four; at night two ranks on one node as
well. `make matrix` runs all shardings on all layouts and prints how far each is from the single
process. Every sharding on two ranks of one machine: tests/ranks/test_sharding.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.ranks.launch import ROOT
from tests.ranks.train import outcome
from tests.support.slurm_cluster import Cluster
from tests.support.training_job import records, write_inputs

pytestmark = pytest.mark.timeout(600)
LAYOUTS = {"2x1": (2, 1), "1x2": (1, 2), "4x1": (4, 1)}
"""Nodes and ranks on each."""
ALL = ("ddp", "zero1", "zero2", "zero3", "fsdp")
WHOLE = os.environ.get("FINETUNE_FULL_MATRIX") == "1"
TOLERANCE = 2e-5


def shardings(layout: str) -> tuple[str, ...]:
    """Return what is trained on a layout."""
    return ALL if WHOLE else ("ddp", "zero3", "fsdp") if layout == "2x1" else ("ddp", "zero3")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    write_inputs(folder / "inputs")
    return folder


@pytest.fixture(scope="module")
def alone(inputs: Path) -> Path:
    training = {"workspace": str(inputs / "alone"), "inputs": str(inputs / "inputs")}
    outcome(training | {"lora": {"dropout": 0.1}, "run": {"micro_batch_size": 1}}, stops=False)
    return inputs / "alone"


def train_on(cluster: Cluster, layout: str, *, inputs: Path) -> dict[str, dict[str, object]]:
    """Train under every sharding of a layout in one step of Slurm; return the results."""
    nodes, per_node = LAYOUTS[layout]
    folder = inputs / layout
    folder.mkdir()
    runs = [
        {
            "workspace": str(folder / sharding),
            "inputs": str(inputs / "inputs"),
            "train": {"sharding": sharding},
            "lora": {"dropout": 0.1},
            "run": {"micro_batch_size": 1},
        }
        for sharding in shardings(layout)
    ]
    (folder / "runs.json").write_text(json.dumps(runs))
    names = ",".join(f"node{n + 1}" for n in range(nodes))
    command = ["srun", f"--nodelist={names}", f"--nodes={nodes}", f"--ntasks-per-node={per_node}"]
    command += [f"--ntasks={nodes * per_node}", "--kill-on-bad-exit=1", "--chdir", str(ROOT)]
    command += [sys.executable, "-m", "tests.ranks.train", str(folder)]
    environment = cluster.environment | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = json.loads((folder / "results.json").read_text())
    return dict(zip(shardings(layout), results, strict=True))


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param("2x1", marks=pytest.mark.slow),
        pytest.param("4x1", marks=pytest.mark.slow),
        pytest.param("1x2", marks=pytest.mark.slow if WHOLE else pytest.mark.nightly),
    ],
)
def test_every_layout_trains_what_one_process_does(
    cluster: Cluster, inputs: Path, alone: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows in every step, the same loss and gradient norm, the same adapter."""
    results = train_on(cluster, layout, inputs=inputs)
    nodes, per_node = LAYOUTS[layout]
    for sharding, result in results.items():
        assert "error" not in result, (sharding, result)
        assert (result["ranks"], result["sharding"]) == (nodes * per_node, sharding)
        found = inputs / layout / sharding
        steps = [records(where, "train") for where in (found, alone)]
        assert [r["tokens"] for r in steps[0]] == [r["tokens"] for r in steps[1]]
        far = {
            name: max(abs(a[name] - b[name]) for a, b in zip(*steps, strict=True))
            for name in ("loss", "grad_norm")
        }
        adapters = [load_file(w / "adapter/adapter_model.safetensors") for w in (found, alone)]
        far["adapter"] = max(
            float((adapters[0][k] - t).abs().max()) for k, t in adapters[1].items()
        )
        with capsys.disabled():
            if WHOLE:
                print(
                    f"\n{layout} {sharding:6}" + "".join(f"  {k} {v:.1e}" for k, v in far.items())
                )
        assert max(far.values()) < TOLERANCE, (layout, sharding, far)
